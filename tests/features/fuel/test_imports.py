from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from motovaultpro.core import bulk
from motovaultpro.core.units import VolumeUnit
from motovaultpro.features.fuel import facade, repository
from motovaultpro.features.fuel.contracts import ImportedFuelRecord, Sums
from motovaultpro.features.users import facade as users
from tests.factories.fill_ups import FIRST_DAY
from tests.factories.fuel import fill_up, fuel_path, fuel_records, record_fill_up
from tests.factories.garages import Garage, make_vehicle

ELECTRIC = {"kind": "electric"}


def imported(
    vehicle: dict[str, Any], day: int, odometer: int, **changes: Any
) -> ImportedFuelRecord:
    record = ImportedFuelRecord(
        energy_source_id=vehicle["energy_sources"][0]["id"],
        filled_on=FIRST_DAY + timedelta(days=day),
        odometer=Decimal(odometer),
        volume=Decimal("10.50"),
        volume_unit=VolumeUnit.US_GAL,
        cost=Decimal("33.10"),
        currency="USD",
    )
    return replace(record, **changes)


async def bring(
    garage: Garage, vehicle: dict[str, Any], records: Sequence[ImportedFuelRecord]
) -> list[int]:
    async with garage.database.session(garage.tenant_id) as session:
        return await facade.import_records(session, garage.tenant_id, vehicle["id"], records)


async def test_records_come_in_as_they_were_and_ids_in_their_order(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    ids = await bring(
        garage,
        vehicle,
        [
            imported(vehicle, 9, 1500, notes="a 'quoted' note\n", tags=("x", "y z")),
            imported(vehicle, 1, 1000, extra_fields=({"name": "Octane", "value": "95"},)),
            imported(vehicle, 5, 0, volume=Decimal(0)),
        ],
    )
    records = await fuel_records(garage.client, vehicle)
    assert [record["id"] for record in records] == [ids[1], ids[2], ids[0]]
    assert [record["segment_distance"] for record in records] == [None, None, 500]
    assert (records[2]["notes"], records[2]["tags"]) == ("a 'quoted' note\n", ["x", "y z"])
    assert records[0]["extra_fields"] == [{"name": "Octane", "value": "95"}]
    assert (records[1]["volume"], records[1]["unit_price"]) == (0, None)
    assert records[0]["volume"] == 10.50


async def test_chunks_make_one_history(garage: Garage, monkeypatch: Any) -> None:
    monkeypatch.setattr(repository, "_CHUNK", 7)
    monkeypatch.setattr(bulk, "ROWS_A_STATEMENT", 7)
    vehicle = await make_vehicle(garage.client)
    ids = await bring(
        garage,
        vehicle,
        [imported(vehicle, n, 1000 + 100 * n, is_full=n % 3 == 0) for n in range(30)],
    )
    records = await fuel_records(garage.client, vehicle)
    assert [record["id"] for record in records] == ids
    closing = [r["segment_distance"] for r in records if r["segment_distance"] is not None]
    assert closing == [300] * 9


async def test_an_import_among_existing_records_derives_their_values_too(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    for day, odometer in (("2024-01-02", 1000), ("2024-01-20", 2000)):
        await record_fill_up(garage.client, vehicle, fill_up(day, odometer, 10))
    await bring(garage, vehicle, [imported(vehicle, 10, 1400)])
    records = await fuel_records(garage.client, vehicle)
    assert [record["segment_distance"] for record in records] == [None, 400, 600]


async def test_states_of_charge_come_in_for_batteries_only(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client, energy_sources=[{"kind": "petrol"}, ELECTRIC])
    petrol, electric = (source["id"] for source in vehicle["energy_sources"])
    levels = {"soc_start": 20, "soc_end": 80, "is_full": False}
    kwh = {"energy_source_id": electric, "volume_unit": VolumeUnit.KWH}
    await bring(
        garage,
        vehicle,
        [
            imported(vehicle, 1, 1000, **levels),
            imported(vehicle, 2, 1100, **levels),
            imported(vehicle, 1, 1000, **levels, **kwh),
            imported(vehicle, 2, 1100, **levels, **kwh),
        ],
    )
    records = await fuel_records(garage.client, vehicle)
    of_petrol = [record for record in records if record["energy_source_id"] == petrol]
    of_battery = [record for record in records if record["energy_source_id"] == electric]
    assert {(r["soc_end"], r["segment_distance"]) for r in of_petrol} == {(None, None)}
    assert [(r["soc_end"], r["segment_distance"]) for r in of_battery] == [(80, None), (80, 100)]


async def test_an_update_overwrites_one_record_and_says_when_it_is_gone(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    ids = await bring(garage, vehicle, [imported(vehicle, day, 1000 + day) for day in (1, 2)])
    changed = imported(vehicle, 2, 1900, notes="again", tags=["new"], volume=Decimal(9))
    async with garage.database.session(garage.tenant_id) as session:
        arguments = (session, garage.tenant_id, vehicle["id"])
        assert await facade.update_imported(*arguments, ids[1], changed)
        assert not await facade.update_imported(*arguments, ids[1] + 1000, changed)
    records = await fuel_records(garage.client, vehicle)
    assert [record["segment_distance"] for record in records] == [None, 899]
    assert (records[1]["notes"], records[1]["tags"]) == ("again", ["new"])


async def test_sums_are_those_of_the_records_named(garage: Garage, other_garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    ids = await bring(garage, vehicle, [imported(vehicle, day, 1000 + day) for day in (1, 2, 3)])
    async with garage.database.session(garage.tenant_id) as session:
        assert await facade.sums(session, garage.tenant_id, ids[1:]) == Sums(
            records=2, cost=Decimal("66.20"), volume=Decimal("21.00"), distance=Decimal(2)
        )
        empty = Sums(records=0, cost=Decimal(0), volume=Decimal(0), distance=Decimal(0))
        assert await facade.sums(session, garage.tenant_id, []) == empty
    async with other_garage.database.session(other_garage.tenant_id) as session:
        assert await facade.sums(session, other_garage.tenant_id, ids) == empty


async def test_removing_takes_attachments_readings_and_sums_along(garage: Garage) -> None:
    async with garage.database.session(garage.tenant_id) as session:
        await users.set_preferences(
            session, garage.tenant_id, garage.owner.user_id, {"auto_odometer": True}
        )
    vehicle = await make_vehicle(garage.client)
    ids = await bring(garage, vehicle, [imported(vehicle, day, 1000 + day) for day in (1, 2)])
    later = await record_fill_up(garage.client, vehicle, fill_up("2024-02-01", 2000, 10))
    link = {"name": "Receipt", "url": "https://example.org/receipt"}
    path = f"{fuel_path(vehicle)}/{ids[1]}"
    await garage.client.patch(path, json={"attachments": [link], "odometer": 1003})
    assert (await garage.count("attachments"), await garage.count("odometer_records")) == (1, 2)
    async with garage.database.session(garage.tenant_id) as session:
        arguments = (session, garage.tenant_id, vehicle["id"])
        assert await facade.remove_records(*arguments, [*ids, ids[1] + 1000]) == 2
    assert (await garage.count("attachments"), await garage.count("odometer_records")) == (0, 1)
    (kept,) = await fuel_records(garage.client, vehicle)
    assert (kept["id"], kept["distance"]) == (later["id"], 0)


async def test_a_record_whose_unit_cannot_be_converted_counts_as_missed(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    odd = imported(vehicle, 5, 1300, volume_unit=VolumeUnit.KWH)
    ids = await bring(
        garage, vehicle, [imported(vehicle, 1, 1000), odd, imported(vehicle, 9, 1500)]
    )
    records = await fuel_records(garage.client, vehicle)
    assert [record["distance"] for record in records] == [0, 300, 200]
    assert [record["segment_distance"] for record in records] == [None, None, 200]
    changed = await garage.client.patch(f"{fuel_path(vehicle)}/{ids[1]}", json={"notes": "odd"})
    assert changed.json()["notes"] == "odd"
