"""Readings that fill-ups give to the odometer's history."""

from typing import Any

import pytest

from motovaultpro.features.users import facade as users
from tests.factories.fuel import fill_up, fuel_path, record_fill_up
from tests.factories.garages import Garage, make_vehicle


async def prefer_auto_odometer(garage: Garage, wanted: bool = True) -> None:
    async with garage.database.session(garage.tenant_id) as session:
        await users.set_preferences(
            session, garage.tenant_id, garage.owner.user_id, {"auto_odometer": wanted}
        )


async def readings(garage: Garage, vehicle: dict[str, Any]) -> list[Any]:  # Any: JSON
    """(day, reading, distance, fuel record) of each linked or typed reading, oldest first."""
    path = f"/api/v1/vehicles/{vehicle['id']}/odometer-records"
    names = ("recorded_on", "odometer", "distance", "source_id")
    items = (await garage.client.get(path)).json()["items"]
    return [tuple(item[name] for name in names) for item in reversed(items)]


async def test_a_reading_comes_follows_and_goes_with_its_fill_up(garage: Garage) -> None:
    await prefer_auto_odometer(garage)
    vehicle = await make_vehicle(garage.client)
    first = await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", 1000, 10))
    second = await record_fill_up(garage.client, vehicle, fill_up("2024-01-05", 13000, 10))
    assert await readings(garage, vehicle) == [
        ("2024-01-01", 1000, 0, first["id"]),
        ("2024-01-05", 13000, 12000, second["id"]),
    ]

    path = f"{fuel_path(vehicle)}/{second['id']}"
    await garage.client.patch(path, json={"odometer": 1300, "filled_on": "2024-01-06"})
    assert (await readings(garage, vehicle))[1] == ("2024-01-06", 1300, 300, second["id"])

    await garage.client.delete(path)
    assert await readings(garage, vehicle) == [("2024-01-01", 1000, 0, first["id"])]


async def test_a_late_entry_is_not_refused(garage: Garage) -> None:
    await prefer_auto_odometer(garage)
    vehicle = await make_vehicle(garage.client)
    for day, odometer in (("2024-01-09", 1000), ("2024-01-05", 900), ("2024-01-07", 700)):
        await record_fill_up(garage.client, vehicle, fill_up(day, odometer, 10))
    assert [reading[:3] for reading in await readings(garage, vehicle)] == [
        ("2024-01-05", 900, 0),
        ("2024-01-07", 700, 0),
        ("2024-01-09", 1000, 0),
    ]


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_fill_up_gives_no_reading_that_it_has_not_or_that_nobody_wants(
    garage: Garage, wanted: bool
) -> None:
    await prefer_auto_odometer(garage, wanted)
    vehicle = await make_vehicle(garage.client, odometer_optional=True)
    body = fill_up("2024-01-01", None if wanted else 1000, 10)
    record = await record_fill_up(garage.client, vehicle, body)
    await garage.client.patch(f"{fuel_path(vehicle)}/{record['id']}", json={"notes": "x"})
    assert await readings(garage, vehicle) == []


async def test_a_reading_that_is_there_is_kept_right_whoever_edits(garage: Garage) -> None:
    await prefer_auto_odometer(garage)
    vehicle = await make_vehicle(garage.client)
    record = await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", 1000, 10))
    await prefer_auto_odometer(garage, wanted=False)
    path = f"{fuel_path(vehicle)}/{record['id']}"
    await garage.client.patch(path, json={"odometer": 1100})
    assert await readings(garage, vehicle) == [("2024-01-01", 1100, 0, record["id"])]
    await garage.client.patch(path, json={"odometer": 0})
    assert await readings(garage, vehicle) == []
