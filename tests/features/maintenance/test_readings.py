"""The odometer readings that records give, with the preference `auto_odometer`."""

import asyncio
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from motovaultpro.features.maintenance.contracts import MaintenanceKind
from motovaultpro.features.maintenance.schemas import MaintenanceRecordCreate
from motovaultpro.features.maintenance.service import MaintenanceService
from motovaultpro.features.users import facade as users
from tests.factories.garages import Garage, make_vehicle
from tests.features.maintenance.records import make_record, url_of


@pytest.fixture
async def keeping(garage: Garage) -> Garage:
    """A garage whose owner wants readings kept."""
    await prefer(garage, auto_odometer=True)
    return garage


async def prefer(garage: Garage, *, auto_odometer: bool) -> None:
    async with garage.database.session(garage.tenant_id) as session:
        await users.set_preferences(
            session, garage.tenant_id, garage.owner.user_id, {"auto_odometer": auto_odometer}
        )


async def readings(garage: Garage, vehicle_id: int) -> list[dict[str, Any]]:  # Any: JSON
    page = await garage.client.get(f"/api/v1/vehicles/{vehicle_id}/odometer-records")
    items: list[dict[str, Any]] = page.json()["items"]
    names = ("recorded_on", "odometer", "source_type", "source_id")
    return [{name: item[name] for name in names} for item in items]


def reading(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "recorded_on": record["performed_on"],
        "odometer": record["odometer"],
        "source_type": record["kind"],
        "source_id": record["id"],
    }


async def test_a_record_gives_its_reading(keeping: Garage) -> None:
    vehicle = await make_vehicle(keeping.client)
    record = await make_record(keeping.client, vehicle["id"], odometer=15000, kind="repair")
    assert await readings(keeping, vehicle["id"]) == [reading(record)]


@pytest.mark.parametrize("odometer", [None, 0])
async def test_a_record_without_a_reading_gives_none(keeping: Garage, odometer: int | None) -> None:
    vehicle = await make_vehicle(keeping.client)
    await make_record(keeping.client, vehicle["id"], odometer=odometer)
    assert await readings(keeping, vehicle["id"]) == []


async def test_without_the_preference_nothing_is_given(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    record = await make_record(garage.client, vehicle["id"], odometer=15000)
    await garage.client.patch(url_of(vehicle["id"], record["id"]), json={"odometer": 15001})
    assert await readings(garage, vehicle["id"]) == []


@pytest.mark.parametrize("still_wanted", [True, False])
async def test_a_reading_follows_its_record(keeping: Garage, still_wanted: bool) -> None:
    vehicle = await make_vehicle(keeping.client)
    record = await make_record(keeping.client, vehicle["id"], odometer=15000)
    await prefer(keeping, auto_odometer=still_wanted)
    url = url_of(vehicle["id"], record["id"])
    change = {"odometer": 16000, "performed_on": "2026-05-05", "kind": "upgrade"}
    changed = (await keeping.client.patch(url, json=change)).json()
    assert await readings(keeping, vehicle["id"]) == [reading(changed)]
    await keeping.client.patch(url, json={"odometer": None})
    assert await readings(keeping, vehicle["id"]) == []


async def test_a_reading_goes_with_its_record(keeping: Garage) -> None:
    vehicle = await make_vehicle(keeping.client)
    record = await make_record(keeping.client, vehicle["id"], odometer=15000)
    kept = await make_record(keeping.client, vehicle["id"], odometer=15500)
    await prefer(keeping, auto_odometer=False)
    await keeping.client.delete(url_of(vehicle["id"], record["id"]))
    assert await readings(keeping, vehicle["id"]) == [reading(kept)]


async def test_writers_of_one_vehicle_never_wait_for_each_other(keeping: Garage) -> None:
    vehicle = await make_vehicle(keeping.client)

    async def create(reading: int) -> None:
        # Not through the API: that tries again after a deadlock.
        async with keeping.database.session(keeping.tenant_id) as session:
            service = MaintenanceService(session, keeping.owner, keeping.app.state.clock)
            await service.create(
                vehicle["id"],
                MaintenanceRecordCreate(
                    kind=MaintenanceKind.SERVICE,
                    performed_on=date(2026, 5, 4),
                    odometer=Decimal(reading),
                    description="Oil",
                    cost=Decimal(1),
                ),
            )

    await asyncio.gather(*(create(1000 + n) for n in range(8)))
    assert len(await readings(keeping, vehicle["id"])) == 8
