"""Who may not: nothing is told, nothing changes."""

from typing import Any

import pytest
from httpx import AsyncClient, Response, codes

from tests.factories.garages import Garage, anonymous_client, make_vehicle

WRITES = [("POST", ""), ("PUT", "/recalculate"), ("PATCH", "/{id}"), ("DELETE", "/{id}")]
ALL = [("GET", ""), ("GET", "/{id}"), *WRITES]
BODIES = {
    "POST": {"recorded_on": "2024-02-01", "odometer": 2000},
    "PATCH": {"notes": "mine now"},
}


async def one_record(garage: Garage) -> tuple[str, Any]:  # Any: JSON
    """Where the records of a new vehicle are, and one that a recalculation would change."""
    vehicle = await make_vehicle(garage.client)
    path = f"/api/v1/vehicles/{vehicle['id']}/odometer-records"
    body = {"recorded_on": "2024-01-01", "odometer": 1000, "initial_odometer": 0}
    return path, (await garage.client.post(path, json=body)).json()


async def stored(garage: Garage, path: str) -> Any:  # Any: JSON
    return (await garage.client.get(path)).json()["items"]


async def request(client: AsyncClient, method: str, path: str, record_id: int) -> Response:
    return await client.request(method, path.format(id=record_id), json=BODIES.get(method))


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_strangers_must_sign_in(garage: Garage, method: str, path: str) -> None:
    root, record = await one_record(garage)
    async with anonymous_client(garage.app) as client:
        answer = await request(client, method, root + path, record["id"])
    assert answer.status_code == codes.UNAUTHORIZED
    assert await stored(garage, root) == [record]


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_other_garages_find_nothing(
    garage: Garage, other_garage: Garage, method: str, path: str
) -> None:
    root, record = await one_record(garage)
    answer = await request(other_garage.client, method, root + path, record["id"])
    assert answer.status_code == codes.NOT_FOUND
    assert await stored(garage, root) == [record]


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_members_without_a_share_find_nothing(garage: Garage, method: str, path: str) -> None:
    root, record = await one_record(garage)
    answer = await request(await garage.client_as("member"), method, root + path, record["id"])
    assert answer.status_code == codes.NOT_FOUND
    assert await stored(garage, root) == [record]


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_viewers_read_only(garage: Garage, method: str, path: str) -> None:
    root, record = await one_record(garage)
    viewer = await garage.client_as("viewer")
    answer = await request(viewer, method, root + path, record["id"])
    assert answer.status_code == codes.FORBIDDEN
    assert (await viewer.get(root)).json()["items"] == [record]


@pytest.mark.parametrize(("method", "path"), [entry for entry in ALL if "{id}" in entry[1]])
async def test_a_record_is_not_found_under_another_vehicle(
    garage: Garage, method: str, path: str
) -> None:
    root, record = await one_record(garage)
    other, _ = await one_record(garage)
    answer = await request(garage.client, method, other + path, record["id"])
    assert answer.status_code == codes.NOT_FOUND
    assert await stored(garage, root) == [record]
