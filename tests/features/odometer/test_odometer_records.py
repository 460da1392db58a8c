from typing import Any

import pytest
from dirty_equals import IsInt, IsStr
from httpx import codes

from tests.factories.garages import Garage, make_vehicle


def path_of(vehicle: dict[str, Any]) -> str:
    return f"/api/v1/vehicles/{vehicle['id']}/odometer-records"


async def record(
    garage: Garage, vehicle: dict[str, Any], day: str, odometer: float | str, **fields: Any
) -> Any:  # Any: JSON
    body = {"recorded_on": day, "odometer": odometer, **fields}
    answer = await garage.client.post(path_of(vehicle), json=body)
    assert answer.status_code == codes.CREATED, answer.text
    return answer.json()


async def distances(garage: Garage, vehicle: dict[str, Any]) -> list[float]:
    """Oldest first."""
    items = (await garage.client.get(path_of(vehicle))).json()["items"]
    return [item["distance"] for item in reversed(items)]


async def test_the_first_reading_starts_at_itself(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    body = {"recorded_on": "2024-01-01", "odometer": "1000.50"}
    answer = await garage.client.post(path_of(vehicle), json=body)
    assert answer.status_code == codes.CREATED
    assert answer.json() == {
        "id": IsInt,
        "vehicle_id": vehicle["id"],
        "recorded_on": "2024-01-01",
        "initial_odometer": 1000.5,
        "odometer": 1000.5,
        "distance": 0,
        "source_type": None,
        "source_id": None,
        "notes": "",
        "tags": [],
        "extra_fields": [],
        "attachments": [],
        "created_at": IsStr,
        "updated_at": IsStr,
    }
    location = answer.headers["Location"]
    assert location == f"{path_of(vehicle)}/{answer.json()['id']}"
    assert (await garage.client.get(location)).content == answer.content


async def test_a_reading_starts_at_the_highest_one_before_it(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    await record(garage, vehicle, "2024-01-01", 0)
    await record(garage, vehicle, "2024-01-02", 100)
    await record(garage, vehicle, "2024-01-05", 300)
    await record(garage, vehicle, "2024-01-05", 310)
    assert await distances(garage, vehicle) == [0, 100, 200, 10]


async def test_a_late_entry_starts_at_what_was_read_before_its_day(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    for day, odometer in (("2024-01-01", 1000), ("2024-01-20", 2000)):
        await record(garage, vehicle, day, odometer)
    late = await record(garage, vehicle, "2024-01-10", 1400)
    assert (late["initial_odometer"], late["distance"]) == (1000, 400)


async def test_a_start_that_is_given_counts(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    await record(garage, vehicle, "2024-01-01", 200_000)
    replaced = await record(garage, vehicle, "2024-01-05", 30, initial_odometer=0)
    assert (replaced["initial_odometer"], replaced["distance"]) == (0, 30)


@pytest.mark.parametrize(
    ("multiplier", "difference", "shown", "stored"),
    [("1.5", "-100", "301", 302), ("1", "0", "12.4", 12), ("1.609344", "0", "1000", 1609)],
)
async def test_an_instrument_that_is_off_is_adjusted_to_whole_numbers(
    garage: Garage, multiplier: str, difference: str, shown: str, stored: int
) -> None:
    vehicle = await make_vehicle(
        garage.client, odometer_multiplier=multiplier, odometer_difference=difference
    )
    made = await record(garage, vehicle, "2024-01-01", shown, adjust=True)
    assert (made["odometer"], made["initial_odometer"]) == (stored, stored)
    as_it_is = await record(garage, vehicle, "2024-01-02", 5000)
    assert as_it_is["odometer"] == 5000


@pytest.mark.parametrize(("multiplier", "difference"), [("1", "-1001"), ("999999", "99999999")])
async def test_refuses_an_adjustment_that_makes_no_reading(
    garage: Garage, multiplier: str, difference: str
) -> None:
    vehicle = await make_vehicle(
        garage.client, odometer_multiplier=multiplier, odometer_difference=difference
    )
    body = {"recorded_on": "2024-01-01", "odometer": 1000, "adjust": True}
    answer = await garage.client.post(path_of(vehicle), json=body)
    assert answer.status_code == codes.UNPROCESSABLE_ENTITY
    assert [error["field"] for error in answer.json()["fields"]] == ["odometer"]


@pytest.mark.parametrize(
    "body",
    [
        {"odometer": 999},
        {"odometer": 1500, "initial_odometer": 1501},
        {"odometer": 999, "recorded_on": "2030-01-01", "tags": ["late"]},
    ],
)
async def test_refuses_a_reading_below_its_start(garage: Garage, body: dict[str, Any]) -> None:
    vehicle = await make_vehicle(garage.client)
    await record(garage, vehicle, "2024-01-01", 1000)
    answer = await garage.client.post(path_of(vehicle), json={"recorded_on": "2024-01-02", **body})
    assert answer.status_code == codes.UNPROCESSABLE_ENTITY
    assert [error["field"] for error in answer.json()["fields"]] == ["odometer"]
    assert await distances(garage, vehicle) == [0]


async def test_an_update_changes_what_it_names_and_nothing_else(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    made = await record(
        garage, vehicle, "2024-01-01", 1000, initial_odometer=900, notes="a", tags=["x"]
    )
    path = f"{path_of(vehicle)}/{made['id']}"
    changed = (await garage.client.patch(path, json={"odometer": 1200, "notes": "b"})).json()
    assert changed == {
        **made,
        "odometer": 1200,
        "distance": 300,
        "notes": "b",
        "updated_at": IsStr,
    }
    assert changed["updated_at"] > made["updated_at"]
    for backwards in ({"odometer": 899}, {"initial_odometer": 1201}):
        answer = await garage.client.patch(path, json=backwards)
        assert answer.status_code == codes.UNPROCESSABLE_ENTITY
    assert (await garage.client.get(path)).json() == changed


async def test_recalculating_lets_every_reading_start_where_the_last_one_ended(
    garage: Garage,
) -> None:
    vehicle, other = await make_vehicle(garage.client), await make_vehicle(garage.client)
    for day, odometer in (("2024-01-05", 1500), ("2024-01-01", 1000), ("2024-01-09", 1200)):
        await record(garage, vehicle, day, odometer, initial_odometer=0)
    await record(garage, vehicle, "2024-01-05", 1100, initial_odometer=1000)
    await record(garage, other, "2024-01-05", 77, initial_odometer=0)
    recalculate = f"{path_of(vehicle)}/recalculate"
    assert (await garage.client.put(recalculate)).json() == {"changed": 3}
    assert sorted(await distances(garage, vehicle)) == [-300, 0, 100, 400]
    assert (await garage.client.put(recalculate)).json() == {"changed": 0}
    assert await distances(garage, other) == [77]


async def test_records_come_newest_first_in_pages_by_day_and_tag(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    for day in (1, 2, 3, 4):
        tags = ["even"] if day % 2 == 0 else []
        await record(garage, vehicle, f"2024-01-0{day}", 1000 + day, tags=tags)

    async def days(**params: Any) -> tuple[list[int], str | None]:  # Any: query parameters
        page = (await garage.client.get(path_of(vehicle), params=params)).json()
        return [int(item["recorded_on"][-2:]) for item in page["items"]], page["next_cursor"]

    first, cursor = await days(limit=3)
    assert first == [4, 3, 2]
    assert await days(limit=3, cursor=cursor) == ([1], None)
    assert await days(tag="even") == ([4, 2], None)
    assert await days(**{"from": "2024-01-02", "to": "2024-01-03"}) == ([3, 2], None)


async def test_a_record_carries_attachments_and_extra_fields(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    link = {"name": "Route", "url": "https://example.org/route"}
    field = {"name": "Driver", "value": "Ada"}
    made = await record(
        garage, vehicle, "2024-01-01", 1000, attachments=[link], extra_fields=[field]
    )
    assert made["extra_fields"] == [field]
    assert [attachment["url"] for attachment in made["attachments"]] == [link["url"]]
    path = f"{path_of(vehicle)}/{made['id']}"
    changed = (await garage.client.patch(path, json={"attachments": [], "extra_fields": []})).json()
    assert (changed["attachments"], changed["extra_fields"]) == ([], [])
    await garage.client.patch(path, json={"attachments": [link]})
    assert (await garage.client.delete(path)).status_code == codes.NO_CONTENT
    assert await garage.count("attachments") == 0
    assert await distances(garage, vehicle) == []


async def test_a_repeated_post_with_its_key_adds_one_record(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    body = {"recorded_on": "2024-01-01", "odometer": 1000}
    headers = {"Idempotency-Key": "once"}
    first, second = [
        await garage.client.post(path_of(vehicle), json=body, headers=headers) for _ in range(2)
    ]
    assert (second.status_code, second.content) == (codes.CREATED, first.content)
    assert await garage.count("odometer_records") == 1


async def test_only_the_version_that_was_seen_is_changed_or_deleted(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    made = await record(garage, vehicle, "2024-01-01", 1000)
    path = f"{path_of(vehicle)}/{made['id']}"
    seen = (await garage.client.get(path)).headers["ETag"]
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


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"odometer": -1}, "odometer"),
        ({"odometer": "NaN"}, "odometer"),
        ({"odometer": "1e30"}, "odometer"),
        ({"odometer": None}, "odometer"),
        ({"initial_odometer": -1}, "initial_odometer"),
        ({"recorded_on": "2024-13-01"}, "recorded_on"),
        ({"recorded_on": "0001-01-01"}, "recorded_on"),
        ({"tags": [""]}, "tags.0"),
        ({"distance": 5}, "distance"),
        ({"source_id": 5}, "source_id"),
    ],
)
async def test_refuses_wrong_values(garage: Garage, changes: dict[str, Any], field: str) -> None:
    vehicle = await make_vehicle(garage.client)
    made = await record(garage, vehicle, "2024-01-01", 1000)
    body = {"recorded_on": "2024-01-02", "odometer": 2000, **changes}
    for answer in (
        await garage.client.post(path_of(vehicle), json=body),
        await garage.client.patch(f"{path_of(vehicle)}/{made['id']}", json=changes),
    ):
        assert answer.status_code == codes.UNPROCESSABLE_ENTITY
        assert [error["field"] for error in answer.json()["fields"]] == [field]
    assert await distances(garage, vehicle) == [0]
