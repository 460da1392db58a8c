from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from motovaultpro.features.fuel.contracts import ImportedFuelRecord
from motovaultpro.lubelogger.importer import (
    Planner,
    PlanOptions,
    Report,
    StepReport,
    Target,
    open_source,
)
from motovaultpro.lubelogger.importer.findings import Findings
from motovaultpro.lubelogger.importer.record_steps import RecordStep
from motovaultpro.lubelogger.importer.store import FileCopy, Uploader
from motovaultpro.lubelogger.importer.verification import verify
from tests.factories.lubelogger import gas, vehicle, write_backup
from tests.lubelogger.importer.conftest import Import


async def test_what_differs_is_a_mismatch(
    run_import: Import, target: Target, tmp_path: Path
) -> None:
    path = write_backup(
        tmp_path / "b.zip", {"vehicles": [vehicle()], "gasrecords": [gas(1), gas(2)]}
    )
    run = (await run_import(path)).run
    source = open_source(str(path))
    (first, second) = Planner(source, PlanOptions(currency="EUR")).plan().records["gasrecords"]
    assert isinstance(first.value, ImportedFuelRecord)
    dearer = replace(first, value=replace(first.value, cost=Decimal("71.26")))
    step = RecordStep("gasrecords", [dearer, second])
    report = Report(source="s", installation="i", tenant="t", currency="EUR", run=run)
    report.steps = [StepReport(name="gasrecords", title="fuel records")]
    report.files = [FileCopy("/documents/x.pdf", 1, 1, "aa", "bb")]

    async with target.unit(
        run or 0, Uploader(target.storage, source.files, {}), Findings()
    ) as unit:
        await verify(unit, [step], report, {})

    assert report.mismatches == [
        "fuel records: cost is 142.50 here, 142.51 at the source",
        "file /documents/x.pdf: SHA-256 aa became bb",
    ]
