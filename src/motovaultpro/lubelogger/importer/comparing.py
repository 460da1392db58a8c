"""What is new or changed since the last time, and writing it: within one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from motovaultpro.lubelogger.importer.items import Item
from motovaultpro.lubelogger.importer.kinds import VEHICLES
from motovaultpro.lubelogger.importer.report import StepReport
from motovaultpro.lubelogger.importer.repository import Stored
from motovaultpro.lubelogger.importer.steps import Step
from motovaultpro.lubelogger.importer.store import Unit

AnyStep = Step[Any]  # Any: each step has items of its own
AnyItem = Item[Any]


@dataclass(slots=True)
class Comparison:
    report: StepReport
    new: list[AnyItem] = field(default_factory=list)
    changed: list[AnyItem] = field(default_factory=list)


async def compare(unit: Unit, step: AnyStep, items: Sequence[AnyItem]) -> Comparison:
    """What was deleted here stays deleted unless it changed at the source; so does all that belongs to a vehicle which was."""
    stored = await unit.stored(step.name)
    lost = await unit.lost_vehicles() if step.name != VEHICLES else set()
    comparison = Comparison(StepReport(name=step.name, title=step.title))
    unchanged: dict[str, Stored] = {}
    for item in items:
        known = stored.get(item.source_id)
        if item.vehicle in lost:
            comparison.report.deleted_here.append(item.source_id)
        elif known is None:
            comparison.new.append(item)
        elif known.fingerprint != item.fingerprint or await _is_outdated(unit, step, item, known):
            comparison.changed.append(item)
        else:
            unchanged[item.source_id] = known
    gone = await step.gone(unit, unchanged)
    report = comparison.report
    report.new = len(comparison.new)
    report.changed = [item.source_id for item in comparison.changed]
    report.unchanged = len(unchanged) - len(gone)
    report.deleted_here += sorted(gone)
    return comparison


async def write(unit: Unit, step: AnyStep, comparison: Comparison) -> set[str]:
    """Answers the source ids of what was written."""
    stored = await unit.stored(step.name)
    saved: dict[str, Stored] = {}
    to_create: list[AnyItem] = []
    for item in comparison.changed:
        known = stored[item.source_id]
        if await step.update(unit, item, known):
            saved[item.source_id] = replace(known, fingerprint=item.fingerprint)
        else:
            to_create.append(item)
    to_create += comparison.new
    created = await step.create(unit, to_create) if to_create else {}
    for item in to_create:
        if item.source_id in created:
            record_id, is_linked = created[item.source_id]
            saved[item.source_id] = Stored(record_id, item.fingerprint, unit.run_id, is_linked)
    comparison.report.skipped = len(to_create) - len(created)
    comparison.report.new -= comparison.report.skipped
    if saved:
        await unit.save(step.name, saved)
    return set(saved)


async def _is_outdated(unit: Unit, step: AnyStep, item: AnyItem, known: Stored) -> bool:
    """Whether something it depends on was made again by a later run."""
    for collection, source_id in step.needs(item):
        needed = (await unit.stored(collection)).get(source_id)
        if needed is not None and needed.run_id > known.run_id:
            return True
    return False
