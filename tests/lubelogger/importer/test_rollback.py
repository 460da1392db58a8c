from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from motovaultpro.lubelogger.importer import ImportRefusedError, Target, roll_back, runs
from tests.factories.garages import Garage
from tests.factories.lubelogger import (
    JPEG,
    PDF,
    Document,
    access,
    attached,
    gas,
    odometer,
    service,
    user,
    vehicle,
    write_backup,
)
from tests.lubelogger.importer.conftest import Import

TABLES = ("vehicles", "fuel_records", "maintenance_records", "odometer_records", "attachments", "documents", "shares",
          "api_keys", "extra_field_definitions", "import_items", "monthly_costs")  # fmt: skip
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, garage: Garage) -> Write:
    name = f"rob-{garage.tenant_id.hex[-12:]}"

    def backup(**more: Sequence[Document]) -> Path:
        collections: dict[str, Sequence[Document]] = {
            "vehicles": [vehicle(ImageLocation="/images/car.jpg")],
            "userrecords": [user(1, name)],
            "useraccessrecords": [access(1)],
            "apikeyrecords": [
                {
                    "_id": 1,
                    "UserId": 1,
                    "Name": "k",
                    "Key": garage.tenant_id.hex * 2,
                    "Permissions": ["View"],
                }
            ],
            "servicerecords": [service(1, Files=[attached("/documents/bill.pdf")])],
            "gasrecords": [gas(1)],
            "odometerrecords": [odometer(1)],
            "extrafields": [{"_id": 0, "ExtraFields": [{"Name": "Shop", "FieldType": "Text"}]}],
        }
        return write_backup(
            tmp_path / "backup.zip",
            {**collections, **more},
            {"/images/car.jpg": JPEG, "/documents/bill.pdf": PDF},
        )

    return backup


async def counts(garage: Garage) -> dict[str, int]:
    return {table: await garage.count(table) for table in (*TABLES, "memberships")}


async def test_takes_back_exactly_what_came(
    run_import: Import, write: Write, garage: Garage, target: Target
) -> None:
    await garage.client.post("/api/v1/vehicles", json={"make": "Mine"})
    before = await counts(garage)
    report = await run_import(write())
    assert report.run is not None
    assert (await counts(garage))["documents"] == 2

    plan = await roll_back(target, report.run, dry_run=True)
    assert (await counts(garage))["documents"] == 2
    done = await roll_back(target, report.run)

    assert plan == done
    assert done.removes == {
        "records with attachments": 1,
        "service records": 1,
        "odometer readings": 1,
        "fuel records": 1,
        "shares": 1,
        "vehicles": 1,
        "extra field definitions": 1,
        "API keys": 1,
        "users": 1,
        "files": 2,
    }
    assert done.stays == []
    assert await counts(garage) == before
    assert [run.status for run in await runs(target)] == ["rolled_back"]
    async with garage.database.session(garage.tenant_id) as session:
        deleted = await session.scalar(
            text(
                "SELECT payload -> 'data' -> 'storage_keys' FROM outbox WHERE type = 'document.deleted'"
            )
        )
    assert len(deleted) == 2

    again = await run_import(write())
    assert again.run != report.run
    assert (await counts(garage))["fuel_records"] == 1


async def test_later_imports_go_first_and_changes_are_named(
    run_import: Import, write: Write, garage: Garage, target: Target
) -> None:
    first = await run_import(write())
    second = await run_import(write(gasrecords=[gas(1, Cost=Decimal(5)), gas(2)]))
    assert first.run is not None
    assert second.run is not None

    with pytest.raises(ImportRefusedError, match=f"roll back {second.run} first"):
        await roll_back(target, first.run)
    assert await garage.count("fuel_records") == 2

    rolled_back = await roll_back(target, second.run)
    assert rolled_back.removes == {"fuel records": 1}
    assert rolled_back.stays == ["fuel records 1"]
    async with garage.database.session(garage.tenant_id) as session:
        assert list(await session.scalars(text("SELECT cost FROM fuel_records"))) == [5]
    await roll_back(target, first.run)
    assert await garage.count("vehicles") == 0


async def test_refuses_what_is_no_import_or_was_rolled_back(
    run_import: Import, write: Write, target: Target
) -> None:
    with pytest.raises(ImportRefusedError, match="there is no import 0"):
        await roll_back(target, 0)
    report = await run_import(write())
    assert report.run is not None
    await roll_back(target, report.run)
    with pytest.raises(ImportRefusedError, match="already"):
        await roll_back(target, report.run)


async def test_an_import_of_another_garage_cannot_be_rolled_back(
    run_import: Import, write: Write, target: Target, other_garage: Garage
) -> None:
    report = await run_import(write())
    elsewhere = Target(target.database, target.storage, target.clock, other_garage.tenant_id)

    with pytest.raises(ImportRefusedError, match="there is no import"):
        await roll_back(elsewhere, report.run or 0)


async def test_a_definition_that_was_here_before_stays(
    run_import: Import, write: Write, garage: Garage, target: Target
) -> None:
    await garage.client.put(
        "/api/v1/extra-fields/service",
        json=[{"name": "Shop", "field_type": "text", "is_required": False}],
    )
    assert await garage.count("extra_field_definitions") == 1
    report = await run_import(write())

    await roll_back(target, report.run or 0)

    assert await garage.count("extra_field_definitions") == 1


async def test_what_is_gone_already_does_not_hinder(
    run_import: Import, write: Write, garage: Garage, target: Target
) -> None:
    report = await run_import(write())
    async with garage.database.session(garage.tenant_id) as session:
        await session.execute(text("DELETE FROM vehicles"))
        await session.execute(text("DELETE FROM memberships WHERE role = 'member'"))

    await roll_back(target, report.run or 0)

    assert await garage.count("import_items") == 0
