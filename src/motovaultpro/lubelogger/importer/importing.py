"""Carries a plan out: compares it with what came before, writes what is new or changed, and checks the result."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from motovaultpro.core.clock import Clock
from motovaultpro.core.database import CommitUnknownError, Database
from motovaultpro.core.storage import Storage
from motovaultpro.lubelogger.importer.comparing import AnyStep, compare, write
from motovaultpro.lubelogger.importer.errors import ImportRefusedError
from motovaultpro.lubelogger.importer.findings import Findings
from motovaultpro.lubelogger.importer.items import Plan
from motovaultpro.lubelogger.importer.kinds import VEHICLES
from motovaultpro.lubelogger.importer.people_steps import ApiKeyStep, PreferenceStep, UserStep
from motovaultpro.lubelogger.importer.planning import ATTACHMENTS
from motovaultpro.lubelogger.importer.record_steps import RECORDS, AttachmentStep, RecordStep
from motovaultpro.lubelogger.importer.report import Report, StepReport
from motovaultpro.lubelogger.importer.repository import ImportRepository, Run
from motovaultpro.lubelogger.importer.source import Source
from motovaultpro.lubelogger.importer.steps import DefinitionStep, ShareStep, VehicleStep
from motovaultpro.lubelogger.importer.store import Unit, Uploader
from motovaultpro.lubelogger.importer.verification import verify

Progress = Callable[[str, int, int], None]
"""Title of the step, items done, items in all."""
# Files travel in these transactions: what is done is kept when a later one fails.
_AT_ONCE: Final = {ATTACHMENTS: 100, VEHICLES: 20}
NO_RUN: Final = 0


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: the garage, its storage, and the time."""

    database: Database
    storage: Storage
    clock: Clock
    tenant_id: UUID

    @asynccontextmanager
    async def unit(
        self, run_id: int, uploader: Uploader, findings: Findings
    ) -> AsyncIterator[Unit]:
        """One transaction; what it put into the storage goes again if it does not commit."""
        unit: Unit | None = None
        try:
            async with self.database.session(self.tenant_id) as session:
                unit = Unit(
                    database=self.database,
                    session=session,
                    tenant_id=self.tenant_id,
                    run_id=run_id,
                    clock=self.clock,
                    uploader=uploader,
                    findings=findings,
                )
                yield unit
        except CommitUnknownError:
            raise  # the documents may exist: then they need their files
        except BaseException:
            if unit is not None:
                await unit.discard()
            raise
        if unit is not None:
            unit.committed()


def steps_of(plan: Plan) -> list[AnyStep]:
    """In the order in which things need each other."""
    return [
        UserStep(plan.users),
        PreferenceStep(plan.preferences),
        ApiKeyStep(plan.api_keys),
        DefinitionStep(plan.definitions),
        VehicleStep(plan.vehicles),
        ShareStep(plan.shares),
        *(RecordStep(name, plan.records.get(name, ())) for name in RECORDS),
        AttachmentStep(plan.attachments),
    ]


class Importer:
    def __init__(
        self,
        target: Target,
        source: Source,
        plan: Plan,
        findings: Findings,
        *,
        currency: str,
        same_installation: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """`same_installation` is the owner's word that this source continues what was imported before."""
        self._target = target
        self._source = source
        self._plan = plan
        self._findings = findings
        self._currency = currency
        self._same_installation = same_installation
        self._progress = progress or (lambda *_: None)
        self._uploader = Uploader(
            target.storage, source.files, {file.source_id: file for file in plan.files}
        )
        self._steps = steps_of(plan)

    async def survey(self) -> Report:
        """What a run would do. Writes nothing. Raises `ImportRefusedError`."""
        report = self._new_report()
        report.dry_run = True
        async with self._unit(NO_RUN) as unit:
            self._check_installation(await unit.imports.runs())
            for step in self._steps:
                comparison = await compare(unit, step, step.items)
                report.steps.append(await self._described(unit, step, comparison.report))
        report.findings = list(self._findings)
        return report

    async def run(self) -> Report:
        """Write what is new or changed. A run that broke off goes on where it was; nothing to do leaves no trace.

        Raises `ImportRefusedError` before anything is written; after that, what the database and the storage raise: the
        run is failed then, and can be repeated.
        """
        report = await self.survey()
        report.dry_run = False
        if not report.has_work:
            await self._verify(report, {})
            return report
        report.steps = []
        report.run, report.resumed = await self._open()
        try:
            written = {step.name: await self._carry_out(report, step) for step in self._steps}
            report.files = self._uploader.copies
            await self._verify(report, written)
        except BaseException:
            await self._close(report, "failed")
            raise
        await self._close(report, "finished")
        return report

    async def _verify(self, report: Report, written: Mapping[str, set[str]]) -> None:
        async with self._unit(report.run or NO_RUN) as unit:
            await verify(unit, self._steps, report, written)
        report.findings = list(self._findings)

    async def _carry_out(self, report: Report, step: AnyStep) -> set[str]:
        """All transactions of a step; answers the source ids that were written."""
        run_id = report.run or NO_RUN
        whole = StepReport(name=step.name, title=step.title)
        total = len(step.items)
        at_once = _AT_ONCE.get(step.name, total) or 1
        written: set[str] = set()
        for start in range(0, total, at_once):
            self._progress(step.title, start, total)
            async with self._unit(run_id) as unit:
                await unit.imports.lock()
                comparison = await compare(unit, step, step.items[start : start + at_once])
                written |= await write(unit, step, comparison)
                whole.add(comparison.report)
                await unit.imports.checkpoint(
                    run_id, step.name, new=comparison.report.new, changed=comparison.report.changed
                )
        self._progress(step.title, total, total)
        async with self._unit(run_id) as unit:
            report.steps.append(await self._described(unit, step, whole))
        return written

    async def _described(self, unit: Unit, step: AnyStep, report: StepReport) -> StepReport:
        planned = {item.source_id for item in step.items}
        if step.name == VEHICLES or step.name in RECORDS:
            report.source = self._plan.source_counts[step.name]
            report.skipped += report.source - len(planned)
        else:
            report.source = len(planned)
        report.gone_at_source = sorted(set(await unit.stored(step.name)) - planned)
        return report

    def _new_report(self) -> Report:
        return Report(
            source=self._source.label,
            installation=self._source.installation,
            tenant=str(self._target.tenant_id),
            currency=self._currency,
            waiting=self._plan.waiting,
            problems=self._source.problems,
            files_in_use=len(self._plan.files),
        )

    def _unit(self, run_id: int) -> AbstractAsyncContextManager[Unit]:
        return self._target.unit(run_id, self._uploader, self._findings)

    def _check_installation(self, runs: Sequence[Run]) -> None:
        """Ids say nothing across installations: vehicle 1 of one would overwrite vehicle 1 of the other."""
        before = next((run for run in runs if run.status != "rolled_back" and run.wrote), None)
        if before is None or self._same_installation:
            return
        if before.report.get("installation") != self._source.installation:
            raise ImportRefusedError(
                f"run {before.id} brought another installation ({before.source}) into this garage. If this is the same"
                " one, moved or restored, say so with --same-installation; else import it into a garage of its own"
                " (--tenant)."
            )

    async def _open(self) -> tuple[int, bool]:
        """The run to write under, and whether it is one that broke off."""
        async with self._target.database.session(self._target.tenant_id) as session:
            imports = ImportRepository(session, self._target.tenant_id)
            await imports.lock()
            latest = next(iter(await imports.runs()), None)
            if (
                latest is not None
                and latest.status in {"running", "failed"}
                and latest.source == self._source.label
            ):
                await imports.resume(latest.id)
                return latest.id, True
            report = {"installation": self._source.installation, "steps": {}}
            return await imports.start(self._source.label, report, self._target.clock()), False

    async def _close(self, report: Report, status: str) -> None:
        async with self._target.database.session(self._target.tenant_id) as session:
            imports = ImportRepository(session, self._target.tenant_id)
            run_id = report.run or NO_RUN
            await imports.finish(run_id, status, {"result": report.as_json()}, self._target.clock())
