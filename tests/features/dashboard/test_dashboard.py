from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI

from motovaultpro.app import create_app
from motovaultpro.core.settings import Settings
from tests.factories.garages import Garage, anonymous_client, make_garage, make_vehicle

TODAY = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """An application whose today is 21 November 2026."""
    application = create_app(settings, clock=lambda: TODAY)
    async with LifespanManager(application, 30, 30):
        await application.state.cache.wait_until_listening()
        yield application


@pytest.fixture
async def garage(app: FastAPI) -> AsyncIterator[Garage]:
    async with make_garage(app) as made:
        yield made


@pytest.fixture
async def other_garage(app: FastAPI) -> AsyncIterator[Garage]:
    async with make_garage(app) as made:
        yield made


async def fill_up(
    garage: Garage, vehicle: dict[str, Any], day: str, odometer: float, **fields: Any
) -> None:
    body = {"filled_on": day, "odometer": odometer, "volume": 10, "cost": 30, **fields}
    answer = await garage.client.post(f"/api/v1/vehicles/{vehicle['id']}/fuel-records", json=body)
    assert answer.status_code == 201, answer.text


async def service(
    garage: Garage, vehicle: dict[str, Any], day: str, cost: float, **fields: Any
) -> int:
    body = {
        "performed_on": day,
        "kind": "service",
        "description": f"On {day}",
        "cost": cost,
        **fields,
    }
    answer = await garage.client.post(
        f"/api/v1/vehicles/{vehicle['id']}/maintenance-records", json=body
    )
    assert answer.status_code == 201, answer.text
    record_id: int = answer.json()["id"]
    return record_id


async def dashboard_of(garage: Garage, vehicle: dict[str, Any]) -> dict[str, Any]:
    answer = await garage.client.get(f"/api/v1/vehicles/{vehicle['id']}/dashboard")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_vehicle_without_records_shows_nothing_but_itself(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    source = vehicle["energy_sources"][0]
    shown = await dashboard_of(garage, vehicle)
    assert (shown["make"], shown["last_odometer"], shown["total_distance"]) == ("Jeep", None, 0)
    assert shown["latest_services"] == []
    assert shown["next_reminders"] == []
    assert shown["costs"] == {"this_month": [], "this_year": [], "all_time": []}
    assert shown["economy"] == [
        {
            "energy_source_id": source["id"],
            "kind": "petrol",
            "volume_unit": "us_gal",
            "distance": 0,
            "volume": 0,
            "economy": None,
        }
    ]


async def test_shows_the_five_latest_services_newest_first(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    made = [await service(garage, vehicle, f"2026-0{month}-01", 10) for month in range(1, 8)]
    await service(garage, vehicle, "2026-09-09", 10, kind="repair")
    shown = await dashboard_of(garage, vehicle)
    assert [item["id"] for item in shown["latest_services"]] == made[:1:-1]
    assert shown["latest_services"][0] == {
        "id": made[-1],
        "performed_on": "2026-07-01",
        "description": "On 2026-07-01",
        "odometer": None,
        "cost": 10,
        "currency": "USD",
    }


async def test_economy_is_that_of_this_month_and_the_two_before(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    await fill_up(garage, vehicle, "2026-08-01", 1000)
    await fill_up(garage, vehicle, "2026-08-31", 2000)  # 100 mpg, but in August
    await fill_up(garage, vehicle, "2026-09-01", 2300)  # 300 mi on 10 gal
    await fill_up(garage, vehicle, "2026-10-15", 2400, is_full=False)
    await fill_up(garage, vehicle, "2026-11-21", 2500)  # 200 mi on 20 gal
    (economy,) = (await dashboard_of(garage, vehicle))["economy"]
    assert (economy["distance"], economy["volume"]) == (500, 30)
    assert economy["economy"] == pytest.approx(500 / 30)


async def test_distance_runs_over_all_kinds_of_records(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    await fill_up(garage, vehicle, "2026-01-01", 5000)
    await service(garage, vehicle, "2026-02-01", 10, odometer=4200)
    reading = {"recorded_on": "2026-03-01", "odometer": 6100.5}
    await garage.client.post(f"/api/v1/vehicles/{vehicle['id']}/odometer-records", json=reading)
    shown = await dashboard_of(garage, vehicle)
    assert (shown["last_odometer"], shown["total_distance"]) == (6100.5, 1900.5)


async def test_costs_by_period_category_and_currency(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    await fill_up(garage, vehicle, "2026-11-01", 1, cost=30.5)
    await fill_up(garage, vehicle, "2026-11-20", 2, cost=20, currency="EUR")
    await service(garage, vehicle, "2026-01-01", 100)
    await service(garage, vehicle, "2025-12-31", 7)
    shown = (await dashboard_of(garage, vehicle))["costs"]
    fuel = [
        {"category": "fuel", "currency": "EUR", "amount": 20},
        {"category": "fuel", "currency": "USD", "amount": 30.5},
    ]
    service_of_the_year = {"category": "service", "currency": "USD", "amount": 100}
    assert shown["this_month"] == fuel
    assert shown["this_year"] == [*fuel, service_of_the_year]
    assert shown["all_time"] == [*fuel, {**service_of_the_year, "amount": 107}]


async def test_a_write_shows_at_once(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    path = f"/api/v1/vehicles/{vehicle['id']}"
    for cost in (10, 20, 40):
        await service(garage, vehicle, "2026-11-02", cost)
        seen = [
            (await dashboard_of(garage, vehicle))["costs"]["this_month"][0]["amount"],
            (await garage.client.get("/api/dashboard")).json()["vehicles"][0]["costs"][
                "this_month"
            ][0]["amount"],
        ]
        assert seen == [cost * 2 - 10] * 2
    latest = (await dashboard_of(garage, vehicle))["latest_services"][0]["id"]
    await garage.client.delete(f"{path}/maintenance-records/{latest}")
    assert (await dashboard_of(garage, vehicle))["costs"]["this_month"][0]["amount"] == 30
    await garage.client.patch(path, json={"make": "Willys"})
    assert (await dashboard_of(garage, vehicle))["make"] == "Willys"


async def test_the_garage_shows_what_one_may_see(garage: Garage, other_garage: Garage) -> None:
    first, second = await make_vehicle(garage.client), await make_vehicle(garage.client)
    archived = await make_vehicle(garage.client)
    await garage.client.patch(f"/api/v1/vehicles/{archived['id']}", json={"is_archived": True})
    member = await garage.member("member")
    share = {"user_id": member.user_id, "vehicle_id": second["id"], "permission": "view"}
    await garage.client.post("/api/v1/shares", json=share)
    shown = (await garage.client.get("/api/dashboard")).json()
    assert shown["today"] == date(2026, 11, 21).isoformat()
    assert [item["vehicle_id"] for item in shown["vehicles"]] == [first["id"], second["id"]]
    client = await garage.client_of(member)
    assert [
        item["vehicle_id"] for item in (await client.get("/api/dashboard")).json()["vehicles"]
    ] == [second["id"]]
    assert (await other_garage.client.get("/api/dashboard")).json()["vehicles"] == []


async def test_the_garage_comes_in_pages(garage: Garage) -> None:
    made = [(await make_vehicle(garage.client))["id"] for _ in range(3)]
    first = (await garage.client.get("/api/dashboard?limit=2")).json()
    rest = (await garage.client.get(f"/api/dashboard?limit=2&cursor={first['next_cursor']}")).json()
    assert [item["vehicle_id"] for item in first["vehicles"] + rest["vehicles"]] == made
    assert rest["next_cursor"] is None


async def test_what_is_known_is_not_sent_again(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    for path in ("/api/dashboard", f"/api/v1/vehicles/{vehicle['id']}/dashboard"):
        headers = {"If-None-Match": (await garage.client.get(path)).headers["etag"]}
        assert (await garage.client.get(path, headers=headers)).status_code == 304


async def test_another_garage_finds_nothing_in_the_cache_either(
    garage: Garage, other_garage: Garage
) -> None:
    vehicle = await make_vehicle(garage.client)
    await dashboard_of(garage, vehicle)
    answer = await other_garage.client.get(f"/api/v1/vehicles/{vehicle['id']}/dashboard")
    assert answer.status_code == httpx.codes.NOT_FOUND


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "cursor=-1", "cursor=x"])
async def test_names_what_is_wrong(garage: Garage, query: str) -> None:
    answer = await garage.client.get(f"/api/dashboard?{query}")
    assert answer.status_code == 422
    assert [item["field"] for item in answer.json()["fields"]] == [query.partition("=")[0]]


async def test_nobody_gets_in_without_signing_in(garage: Garage) -> None:
    async with anonymous_client(garage.app) as anonymous:
        assert (await anonymous.get("/api/dashboard")).status_code == 401
        assert (await anonymous.get("/api/v1/vehicles/1/dashboard")).status_code == 401
