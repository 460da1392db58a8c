"""Compares both sides after an import: what the database holds, read back, with what the source held."""

from collections.abc import Mapping, Sequence

from motovaultpro.lubelogger.importer.comparing import AnyItem, AnyStep
from motovaultpro.lubelogger.importer.items import Totals
from motovaultpro.lubelogger.importer.report import Report
from motovaultpro.lubelogger.importer.store import Unit


async def verify(
    unit: Unit, steps: Sequence[AnyStep], report: Report, written: Mapping[str, set[str]]
) -> None:
    """Sums of what this run brought must agree; older items may have been changed here, which is said."""
    for step in steps:
        if step.totals([]) is not None:
            await _verify_step(unit, step, report, written.get(step.name, set()))
    report.mismatches += [
        f"file {copy.location}: SHA-256 {copy.sha256_source} became {copy.sha256_target}"
        for copy in report.files
        if copy.sha256_source != copy.sha256_target
    ]


async def _verify_step(unit: Unit, step: AnyStep, report: Report, written: set[str]) -> None:
    stored = await unit.stored(step.name)
    gone = await step.gone(
        unit, {i.source_id: stored[i.source_id] for i in step.items if i.source_id in stored}
    )
    present = [i for i in step.items if i.source_id in stored and i.source_id not in gone]
    own = [i for i in present if i.source_id in written or stored[i.source_id].run_id == report.run]
    described = next(s for s in report.steps if s.name == step.name)
    described.source_sums, described.target_sums = await _both(unit, step, present)
    source, target = await _both(unit, step, own)
    # A fill-up's distance depends on its neighbours: it can be held against the source when all of them are ours.
    with_distance = step.name != "gasrecords" or len(own) == len(step.items)
    wrong = _differences(source, target, with_distance=with_distance)
    report.mismatches += [f"{step.title}: {difference}" for difference in wrong]
    if not wrong:
        changed = _differences(described.source_sums, described.target_sums, with_distance=True)
        report.differences += [f"{step.title}: {difference}" for difference in changed]


async def _both(unit: Unit, step: AnyStep, items: Sequence[AnyItem]) -> tuple[Totals, Totals]:
    stored = await unit.stored(step.name)
    ids = [stored[item.source_id].record_id for item in items]
    return step.totals(items) or Totals(), await step.stored_totals(unit, ids)


def _differences(source: Totals, target: Totals, *, with_distance: bool) -> list[str]:
    names = ("records", "cost", "volume", *(("distance",) if with_distance else ()))
    return [
        f"{name} is {getattr(target, name)} here, {getattr(source, name)} at the source"
        for name in names
        if getattr(source, name) != getattr(target, name)
    ]
