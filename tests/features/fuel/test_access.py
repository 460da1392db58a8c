"""Who may not: nothing is told, nothing changes."""

from typing import Any

import pytest
from httpx import AsyncClient, Response, codes

from tests.factories.fuel import fill_up, fuel_path, fuel_records, record_fill_up
from tests.factories.garages import Garage, anonymous_client, make_vehicle

WRITES = [("POST", ""), ("PATCH", "/{id}"), ("DELETE", "/{id}")]
ALL = [("GET", ""), ("GET", "/{id}"), *WRITES]


async def request(
    client: AsyncClient, method: str, path: str, vehicle: dict[str, Any], record_id: int
) -> Response:
    body = {"POST": fill_up("2024-02-01", 2000, 10), "PATCH": {"notes": "mine now"}}.get(method)
    url = fuel_path(vehicle) + path.format(id=record_id)
    return await client.request(method, url, json=body)


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_strangers_must_sign_in(garage: Garage, method: str, path: str) -> None:
    vehicle = await make_vehicle(garage.client)
    record = await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", 1000, 10))
    async with anonymous_client(garage.app) as client:
        answer = await request(client, method, path, vehicle, record["id"])
    assert answer.status_code == codes.UNAUTHORIZED
    assert await fuel_records(garage.client, vehicle) == [record]


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_other_garages_find_nothing(
    garage: Garage, other_garage: Garage, method: str, path: str
) -> None:
    vehicle = await make_vehicle(garage.client)
    record = await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", 1000, 10))
    answer = await request(other_garage.client, method, path, vehicle, record["id"])
    assert answer.status_code == codes.NOT_FOUND
    assert await fuel_records(garage.client, vehicle) == [record]


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_members_without_a_share_find_nothing(garage: Garage, method: str, path: str) -> None:
    vehicle = await make_vehicle(garage.client)
    record = await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", 1000, 10))
    answer = await request(await garage.client_as("member"), method, path, vehicle, record["id"])
    assert answer.status_code == codes.NOT_FOUND
    assert await fuel_records(garage.client, vehicle) == [record]


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_viewers_read_only(garage: Garage, method: str, path: str) -> None:
    vehicle = await make_vehicle(garage.client)
    record = await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", 1000, 10))
    viewer = await garage.client_as("viewer")
    answer = await request(viewer, method, path, vehicle, record["id"])
    assert answer.status_code == codes.FORBIDDEN
    assert await fuel_records(viewer, vehicle) == [record]


@pytest.mark.parametrize(("method", "path"), [entry for entry in ALL if entry[1]])
async def test_a_record_is_not_found_under_another_vehicle(
    garage: Garage, method: str, path: str
) -> None:
    vehicle, other = await make_vehicle(garage.client), await make_vehicle(garage.client)
    record = await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", 1000, 10))
    answer = await request(garage.client, method, path, other, record["id"])
    assert answer.status_code == codes.NOT_FOUND
    assert await fuel_records(garage.client, vehicle) == [record]
