"""Takes back exactly what a run brought."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from motovaultpro.lubelogger.importer.comparing import AnyStep
from motovaultpro.lubelogger.importer.errors import ImportRefusedError
from motovaultpro.lubelogger.importer.files import NoFiles
from motovaultpro.lubelogger.importer.findings import Findings
from motovaultpro.lubelogger.importer.importing import NO_RUN, Target, steps_of
from motovaultpro.lubelogger.importer.items import Plan
from motovaultpro.lubelogger.importer.repository import ImportRepository, Run
from motovaultpro.lubelogger.importer.steps import FileStep
from motovaultpro.lubelogger.importer.store import Uploader

ROLLED_BACK = "rolled_back"


@dataclass(slots=True)
class Rollback:
    """What it takes back, or took: items by title. `stays` names what the run changed, which stays as it is."""

    run: int
    removes: dict[str, int] = field(default_factory=dict)
    stays: list[str] = field(default_factory=list)


async def runs(target: Target) -> list[Run]:
    """Newest first."""
    async with target.database.session(target.tenant_id) as session:
        return await ImportRepository(session, target.tenant_id).runs()


async def roll_back(target: Target, run_id: int, *, dry_run: bool = False) -> Rollback:
    """In one transaction; the worker deletes the files from the storage. Raises `ImportRefusedError`."""
    uploader = Uploader(target.storage, NoFiles(), {})
    # Reversed: what needs other things goes before them; files last, when nothing uses them any more.
    steps: list[AnyStep] = [*reversed(steps_of(Plan())), FileStep()]
    async with target.unit(NO_RUN, uploader, Findings()) as unit:
        await unit.imports.lock()
        rollback = Rollback(run_id)
        run = _checked(await unit.imports.runs(), run_id)
        brought = await unit.imports.items_of(run_id)
        for step in steps:
            items = brought.get(step.name, {})
            ours = {source_id: item for source_id, item in items.items() if not item.is_linked}
            if ours:
                rollback.removes[step.title] = len(ours)
            if items and not dry_run:
                await step.remove(unit, ours)
                await unit.imports.forget(step.name, items)
            changed = run.report.get("steps", {}).get(step.name, {}).get("changed", [])
            rollback.stays += [
                f"{step.title} {source_id}" for source_id in changed if source_id not in items
            ]
        if not dry_run:
            await unit.imports.finish(run_id, ROLLED_BACK, {}, target.clock())
    return rollback


def _checked(runs: Sequence[Run], run_id: int) -> Run:
    run = next((run for run in runs if run.id == run_id), None)
    if run is None:
        raise ImportRefusedError(
            f"there is no import {run_id} in this garage: motovault import list"
        )
    if run.status == ROLLED_BACK:
        raise ImportRefusedError(f"import {run_id} was rolled back already")
    later = [
        str(other.id)
        for other in runs
        if other.id > run_id and other.status != ROLLED_BACK and other.wrote
    ]
    if later:
        raise ImportRefusedError(
            f"later imports build on this one: roll back {', '.join(later)} first"
        )
    return run
