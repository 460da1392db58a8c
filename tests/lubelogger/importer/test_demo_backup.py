"""LubeLogger's own demo data, whole: real data, not ours to commit."""

from decimal import Decimal
from pathlib import Path

import pytest

from motovaultpro.lubelogger.importer import Report, Target, roll_back, runs
from motovaultpro.lubelogger.importer.items import Totals
from tests.factories.garages import Garage
from tests.lubelogger.importer.conftest import Import

COUNTS = {
    "vehicles": 1,
    "gasrecords": 109,
    "odometerrecords": 110,
    "collisionrecords": 34,
    "servicerecords": 22,
    "upgraderecords": 13,
}
# Added up from the documents by hand.
SUMS = {
    "gasrecords": Totals(
        records=109, cost=Decimal("3611.25"), volume=Decimal("1072.901"), distance=Decimal(17811)
    ),
    "odometerrecords": Totals(records=110, distance=Decimal(18044)),
    "servicerecords": Totals(records=22, cost=Decimal("1586.97")),
    "collisionrecords": Totals(records=34, cost=Decimal("1763.83")),
    "upgraderecords": Totals(records=13, cost=Decimal("625.07")),
}


@pytest.fixture
def backup(shared_data: Path) -> Path:
    return shared_data / "lubelogger-demo-backup.zip"


def counts(report: Report, of: str) -> dict[str, int]:
    return {step.name: getattr(step, of) for step in report.steps if step.name in COUNTS}


async def test_brings_the_whole_demo_once(
    backup: Path, run_import: Import, garage: Garage, target: Target
) -> None:
    report = await run_import(backup)

    assert counts(report, "new") == COUNTS
    assert report.waiting == {"supplies": 10, "taxes": 3, "reminders": 1}
    assert (report.mismatches, report.differences, report.findings) == ([], [], [])
    assert {s.name: s.target_sums for s in report.steps if s.target_sums} == SUMS
    assert [file.sha256_source == file.sha256_target for file in report.files] == [True]

    again = await run_import(backup)
    assert again.run is None
    assert counts(again, "unchanged") == COUNTS
    assert len(await runs(target)) == 1

    assert report.run is not None
    await roll_back(target, report.run)
    for table in ("vehicles", "fuel_records", "documents", "shares", "import_items"):
        assert await garage.count(table) == 0
