from typing import Any

import pytest
from dirty_equals import IsInt, IsStr
from httpx import codes

from motovaultpro.core.units import VolumeUnit
from motovaultpro.features.extra_fields import facade as extra_fields
from motovaultpro.features.extra_fields.contracts import FieldType, RecordType
from tests.factories.fuel import fill_up, fuel_path, fuel_records, record_fill_up
from tests.factories.garages import Garage, make_vehicle

PETROL = {"kind": "petrol", "volume_unit": "l"}
LPG = {"kind": "lpg", "volume_unit": "l"}
ELECTRIC = {"kind": "electric"}


async def test_a_fill_up_takes_units_and_currency_from_the_vehicle(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client, currency="EUR", energy_sources=[PETROL])
    answer = await garage.client.post(
        fuel_path(vehicle), json=fill_up("2024-01-01", "1000.5", "40.25", cost="70.00")
    )
    assert answer.status_code == codes.CREATED
    assert answer.json() == {
        "id": IsInt,
        "vehicle_id": vehicle["id"],
        "energy_source_id": vehicle["energy_sources"][0]["id"],
        "filled_on": "2024-01-01",
        "odometer": 1000.5,
        "volume": 40.25,
        "volume_unit": "l",
        "cost": 70.0,
        "unit_price": 1.7391,
        "currency": "EUR",
        "is_full": True,
        "is_missed": False,
        "soc_start": None,
        "soc_end": None,
        "distance": 0,
        "segment_distance": None,
        "segment_volume": None,
        "economy": None,
        "notes": "",
        "tags": [],
        "extra_fields": [],
        "attachments": [],
        "created_at": IsStr,
        "updated_at": IsStr,
    }
    assert '"cost":70.00,' in answer.text  # the digits that were typed
    location = answer.headers["Location"]
    assert location == f"{fuel_path(vehicle)}/{answer.json()['id']}"
    assert (await garage.client.get(location)).content == answer.content


async def test_a_full_tank_shows_the_economy_since_the_last_one(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", 1000, 10))
    await record_fill_up(garage.client, vehicle, fill_up("2024-01-05", 1100, 4, is_full=False))
    closing = await record_fill_up(garage.client, vehicle, fill_up("2024-01-09", 1300, 8.5))
    names = ("distance", "segment_distance", "segment_volume", "economy")
    assert [closing[name] for name in names] == [200, 300, 12.5, 24]


@pytest.mark.parametrize(
    ("volume", "unit_price", "cost"),
    [("12.5", "3.459", 43.24), ("10", "0.0005", 0.01), ("10", "0", 0)],
)
async def test_the_cost_follows_from_the_unit_price_rounded_to_cents(
    garage: Garage, volume: str, unit_price: str, cost: float
) -> None:
    vehicle = await make_vehicle(garage.client)
    body = fill_up("2024-01-01", 1000, volume, cost=None, unit_price=unit_price)
    assert (await record_fill_up(garage.client, vehicle, body))["cost"] == cost


async def test_one_reading_may_be_missing_where_the_vehicle_says_so(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client, odometer_optional=True)
    record = await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", None, 10))
    assert record["odometer"] == 0
    path = f"{fuel_path(vehicle)}/{record['id']}"
    assert (await garage.client.patch(path, json={"odometer": 1000})).json()["odometer"] == 1000
    assert (await garage.client.patch(path, json={"odometer": None})).json()["odometer"] == 0


async def test_a_volume_in_another_unit_counts_in_that_of_the_energy_source(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client, energy_sources=[PETROL])
    await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", 1000, 40))
    record = await record_fill_up(
        garage.client, vehicle, fill_up("2024-01-05", 1300, 10, volume_unit="us_gal")
    )
    assert (record["volume"], record["volume_unit"]) == (10, "us_gal")
    assert record["segment_volume"] == pytest.approx(37.85411784)


async def test_a_charge_is_corrected_by_the_state_of_charge(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client, energy_sources=[ELECTRIC])
    for body in (
        fill_up("2024-01-01", 1000, 9, is_full=False, soc_start=50, soc_end=80),
        fill_up("2024-01-05", 1300, 30, is_full=False, soc_start=20, soc_end=70),
    ):
        record = await record_fill_up(garage.client, vehicle, body)
    assert (record["volume_unit"], record["segment_volume"]) == ("kwh", 36)


async def test_a_record_that_moves_is_counted_where_it_went_and_no_more_where_it_was(
    garage: Garage,
) -> None:
    vehicle = await make_vehicle(garage.client, energy_sources=[PETROL, LPG])
    petrol, lpg = (source["id"] for source in vehicle["energy_sources"])
    for day, odometer, source in (
        ("2024-01-01", 1000, petrol),
        ("2024-01-02", 1050, lpg),
        ("2024-01-05", 1200, petrol),
        ("2024-01-09", 1500, petrol),
    ):
        body = fill_up(day, odometer, 10, energy_source_id=source)
        last = await record_fill_up(garage.client, vehicle, body)
    moved = (await fuel_records(garage.client, vehicle))[2]
    path = f"{fuel_path(vehicle)}/{moved['id']}"

    await garage.client.patch(path, json={"energy_source_id": lpg})
    distances = [r["segment_distance"] for r in await fuel_records(garage.client, vehicle)]
    assert distances == [None, None, 150, 500]

    await garage.client.patch(path, json={"energy_source_id": petrol, "filled_on": "2024-01-20"})
    distances = [r["segment_distance"] for r in await fuel_records(garage.client, vehicle)]
    assert distances == [None, None, 500, None]
    assert (await garage.client.delete(f"{fuel_path(vehicle)}/{last['id']}")).status_code == 204
    distances = [r["segment_distance"] for r in await fuel_records(garage.client, vehicle)]
    assert distances == [None, None, 200]


async def test_an_update_changes_what_it_names_and_nothing_else(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    body = fill_up("2024-01-01", 1000, 10, notes="Shell", tags=["trip", "trip", "towing"])
    record = await record_fill_up(garage.client, vehicle, body)
    path = f"{fuel_path(vehicle)}/{record['id']}"
    changed = (await garage.client.patch(path, json={"volume": 20, "is_full": False})).json()
    assert record["tags"] == ["trip", "towing"]
    assert changed == {
        **record,
        "volume": 20,
        "is_full": False,
        "unit_price": 2.0,
        "updated_at": IsStr,
    }
    assert (await garage.client.patch(path, json={"unit_price": "1.999"})).json()["cost"] == 39.98


async def test_records_come_newest_first_in_pages_by_day_and_tag(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    for day in (3, 1, 2, 4):
        body = fill_up(f"2024-01-0{day}", 1000 + day, 1, tags=["even"] if day % 2 == 0 else [])
        await record_fill_up(garage.client, vehicle, body)

    async def days(**params: Any) -> tuple[list[int], str | None]:  # Any: query parameters
        page = (await garage.client.get(fuel_path(vehicle), params=params)).json()
        return [int(item["filled_on"][-2:]) for item in page["items"]], page["next_cursor"]

    first, cursor = await days(limit=3)
    assert first == [4, 3, 2]
    assert await days(limit=3, cursor=cursor) == ([1], None)
    assert await days(tag="even") == ([4, 2], None)
    assert await days(**{"from": "2024-01-02", "to": "2024-01-03"}) == ([3, 2], None)


async def test_a_record_carries_attachments_and_extra_fields(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    link = {"name": "Receipt", "url": "https://example.org/receipt"}
    field = {"name": "Station", "value": "Shell"}
    body = fill_up("2024-01-01", 1000, 10, attachments=[link], extra_fields=[field])
    record = await record_fill_up(garage.client, vehicle, body)
    assert record["extra_fields"] == [field]
    assert [(a["name"], a["url"]) for a in record["attachments"]] == [
        ("Receipt", "https://example.org/receipt")
    ]
    path = f"{fuel_path(vehicle)}/{record['id']}"
    changed = (await garage.client.patch(path, json={"attachments": [], "extra_fields": []})).json()
    assert (changed["attachments"], changed["extra_fields"]) == ([], [])
    await garage.client.patch(path, json={"attachments": [link]})
    await garage.client.delete(path)
    assert await garage.count("attachments") == 0


async def test_extra_fields_are_held_against_their_definitions(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    async with garage.database.session(garage.tenant_id) as session:
        await extra_fields.define(
            session, garage.tenant_id, RecordType.FUEL, [("Octane", FieldType.NUMBER, False)]
        )
    wrong = [{"name": "Octane", "value": "high"}]
    answer = await garage.client.post(
        fuel_path(vehicle), json=fill_up("2024-01-01", 1000, 10, extra_fields=wrong)
    )
    assert answer.status_code == codes.UNPROCESSABLE_ENTITY
    record = await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", 1000, 10))
    path = f"{fuel_path(vehicle)}/{record['id']}"
    answer = await garage.client.patch(path, json={"extra_fields": wrong})
    assert answer.status_code == codes.UNPROCESSABLE_ENTITY


async def test_a_repeated_post_with_its_key_adds_one_record(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    headers = {"Idempotency-Key": "petrol-station"}
    body = fill_up("2024-01-01", 1000, 10)
    first, second = [
        await garage.client.post(fuel_path(vehicle), json=body, headers=headers) for _ in range(2)
    ]
    assert (second.status_code, second.content) == (codes.CREATED, first.content)
    assert await garage.count("fuel_records") == 1


async def test_only_the_version_that_was_seen_is_changed_or_deleted(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    record = await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", 1000, 10))
    path = f"{fuel_path(vehicle)}/{record['id']}"
    seen = (await garage.client.get(path)).headers["ETag"]
    known = await garage.client.get(path, headers={"If-None-Match": seen})
    assert known.status_code == codes.NOT_MODIFIED
    changed = await garage.client.patch(path, json={"notes": "a"}, headers={"If-Match": seen})
    assert changed.status_code == codes.OK
    for answer in (
        await garage.client.patch(path, json={"notes": "b"}, headers={"If-Match": seen}),
        await garage.client.delete(path, headers={"If-Match": seen}),
    ):
        assert answer.status_code == codes.PRECONDITION_FAILED
    assert (await garage.client.get(path)).json()["notes"] == "a"
    answer = await garage.client.delete(path, headers={"If-Match": changed.headers["ETag"]})
    assert answer.status_code == codes.NO_CONTENT
    assert (await garage.client.get(path)).status_code == codes.NOT_FOUND


WRONG = [
    ({"odometer": None}, "odometer"),
    ({"odometer": -1}, "odometer"),
    ({"odometer": "NaN"}, "odometer"),
    ({"odometer": "99999999999999"}, "odometer"),
    ({"volume": 0}, "volume"),
    ({"volume": "1e400"}, "volume"),
    ({"volume_unit": "kwh"}, "volume_unit"),
    ({"volume_unit": "barrel"}, "volume_unit"),
    ({"cost": -1}, "cost"),
    ({"cost": None}, "body"),
    ({"cost": None, "unit_price": "9999999999", "volume": "99999999"}, "unit_price"),
    ({"unit_price": 1}, "body"),
    ({"currency": "EURO"}, "currency"),
    ({"currency": "XXX"}, "currency"),
    ({"filled_on": "2024-02-30"}, "filled_on"),
    ({"filled_on": "1066-10-14"}, "filled_on"),
    ({"soc_start": 20, "soc_end": 80}, "soc_start"),
    ({"soc_end": 101}, "soc_end"),
    ({"energy_source_id": 9_007_199_254_740_993}, "energy_source_id"),
    ({"energy_source_id": 2**63}, "energy_source_id"),
    ({"tags": ["a" * 51]}, "tags.0"),
    ({"attachments": [{"name": "x"}]}, "attachments.0"),
    ({"attachments": [{"name": "x", "document_id": 1}]}, None),
    ({"distance": 10}, "distance"),
]


@pytest.mark.parametrize(("changes", "field"), WRONG)
async def test_refuses_wrong_values_on_a_new_record(
    garage: Garage, changes: dict[str, Any], field: str | None
) -> None:
    vehicle = await make_vehicle(garage.client)
    body = fill_up("2024-01-01", 1000, 10, **changes)
    answer = await garage.client.post(fuel_path(vehicle), json=body)
    assert answer.status_code == codes.UNPROCESSABLE_ENTITY, answer.text
    if field is not None:
        assert field in [error["field"] for error in answer.json()["fields"]]
    assert await garage.count("fuel_records") == 0


@pytest.mark.parametrize(
    "changes", [c for c, f in WRONG if c not in ({"cost": None}, {"unit_price": 1})]
)
async def test_refuses_wrong_values_in_an_update(garage: Garage, changes: dict[str, Any]) -> None:
    vehicle = await make_vehicle(garage.client)
    record = await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", 1000, 10))
    path = f"{fuel_path(vehicle)}/{record['id']}"
    changes = {k: v for k, v in changes.items() if k == "odometer" or v is not None}
    answer = await garage.client.patch(path, json=changes)
    assert answer.status_code == codes.UNPROCESSABLE_ENTITY, answer.text
    assert (await garage.client.get(path)).json() == record


async def test_refuses_two_prices_in_an_update(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    record = await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", 1000, 10))
    answer = await garage.client.patch(
        f"{fuel_path(vehicle)}/{record['id']}", json={"cost": 1, "unit_price": 1}
    )
    assert answer.status_code == codes.UNPROCESSABLE_ENTITY


@pytest.mark.parametrize("sources", [[PETROL, LPG], [PETROL, ELECTRIC]])
async def test_asks_which_energy_source_where_there_are_several(
    garage: Garage, sources: list[dict[str, str]]
) -> None:
    vehicle = await make_vehicle(garage.client, energy_sources=sources)
    answer = await garage.client.post(fuel_path(vehicle), json=fill_up("2024-01-01", 1000, 10))
    assert answer.status_code == codes.UNPROCESSABLE_ENTITY
    assert [error["field"] for error in answer.json()["fields"]] == ["energy_source_id"]


async def test_refuses_the_energy_source_of_another_vehicle(garage: Garage) -> None:
    vehicle, other = await make_vehicle(garage.client), await make_vehicle(garage.client)
    foreign = other["energy_sources"][0]["id"]
    answer = await garage.client.post(
        fuel_path(vehicle), json=fill_up("2024-01-01", 1000, 10, energy_source_id=foreign)
    )
    assert answer.status_code == codes.UNPROCESSABLE_ENTITY


async def test_a_charge_cannot_become_petrol_with_its_battery_levels(garage: Garage) -> None:
    sources = [{"kind": "petrol", "volume_unit": VolumeUnit.KWH}, ELECTRIC]
    vehicle = await make_vehicle(garage.client, energy_sources=sources)
    petrol, electric = (source["id"] for source in vehicle["energy_sources"])
    body = fill_up("2024-01-01", 1000, 10, energy_source_id=electric, soc_start=20, soc_end=80)
    record = await record_fill_up(garage.client, vehicle, body)
    path = f"{fuel_path(vehicle)}/{record['id']}"
    answer = await garage.client.patch(path, json={"energy_source_id": petrol})
    assert answer.status_code == codes.UNPROCESSABLE_ENTITY
    moved = {"energy_source_id": petrol, "soc_start": None, "soc_end": None}
    assert (await garage.client.patch(path, json=moved)).status_code == codes.OK
