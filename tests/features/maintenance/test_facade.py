"""What an import does with maintenance records, and what the dashboard is given."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from motovaultpro.features.maintenance import facade as maintenance
from motovaultpro.features.maintenance.contracts import (
    ImportedMaintenanceRecord,
    MaintenanceKind,
    Sums,
)
from motovaultpro.features.users import facade as users
from tests.factories.garages import Garage, make_vehicle
from tests.features.maintenance.records import make_record, url_of

OIL = ImportedMaintenanceRecord(
    kind=MaintenanceKind.SERVICE,
    performed_on=date(2020, 2, 29),
    odometer=Decimal(12345),
    description="Oil",
    cost=Decimal("59.90"),
    currency="EUR",
    notes="line 1\nline 2",
    tags=["a", "b"],
    extra_fields=[{"name": "Mechanic", "value": "Ada"}],
)


async def import_records(
    garage: Garage, vehicle_id: int, *records: ImportedMaintenanceRecord
) -> list[int]:
    async with garage.database.session(garage.tenant_id) as session:
        return await maintenance.import_records(session, garage.tenant_id, vehicle_id, records)


async def test_imports_records_as_they_were(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    [record_id] = await import_records(garage, vehicle["id"], OIL)
    answer = await garage.client.get(url_of(vehicle["id"], record_id))
    record = answer.json()
    assert '"cost":59.90,' in answer.text
    expected = {
        "kind": "service",
        "performed_on": "2020-02-29",
        "odometer": 12345,
        "description": "Oil",
        "currency": "EUR",
        "notes": "line 1\nline 2",
        "tags": ["a", "b"],
        "extra_fields": [{"name": "Mechanic", "value": "Ada"}],
        "line_items": [],
    }
    assert {name: record[name] for name in expected} == expected


async def test_answers_ids_in_the_order_of_the_records_and_tells_once(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    records = [
        replace(OIL, description=f"n{n}", performed_on=date(2030 - n % 7, 1, 1), odometer=None)
        for n in range(5001)
    ]
    ids = await import_records(garage, vehicle["id"], *records)
    for n in (0, 1, 4999, 5000):
        record = await garage.client.get(url_of(vehicle["id"], ids[n]))
        assert record.json()["description"] == f"n{n}"
    assert await garage.count("outbox WHERE type = 'maintenance_record.imported'") == 1
    assert await import_records(garage, vehicle["id"]) == []


async def test_an_import_keeps_the_monthly_sums(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    ids = await import_records(garage, vehicle["id"], OIL, OIL)
    monthly = "monthly_costs WHERE category = 'service' AND currency = 'EUR' AND amount = {} AND month > '-infinity'"
    assert await garage.count(monthly.format("119.80")) == 1
    async with garage.database.session(garage.tenant_id) as session:
        await maintenance.remove_records(session, garage.tenant_id, vehicle["id"], ids[:1])
    assert await garage.count(monthly.format("59.90")) == 1


async def test_overwrites_what_an_earlier_run_brought(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    [record_id] = await import_records(garage, vehicle["id"], OIL)
    url = url_of(vehicle["id"], record_id)
    line_item = {"kind": "part", "description": "x", "unit_price": 3}
    web = {"name": "Manual", "url": "https://example.org"}
    change = {"line_items": [line_item], "attachments": [web], "notes": "mine"}
    assert (await garage.client.patch(url, json=change)).status_code == 200
    newer = replace(OIL, kind=MaintenanceKind.REPAIR, cost=Decimal(70), odometer=None)
    async with garage.database.session(garage.tenant_id) as session:
        assert await maintenance.update_imported(
            session, garage.tenant_id, vehicle["id"], record_id, newer
        )
    record = (await garage.client.get(url)).json()
    assert record["kind"] == "repair"
    assert record["cost"] == 70
    assert record["odometer"] is None
    assert record["notes"] == OIL.notes
    assert record["line_items"] == []
    assert [a["name"] for a in record["attachments"]] == ["Manual"]


async def test_says_when_the_record_is_gone(garage: Garage, other_garage: Garage) -> None:
    vehicle, another = await make_vehicle(garage.client), await make_vehicle(garage.client)
    [record_id] = await import_records(garage, vehicle["id"], OIL)
    async with garage.database.session(garage.tenant_id) as session:
        for vehicle_id, wanted in ((another["id"], record_id), (vehicle["id"], 2**62)):
            assert not await maintenance.update_imported(
                session, garage.tenant_id, vehicle_id, wanted, OIL
            )
    async with garage.database.session(other_garage.tenant_id) as session:
        assert not await maintenance.update_imported(
            session, other_garage.tenant_id, vehicle["id"], record_id, OIL
        )


async def test_removes_exactly_what_a_run_brought(garage: Garage) -> None:
    vehicle, another = await make_vehicle(garage.client), await make_vehicle(garage.client)
    mine = await make_record(garage.client, vehicle["id"])
    ids = await import_records(
        garage, vehicle["id"], OIL, replace(OIL, kind=MaintenanceKind.UPGRADE)
    )
    async with garage.database.session(garage.tenant_id) as session:
        await users.set_preferences(
            session, garage.tenant_id, garage.owner.user_id, {"auto_odometer": True}
        )
    change = {"odometer": 5, "attachments": [{"name": "a", "url": "https://example.org"}]}
    for record_id in ids:
        await garage.client.patch(url_of(vehicle["id"], record_id), json=change)
    assert await garage.count("odometer_records") == 2
    async with garage.database.session(garage.tenant_id) as session:
        removed = await maintenance.remove_records(
            session, garage.tenant_id, vehicle["id"], [*ids, 2**62]
        )
        elsewhere = await maintenance.remove_records(
            session, garage.tenant_id, another["id"], [mine["id"]]
        )
    assert (removed, elsewhere) == (2, 0)
    assert await garage.count("maintenance_records") == 1
    assert await garage.count("odometer_records") == 0
    assert await garage.count("attachments") == 0


async def test_sums_up_what_a_run_brought(garage: Garage, other_garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    ids = await import_records(garage, vehicle["id"], OIL, replace(OIL, cost=Decimal("0.10")), OIL)
    async with garage.database.session(garage.tenant_id) as session:
        assert await maintenance.sums(session, garage.tenant_id, ids[:2]) == Sums(
            records=2, cost=Decimal("60.00")
        )
        nothing = Sums(records=0, cost=Decimal(0))
        assert await maintenance.sums(session, garage.tenant_id, []) == nothing
        assert await maintenance.sums(session, other_garage.tenant_id, ids) == nothing


@pytest.fixture
async def glance(garage: Garage) -> dict[str, Any]:  # Any: JSON
    """What the dashboard reads of a vehicle with seven services, a repair, and a record without a reading."""
    vehicle = await make_vehicle(garage.client)
    services = [
        replace(OIL, performed_on=date(2020, 1, n), odometer=Decimal(1000 + n)) for n in range(1, 8)
    ]
    repair = replace(OIL, kind=MaintenanceKind.REPAIR, odometer=Decimal(9000))
    unread = replace(OIL, performed_on=date(2019, 1, 1), odometer=Decimal(0))
    await import_records(garage, vehicle["id"], *services, repair, unread)
    async with garage.database.session(garage.tenant_id) as session:
        found: str = await session.scalar(
            text(
                f"SELECT json_build_object('services', {maintenance.LATEST_SERVICES}, 'ends', ("
                f" SELECT row_to_json(ends) FROM ({maintenance.READINGS}) ends))::text FROM vehicles v WHERE v.id = :id"
            ),
            {"id": vehicle["id"]},
        )
    read: dict[str, Any] = orjson.loads(found)
    return read


async def test_the_dashboard_gets_the_five_latest_services(glance: dict[str, Any]) -> None:
    days = [service["performed_on"] for service in glance["services"]]
    assert days == [f"2020-01-0{n}" for n in (7, 6, 5, 4, 3)]
    assert set(glance["services"][0]) == {
        "id",
        "performed_on",
        "description",
        "odometer",
        "cost",
        "currency",
    }


async def test_the_dashboard_gets_the_ends_of_the_readings(glance: dict[str, Any]) -> None:
    assert glance["ends"] == {"highest": 9000, "lowest": 1001}
