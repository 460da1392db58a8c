import asyncio
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from motovaultpro.core import bulk
from motovaultpro.features.extra_fields.contracts import RecordType
from motovaultpro.features.odometer import facade
from motovaultpro.features.odometer.contracts import ImportedOdometerRecord, Sums
from tests.factories.garages import Garage, make_vehicle


def imported(day: int, initial: int, odometer: int, **fields: Any) -> ImportedOdometerRecord:
    return ImportedOdometerRecord(
        recorded_on=date(2024, 1, 1) + timedelta(days=day),
        initial_odometer=Decimal(initial),
        odometer=Decimal(odometer),
        **fields,
    )


async def bring(garage: Garage, vehicle_id: int, *records: ImportedOdometerRecord) -> list[int]:
    async with garage.database.session(garage.tenant_id) as session:
        return await facade.import_records(session, garage.tenant_id, vehicle_id, records)


async def stored(garage: Garage, vehicle_id: int) -> list[Any]:  # Any: JSON
    """Oldest first."""
    path = f"/api/v1/vehicles/{vehicle_id}/odometer-records"
    items = (await garage.client.get(path, params={"limit": 500})).json()["items"]
    return list(reversed(items))


async def give_reading(garage: Garage, vehicle_id: int, source_id: int, odometer: int) -> None:
    async with garage.database.session(garage.tenant_id) as session:
        await facade.record_reading(
            session,
            garage.owner,
            vehicle_id,
            recorded_on=date(2024, 1, 1),
            odometer=Decimal(odometer),
            source_type=RecordType.SERVICE,
            source_id=source_id,
            notes="Oil change",
        )


async def test_records_come_in_as_they_were_even_backwards(
    garage: Garage, monkeypatch: Any
) -> None:
    monkeypatch.setattr(bulk, "ROWS_A_STATEMENT", 2)
    vehicle_id = (await make_vehicle(garage.client))["id"]
    ids = await bring(
        garage,
        vehicle_id,
        imported(9, 900, 800, notes="back", tags=("a b",)),
        imported(1, 0, 500, extra_fields=({"name": "Driver", "value": "Ada"},)),
        imported(5, 500, 900),
    )
    records = await stored(garage, vehicle_id)
    assert [record["id"] for record in records] == [ids[1], ids[2], ids[0]]
    assert [record["distance"] for record in records] == [500, 400, -100]
    assert (records[2]["notes"], records[2]["tags"]) == ("back", ["a b"])
    assert records[0]["extra_fields"] == [{"name": "Driver", "value": "Ada"}]
    path = f"/api/v1/vehicles/{vehicle_id}/odometer-records/{ids[0]}"
    assert (await garage.client.patch(path, json={"notes": "still"})).is_success


async def test_an_update_overwrites_one_record_and_says_when_it_is_gone(garage: Garage) -> None:
    vehicle_id = (await make_vehicle(garage.client))["id"]
    (record_id,) = await bring(garage, vehicle_id, imported(1, 0, 500))
    changed = imported(2, 100, 600, notes="n", tags=["t"])
    async with garage.database.session(garage.tenant_id) as session:
        arguments = (session, garage.tenant_id, vehicle_id)
        assert await facade.update_imported(*arguments, record_id, changed)
        assert not await facade.update_imported(*arguments, record_id + 1000, changed)
    (record,) = await stored(garage, vehicle_id)
    assert (record["recorded_on"], record["distance"]) == ("2024-01-03", 500)
    assert (record["notes"], record["tags"]) == ("n", ["t"])


async def test_sums_and_removal_know_the_records_named(
    garage: Garage, other_garage: Garage
) -> None:
    vehicle_id = (await make_vehicle(garage.client))["id"]
    ids = await bring(garage, vehicle_id, *(imported(day, 0, 100) for day in range(4)))
    async with other_garage.database.session(other_garage.tenant_id) as session:
        arguments = (session, other_garage.tenant_id)
        assert await facade.remove_records(*arguments, vehicle_id, ids) == 0
        assert (await facade.sums(*arguments, ids)).records == 0
    async with garage.database.session(garage.tenant_id) as session:
        assert await facade.sums(session, garage.tenant_id, ids[:3]) == Sums(
            records=3, distance=Decimal(300)
        )
        assert await facade.remove_records(session, garage.tenant_id, vehicle_id, ids[:3]) == 3
        assert await facade.remove_records(session, garage.tenant_id, vehicle_id, ids[:3]) == 0
    assert [record["id"] for record in await stored(garage, vehicle_id)] == ids[3:]


async def test_a_record_gives_one_reading_however_often_it_is_told(garage: Garage) -> None:
    vehicle_id = (await make_vehicle(garage.client))["id"]
    for odometer in (1000, 1000, 1200):
        await give_reading(garage, vehicle_id, 7, odometer)
    (record,) = await stored(garage, vehicle_id)
    assert (record["source_type"], record["source_id"]) == ("service", 7)
    assert (record["odometer"], record["distance"]) == (1200, 0)
    assert record["notes"] == "Oil change"


async def test_a_reading_follows_its_record_to_another_kind(garage: Garage) -> None:
    vehicle_id = (await make_vehicle(garage.client))["id"]
    await give_reading(garage, vehicle_id, 7, 1000)
    async with garage.database.session(garage.tenant_id) as session:
        await facade.move_reading(
            session,
            garage.tenant_id,
            source_id=7,
            from_type=RecordType.SERVICE,
            to_type=RecordType.REPAIR,
        )
    (record,) = await stored(garage, vehicle_id)
    assert (record["source_type"], record["source_id"]) == ("repair", 7)


async def test_parallel_readings_each_start_where_the_last_one_ended(garage: Garage) -> None:
    vehicle_id = (await make_vehicle(garage.client))["id"]
    readings = [give_reading(garage, vehicle_id, n, 1000 + n) for n in range(1, 16)]
    await asyncio.gather(*readings)
    records = await stored(garage, vehicle_id)
    # Whatever the order: one that came after a higher one starts at what was below it.
    by_arrival = sorted(records, key=lambda record: record["id"])
    for number, record in enumerate(by_arrival):
        before = [r["odometer"] for r in by_arrival[:number] if r["odometer"] < record["odometer"]]
        assert record["initial_odometer"] == max(before, default=record["odometer"])
