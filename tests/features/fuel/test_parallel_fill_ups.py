import asyncio
from typing import Any

from httpx import codes

from tests.factories.fuel import fill_up, fuel_path, fuel_records, record_fill_up
from tests.factories.garages import Garage, make_vehicle

BODIES = [
    fill_up(
        f"2024-01-{day:02}", 1000 + 130 * day, 5 + day, is_full=day % 3 != 0, is_missed=day == 8
    )
    for day in range(1, 21)
]


def derived(records: list[Any]) -> list[Any]:  # Any: JSON
    names = ("filled_on", "distance", "segment_distance", "segment_volume", "economy")
    return [{name: record[name] for name in names} for record in records]


async def test_parallel_fill_ups_leave_what_one_after_another_leaves(garage: Garage) -> None:
    one_by_one, at_once = await make_vehicle(garage.client), await make_vehicle(garage.client)
    for body in BODIES:
        await record_fill_up(garage.client, one_by_one, body)
    posts = [garage.client.post(fuel_path(at_once), json=body) for body in BODIES[::-1]]
    answers = await asyncio.gather(*posts)
    assert [answer.status_code for answer in answers] == [codes.CREATED] * len(BODIES)
    stored = await fuel_records(garage.client, at_once)
    assert derived(stored) == derived(await fuel_records(garage.client, one_by_one))
    assert [record["segment_distance"] for record in stored].count(None) == 8


async def test_parallel_edits_and_deletes_leave_a_right_history(garage: Garage) -> None:
    vehicle, expected = await make_vehicle(garage.client), await make_vehicle(garage.client)
    records = [await record_fill_up(garage.client, vehicle, body) for body in BODIES]
    path = fuel_path(vehicle)
    # Partial becomes full and the other way round; every fifth goes.
    kept = [(record, body) for record, body in zip(records, BODIES, strict=True)]
    changes = [
        garage.client.delete(f"{path}/{record['id']}")
        if number % 5 == 0
        else garage.client.patch(f"{path}/{record['id']}", json={"is_full": not body["is_full"]})
        for number, (record, body) in enumerate(kept)
    ]
    answers = await asyncio.gather(*changes)
    assert all(answer.is_success for answer in answers)
    for number, body in enumerate(BODIES):
        if number % 5:
            await record_fill_up(garage.client, expected, {**body, "is_full": not body["is_full"]})
    assert derived(await fuel_records(garage.client, vehicle)) == derived(
        await fuel_records(garage.client, expected)
    )
