"""`PATCH` and `DELETE` of a maintenance record."""

from typing import Any

import httpx
import pytest

from tests.factories.documents import upload
from tests.factories.garages import Garage, anonymous_client, make_vehicle
from tests.features.maintenance.records import (
    make_record,
    make_record_of_a_new_vehicle,
    share,
    url_of,
)

PART = {"kind": "part", "description": "Filter", "quantity": 2, "unit_price": 12.5}
WEB = {"name": "Manual", "url": "https://example.org/manual"}


async def patch(client: httpx.AsyncClient, url: str, **change: Any) -> dict[str, Any]:
    answer = await client.patch(url, json=change)
    assert answer.status_code == 200, answer.text
    record: dict[str, Any] = answer.json()
    return record


async def test_changes_what_is_named_and_nothing_else(garage: Garage) -> None:
    url, before = await make_record_of_a_new_vehicle(
        garage, odometer=5, tags=["a"], attachments=[WEB]
    )
    change = {"performed_on": "2026-06-01", "description": "Oil and filter", "notes": "n"}
    after = await patch(garage.client, url, **change)
    assert after == {**before, **change, "updated_at": after["updated_at"]}
    assert after["updated_at"] > before["updated_at"]
    assert (await garage.client.get(url)).json() == after
    assert await garage.count("outbox WHERE type = 'maintenance_record.updated'") == 1


async def test_lists_are_replaced_as_a_whole(garage: Garage) -> None:
    url, _ = await make_record_of_a_new_vehicle(
        garage,
        tags=["a", "b"],
        attachments=[WEB],
        extra_fields=[{"name": "x", "value": "1"}],
        cost=None,
        line_items=[PART, PART],
    )
    document = await upload(garage.client)
    after = await patch(
        garage.client,
        url,
        tags=["c"],
        attachments=[{"name": "Receipt", "document_id": document["id"]}],
        extra_fields=[],
        line_items=[PART],
    )
    assert after["tags"] == ["c"]
    assert [a["name"] for a in after["attachments"]] == ["Receipt"]
    assert after["extra_fields"] == []
    assert len(after["line_items"]) == 1


async def test_the_odometer_can_be_taken_back(garage: Garage) -> None:
    url, _ = await make_record_of_a_new_vehicle(garage, odometer=5)
    assert (await patch(garage.client, url, odometer=None))["odometer"] is None


@pytest.mark.parametrize(
    ("change", "cost"),
    [
        ({"line_items": [PART, PART]}, 50),  # new lines, no cost: added up
        ({"line_items": []}, 25),  # the last lines went: the cost stays
        ({"line_items": [], "cost": 7}, 7),
        ({"cost": None}, 25),
        ({"cost": 25}, 25),
        ({"notes": "n"}, 25),
    ],
)
async def test_cost_and_line_items_agree_after_a_change(
    garage: Garage, change: dict[str, Any], cost: int
) -> None:
    url, _ = await make_record_of_a_new_vehicle(garage, cost=None, line_items=[PART])
    assert (await patch(garage.client, url, **change))["cost"] == cost


@pytest.mark.parametrize(
    "change",
    [
        {"cost": 24},
        {"cost": 25, "line_items": [PART, PART]},
        {"cost": None, "line_items": []},
        {"kind": "tax"},
        {"performed_on": None},
        {"description": ""},
        {"currency": ""},
        {"currency": None},
        {"odometer": -1},
        {"id": 5},
        {"attachments": [{"name": "a", "document_id": 2**62}], "kind": "repair"},
    ],
)
async def test_refuses_what_is_not_right(garage: Garage, change: dict[str, Any]) -> None:
    url, before = await make_record_of_a_new_vehicle(garage, cost=None, line_items=[PART])
    answer = await garage.client.patch(url, json=change)
    assert answer.status_code == 422, answer.text
    assert (await garage.client.get(url)).json() == before


async def test_a_record_moves_with_all_it_has(garage: Garage) -> None:
    url, before = await make_record_of_a_new_vehicle(
        garage, attachments=[WEB], cost=None, line_items=[PART], tags=["a"]
    )
    linking = await make_record(
        garage.client,
        before["vehicle_id"],
        attachments=[{"name": "l", "target_type": "service", "target_id": before["id"]}],
    )
    after = await patch(garage.client, url, kind="upgrade")
    assert after == {**before, "kind": "upgrade", "updated_at": after["updated_at"]}
    linking = (await garage.client.get(url_of(before["vehicle_id"], linking["id"]))).json()
    assert linking["attachments"][0]["target_type"] == "upgrade"
    again = await patch(garage.client, url, kind="repair", attachments=[])
    assert again["attachments"] == []


async def test_a_wrong_version_changes_nothing(garage: Garage) -> None:
    url, before = await make_record_of_a_new_vehicle(garage)
    tag = (await garage.client.get(url)).headers["etag"]
    for refused in (
        await garage.client.patch(url, json={"notes": "n"}, headers={"If-Match": '"old"'}),
        await garage.client.delete(url, headers={"If-Match": '"old"'}),
    ):
        assert refused.status_code == 412
    assert (await garage.client.get(url)).json() == before
    changed = await garage.client.patch(url, json={"notes": "n"}, headers={"If-Match": tag})
    assert changed.status_code == 200
    tag = changed.headers["etag"]
    assert (await garage.client.delete(url, headers={"If-Match": tag})).status_code == 204


async def test_a_deleted_record_is_gone_with_all_it_had(garage: Garage) -> None:
    url, _ = await make_record_of_a_new_vehicle(
        garage, attachments=[WEB], cost=None, line_items=[PART]
    )
    assert (await garage.client.delete(url)).status_code == 204
    assert (await garage.client.get(url)).status_code == 404
    assert (await garage.client.delete(url)).status_code == 404
    for table in ("maintenance_records", "line_items", "attachments"):
        assert await garage.count(table) == 0
    assert await garage.count("outbox WHERE type = 'maintenance_record.deleted'") == 1


async def test_those_who_may_not_change_the_vehicle_change_nothing(
    garage: Garage, other_garage: Garage
) -> None:
    url, before = await make_record_of_a_new_vehicle(garage)
    guest, helper = await garage.member("member"), await garage.member("member")
    await share(garage, guest.user_id, before["vehicle_id"], "view")
    await share(garage, helper.user_id, before["vehicle_id"], "edit")
    async with anonymous_client(garage.app) as stranger:
        refusals = [
            (stranger, 401),
            (other_garage.client, 404),
            (await garage.client_as("member"), 404),
            (await garage.client_as("viewer"), 403),
            (await garage.client_of(guest), 403),
        ]
        for client, status in refusals:
            assert (await client.patch(url, json={"notes": "n"})).status_code == status
            assert (await client.delete(url)).status_code == status
    assert (await (await garage.client_of(helper)).delete(url)).status_code == 403
    assert (await garage.client.get(url)).json() == before


async def test_a_record_is_found_under_its_own_vehicle_only(garage: Garage) -> None:
    _, record = await make_record_of_a_new_vehicle(garage)
    another = await make_vehicle(garage.client)
    url = url_of(another["id"], record["id"])
    assert (await garage.client.get(url)).status_code == 404
    assert (await garage.client.patch(url, json={"notes": "n"})).status_code == 404
    assert (await garage.client.delete(url)).status_code == 404
    assert await garage.count("maintenance_records") == 1
