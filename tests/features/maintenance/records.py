"""Maintenance records through the API."""

from typing import Any

import httpx

from tests.factories.garages import Garage, make_vehicle


def url_of(vehicle_id: int, record_id: int | None = None) -> str:
    url = f"/api/v1/vehicles/{vehicle_id}/maintenance-records"
    return url if record_id is None else f"{url}/{record_id}"


async def make_record(
    client: httpx.AsyncClient, vehicle_id: int, **fields: Any
) -> dict[str, Any]:  # Any: JSON
    """An oil change in May for 59.90 unless `fields` say otherwise; None leaves a field out."""
    body = {
        "kind": "service",
        "performed_on": "2026-05-04",
        "description": "Oil change",
        "cost": 59.90,
        **fields,
    }
    answer = await client.post(
        url_of(vehicle_id), json={name: value for name, value in body.items() if value is not None}
    )
    assert answer.status_code == httpx.codes.CREATED, answer.text
    record: dict[str, Any] = answer.json()
    return record


async def make_record_of_a_new_vehicle(garage: Garage, **fields: Any) -> tuple[str, dict[str, Any]]:
    """The record and its address."""
    vehicle = await make_vehicle(garage.client)
    record = await make_record(garage.client, vehicle["id"], **fields)
    return url_of(vehicle["id"], record["id"]), record


async def share(garage: Garage, user_id: int, vehicle_id: int, permission: str) -> None:
    answer = await garage.client.post(
        "/api/v1/shares",
        json={"user_id": user_id, "vehicle_id": vehicle_id, "permission": permission},
    )
    assert answer.status_code == httpx.codes.CREATED, answer.text
