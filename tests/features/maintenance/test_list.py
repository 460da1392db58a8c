"""`GET /api/v1/vehicles/{vehicle_id}/maintenance-records`."""

from typing import Any

import pytest

from tests.factories.garages import Garage, anonymous_client, make_vehicle
from tests.features.maintenance.records import make_record, url_of

RECORDS: tuple[dict[str, Any], ...] = (
    {"description": "Oil", "performed_on": "2024-01-10", "kind": "service", "tags": ["yearly"]},
    {"description": "Brakes", "performed_on": "2024-03-05", "kind": "repair", "notes": "100% WORN"},
    {"description": "Towbar", "performed_on": "2024-03-05", "kind": "upgrade", "tags": ["a", "b"]},
    {"description": "ÖLWECHSEL", "performed_on": "2025-01-12", "kind": "service", "tags": ["a"]},
)


async def make_history(garage: Garage) -> str:
    vehicle = await make_vehicle(garage.client)
    for fields in RECORDS:
        await make_record(garage.client, vehicle["id"], **fields)
    return url_of(vehicle["id"])


@pytest.mark.parametrize(
    ("filters", "descriptions"),
    [
        ({}, ["ÖLWECHSEL", "Towbar", "Brakes", "Oil"]),
        ({"kind": "service"}, ["ÖLWECHSEL", "Oil"]),
        ({"tag": "a"}, ["ÖLWECHSEL", "Towbar"]),
        ({"from": "2024-03-05"}, ["ÖLWECHSEL", "Towbar", "Brakes"]),
        ({"to": "2024-03-05"}, ["Towbar", "Brakes", "Oil"]),
        ({"from": "2024-03-05", "to": "2024-03-05"}, ["Towbar", "Brakes"]),
        ({"from": "2026-01-01", "to": "2025-01-01"}, []),
        ({"q": "ölw"}, ["ÖLWECHSEL"]),
        ({"q": "WoRn"}, ["Brakes"]),
        ({"q": "0%"}, ["Brakes"]),
        ({"q": "_"}, []),
        ({"q": "%(kind)s"}, []),
        ({"q": "b", "kind": "upgrade", "tag": "b", "from": "2024-01-01"}, ["Towbar"]),
    ],
)
async def test_lists_what_the_filters_name_newest_first(
    garage: Garage, filters: dict[str, str], descriptions: list[str]
) -> None:
    url = await make_history(garage)
    answer = await garage.client.get(url, params=filters)
    assert answer.status_code == 200
    assert [item["description"] for item in answer.json()["items"]] == descriptions


async def test_pages_follow_each_other_without_a_gap(garage: Garage) -> None:
    url = await make_history(garage)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(3):
        page = (await garage.client.get(url, params={"limit": 1, "q": "o", **cursor})).json()
        seen += [item["description"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == ["Towbar", "Brakes", "Oil"]
    assert page["next_cursor"] is None


async def test_an_item_of_the_list_is_the_record(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    record = await make_record(
        garage.client,
        vehicle["id"],
        cost=None,
        line_items=[{"kind": "labor", "description": "x", "unit_price": 3}],
        attachments=[{"name": "a", "url": "https://example.org"}],
    )
    page = await garage.client.get(url_of(vehicle["id"]))
    assert page.json() == {"items": [record], "next_cursor": None}
    again = await garage.client.get(
        url_of(vehicle["id"]), headers={"If-None-Match": page.headers["etag"]}
    )
    assert again.status_code == 304


async def test_only_the_vehicle_s_own_records_are_listed(garage: Garage) -> None:
    await make_history(garage)
    another = await make_vehicle(garage.client)
    assert (await garage.client.get(url_of(another["id"]))).json()["items"] == []


@pytest.mark.parametrize("record", [None, 0])
async def test_is_for_those_who_see_the_vehicle(
    garage: Garage, other_garage: Garage, record: int | None
) -> None:
    vehicle = await make_vehicle(garage.client)
    made = await make_record(garage.client, vehicle["id"])
    url = url_of(vehicle["id"], made["id"] if record == 0 else None)
    assert (await (await garage.client_as("viewer")).get(url)).status_code == 200
    assert (await (await garage.client_as("member")).get(url)).status_code == 404
    assert (await other_garage.client.get(url)).status_code == 404
    async with anonymous_client(garage.app) as stranger:
        assert (await stranger.get(url)).status_code == 401
    await garage.client.delete(f"/api/v1/vehicles/{vehicle['id']}")
    assert (await garage.client.get(url)).status_code == 404


@pytest.mark.parametrize(
    "filters", [{"kind": "tax"}, {"from": "yesterday"}, {"q": "x" * 201}, {"limit": 0}]
)
async def test_refuses_filters_that_mean_nothing(
    garage: Garage, filters: dict[str, str | int]
) -> None:
    vehicle = await make_vehicle(garage.client)
    assert (await garage.client.get(url_of(vehicle["id"]), params=filters)).status_code == 422
