"""`POST /api/v1/vehicles/{vehicle_id}/maintenance-records`."""

from decimal import Decimal
from typing import Any

import pytest
from dirty_equals import IsDatetime, IsPositiveInt

from tests.factories.documents import upload
from tests.factories.garages import Garage, anonymous_client, make_vehicle
from tests.features.maintenance.records import make_record, share, url_of

RECORD = {"kind": "service", "performed_on": "2026-05-04", "description": "Oil", "cost": 1}
PART = {"kind": "part", "description": "Filter", "quantity": 2, "unit_price": 12.5}


async def test_keeps_all_that_was_typed(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client, currency="EUR")
    document = await upload(garage.client)
    body: dict[str, Any] = {
        "kind": "repair",
        "performed_on": "2026-05-04",
        "odometer": 15000,
        "description": " Brakes ",
        "cost": 100,
        "currency": "CHF",
        "notes": "front\naxle",
        "tags": ["safety", "brakes", "safety"],
        "extra_fields": [{"name": "Mechanic", "value": "Ada"}],
        "attachments": [{"name": "Receipt", "document_id": document["id"]}],
        "line_items": [
            {
                "kind": "part",
                "description": "Pads",
                "part_number": "P-1",
                "quantity": 2,
                "unit_price": 20,
            },
            {"kind": "labor", "description": "Fitting", "quantity": 1.5, "unit_price": 40},
        ],
    }
    answer = await garage.client.post(url_of(vehicle["id"]), json=body)
    assert answer.status_code == 201, answer.text
    record = answer.json()
    assert record == {
        **body,
        "id": IsPositiveInt,
        "vehicle_id": vehicle["id"],
        "description": "Brakes",
        "tags": ["safety", "brakes"],
        "attachments": [
            {
                "name": "Receipt",
                "document_id": document["id"],
                "url": None,
                "target_type": None,
                "target_id": None,
                "content_type": "application/pdf",
                "size": document["size"],
            }
        ],
        "line_items": [
            {**body["line_items"][0], "amount": 40},
            {**body["line_items"][1], "part_number": "", "amount": 60},
        ],
        "created_at": IsDatetime(iso_string=True),
        "updated_at": IsDatetime(iso_string=True),
    }
    assert answer.headers["location"] == url_of(vehicle["id"], record["id"])
    assert (await garage.client.get(answer.headers["location"])).json() == record
    assert await garage.count("outbox WHERE type = 'maintenance_record.created'") == 1


async def test_little_needs_to_be_typed(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client, currency="EUR")
    record = await make_record(garage.client, vehicle["id"])
    assert {name: record[name] for name in ("odometer", "currency", "notes", "tags")} == {
        "odometer": None,
        "currency": "EUR",
        "notes": "",
        "tags": [],
    }
    assert record["line_items"] == record["extra_fields"] == record["attachments"] == []


@pytest.mark.parametrize("cost", ["12.50", "12", "0", "0.0001", "9999999999.9999"])
async def test_digits_stay_as_typed(garage: Garage, cost: str) -> None:
    vehicle = await make_vehicle(garage.client)
    answer = await garage.client.post(
        url_of(vehicle["id"]), json={**RECORD, "cost": cost, "odometer": "15000.5"}
    )
    assert answer.status_code == 201, answer.text
    assert f'"cost":{cost},' in answer.text
    assert '"odometer":15000.5,' in answer.text


@pytest.mark.parametrize(
    ("items", "cost"),
    [
        ([("1", "12.5")], "12.50"),
        ([("2", "12.50"), ("1.5", "40")], "85.00"),
        ([("0.333", "9.99")], "3.33"),  # 3.32667
        ([("0.5", "0.01")], "0.01"),  # half a cent, rounded up
        ([("3", "0.333")], "0.999"),  # a price with more decimals keeps them
        ([("1000", "0.0125")], "12.5000"),
        ([("0.3333", "9.99")] * 3, "9.99"),  # 3 x 3.33, as the receipt shows it
    ],
)
async def test_without_a_cost_the_line_items_are_added_up(
    garage: Garage, items: list[tuple[str, str]], cost: str
) -> None:
    vehicle = await make_vehicle(garage.client)
    line_items = [
        {"kind": "other", "description": "x", "quantity": quantity, "unit_price": price}
        for quantity, price in items
    ]
    answer = await garage.client.post(
        url_of(vehicle["id"]), json={**RECORD, "cost": None, "line_items": line_items}
    )
    assert answer.status_code == 201, answer.text
    assert f'"cost":{cost},' in answer.text
    amounts = [Decimal(str(item["amount"])) for item in answer.json()["line_items"]]
    assert sum(amounts) == Decimal(cost)


async def test_a_cost_that_the_line_items_confirm_stays_as_typed(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    answer = await garage.client.post(
        url_of(vehicle["id"]), json={**RECORD, "cost": 25, "line_items": [PART]}
    )
    assert '"cost":25,' in answer.text


async def test_a_cost_that_the_line_items_contradict_is_refused_with_both_figures(
    garage: Garage,
) -> None:
    vehicle = await make_vehicle(garage.client)
    answer = await garage.client.post(
        url_of(vehicle["id"]), json={**RECORD, "cost": 24.99, "line_items": [PART]}
    )
    assert answer.status_code == 422
    problem = answer.json()
    assert "24.99" in problem["detail"]
    assert "25.00" in problem["detail"]
    assert [error["field"] for error in problem["fields"]] == ["cost"]
    assert await garage.count("maintenance_records") == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "tax"}, "kind"),
        ({"kind": None}, "kind"),
        ({"performed_on": "2026-02-30"}, "performed_on"),
        ({"performed_on": "1899-12-31"}, "performed_on"),
        ({"odometer": -1}, "odometer"),
        ({"odometer": "NaN"}, "odometer"),
        ({"description": "  "}, "description"),
        ({"description": "two\nlines"}, "description"),
        ({"cost": -0.01}, "cost"),
        ({"cost": "Infinity"}, "cost"),
        ({"cost": 10**10}, "cost"),
        ({"cost": None}, "cost"),
        ({"currency": "XYZ"}, "currency"),
        ({"notes": "x" * 100_001}, "notes"),
        ({"tags": [""]}, "tags.0"),
        ({"surprise": 1}, "surprise"),
        ({"line_items": [{**PART, "quantity": 0}]}, "line_items.0.quantity"),
        ({"line_items": [{**PART, "kind": "gift"}]}, "line_items.0.kind"),
        ({"line_items": [{**PART, "unit_price": -1}]}, "line_items.0.unit_price"),
        ({"line_items": [{**PART, "description": ""}]}, "line_items.0.description"),
        ({"line_items": [{**PART, "part_number": "a\nb"}]}, "line_items.0.part_number"),
        ({"line_items": [PART] * 201}, "line_items"),
        (
            {
                "cost": None,
                "line_items": [{**PART, "quantity": 9999999, "unit_price": 9999999999}],
            },
            "line_items",
        ),
        ({"attachments": [{"name": "a"}]}, "attachments.0"),
        ({"attachments": [{"name": "a", "document_id": 2**62}]}, "attachments.0.document_id"),
        (
            {"extra_fields": [{"name": "a", "value": ""}, {"name": "a", "value": "1"}] * 2},
            "extra_fields.3.value",
        ),
    ],
)
async def test_refuses_what_is_not_right(
    garage: Garage, change: dict[str, Any], field: str
) -> None:
    vehicle = await make_vehicle(garage.client)
    answer = await garage.client.post(url_of(vehicle["id"]), json={**RECORD, **change})
    assert answer.status_code == 422, answer.text
    assert field in [error["field"] for error in answer.json()["fields"]]
    assert await garage.count("maintenance_records") == 0
    assert await garage.count("line_items") == 0


async def test_extra_fields_are_held_against_the_definitions_of_the_kind(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    await garage.client.put(
        "/api/v1/extra-fields/repair", json=[{"name": "Warranty", "is_required": True}]
    )
    answer = await garage.client.post(url_of(vehicle["id"]), json={**RECORD, "kind": "repair"})
    assert answer.status_code == 422
    await make_record(garage.client, vehicle["id"], kind="service")


async def test_those_who_may_not_change_the_vehicle_add_nothing(
    garage: Garage, other_garage: Garage
) -> None:
    vehicle = await make_vehicle(garage.client)
    url = url_of(vehicle["id"])
    async with anonymous_client(garage.app) as stranger:
        assert (await stranger.post(url, json=RECORD)).status_code == 401
    assert (await other_garage.client.post(url, json=RECORD)).status_code == 404
    assert (await (await garage.client_as("member")).post(url, json=RECORD)).status_code == 404
    assert (await (await garage.client_as("viewer")).post(url, json=RECORD)).status_code == 403
    guest = await garage.member("member")
    await share(garage, guest.user_id, vehicle["id"], "view")
    assert (await (await garage.client_of(guest)).post(url, json=RECORD)).status_code == 403
    assert await garage.count("maintenance_records") == 0
    assert await garage.count("monthly_costs") == 0


async def test_members_with_a_share_add_records(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    helper = await garage.member("member")
    await share(garage, helper.user_id, vehicle["id"], "edit")
    await make_record(await garage.client_of(helper), vehicle["id"])


async def test_a_repeat_with_the_same_key_adds_nothing(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    key = {"Idempotency-Key": "k"}
    first = await garage.client.post(url_of(vehicle["id"]), json=RECORD, headers=key)
    second = await garage.client.post(url_of(vehicle["id"]), json=RECORD, headers=key)
    assert second.json() == first.json()
    assert await garage.count("maintenance_records") == 1
