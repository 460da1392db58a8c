"""Fuel records through the API."""

from typing import Any

import httpx


def fuel_path(vehicle: dict[str, Any]) -> str:
    return f"/api/v1/vehicles/{vehicle['id']}/fuel-records"


def fill_up(
    filled_on: str, odometer: float | str | None, volume: float | str, /, **changes: Any
) -> Any:
    """The body of a full tank for 40 of the vehicle's currency; `changes` make it anything else."""
    body = {"filled_on": filled_on, "odometer": odometer, "volume": volume, "cost": 40}
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


async def record_fill_up(client: httpx.AsyncClient, vehicle: dict[str, Any], body: Any) -> Any:
    answer = await client.post(fuel_path(vehicle), json=body)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return answer.json()


async def fuel_records(client: httpx.AsyncClient, vehicle: dict[str, Any]) -> Any:
    """All fuel records of a vehicle, oldest first."""
    answer = await client.get(fuel_path(vehicle), params={"limit": 500})
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()["items"][::-1]
