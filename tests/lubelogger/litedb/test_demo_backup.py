"""LubeLogger's own demo data: real, written by LiteDB itself, not ours to commit."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from motovaultpro.lubelogger.litedb import open_backup

BACKUP = Path(__file__).parents[4] / "shared" / "data" / "lubelogger-demo-backup.zip"

pytestmark = pytest.mark.skipif(not BACKUP.exists(), reason="LubeLogger's demo backup is absent")


@pytest.mark.parametrize("salvage", [False, True])
def test_reads_every_record_of_the_demo(salvage: bool) -> None:
    database = open_backup(BACKUP, salvage=salvage)

    assert {name: len(list(database.read(name))) for name in database.collections} == {
        "tokenrecords": 0,
        "userrecords": 1,
        "vehicles": 1,
        "useraccessrecords": 1,
        "userconfigrecords": 1,
        "gasrecords": 109,
        "servicerecords": 22,
        "collisionrecords": 34,
        "upgraderecords": 13,
        "reminderrecords": 1,
        "taxrecords": 3,
        "supplyrecords": 10,
        "odometerrecords": 110,
    }
    assert database.problems == []


def test_reads_the_values_of_the_demo() -> None:
    database = open_backup(BACKUP)
    first = next(iter(database.read("gasrecords")))

    assert database.created is not None
    assert database.created.replace(microsecond=0) == datetime(2024, 1, 25, 21, 46, 18, tzinfo=UTC)
    assert (
        first
        | {
            "_id": 1,
            "Date": datetime(2020, 5, 8, tzinfo=UTC),
            "Mileage": 204836,
            "Gallons": Decimal("8.331"),
            "Cost": Decimal("16.24"),
            "Notes": None,
        }
        == first
    )
