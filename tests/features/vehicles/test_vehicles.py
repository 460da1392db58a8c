from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from motovaultpro.features.vehicles.tasks import purge_deleted
from tests.factories.garages import Garage, anonymous_client, make_vehicle

EVERYTHING = {
    "year": 1994,
    "make": "Land Rover",
    "model": "Defender",
    "license_plate": "B-XY 12",
    "vin": "SALLDHMF8VA123456",
    "identifier": "vin",
    "notes": "Two tanks.\nLeaks.",
    "currency": "EUR",
    "distance_unit": "km",
    "odometer_optional": True,
    "odometer_multiplier": 1.0936,
    "odometer_difference": -12.5,
    "purchased_on": "2001-02-03",
    "purchase_price": 12500.50,
    "sold_on": "2020-12-31",
    "sold_price": 9000,
    "dashboard_metrics": ["total_cost", "cost_per_distance"],
    "tags": ["farm", "4x4"],
    "extra_fields": [{"name": "Key", "value": "17"}],
}


async def test_keeps_every_field_as_it_was_typed(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client, **EVERYTHING)
    answer = await garage.client.get(f"/api/v1/vehicles/{vehicle['id']}")
    assert answer.status_code == httpx.codes.OK
    assert {name: answer.json()[name] for name in EVERYTHING} == EVERYTHING
    assert '"purchase_price":12500.5,' in answer.text
    assert answer.json() == vehicle


@pytest.mark.parametrize("zero", ["0E+1000000", "0E-1000000", "-0E+9999", "0E-9999"])
async def test_a_zero_however_it_is_written_is_a_zero(garage: Garage, zero: str) -> None:
    names = ("purchase_price", "sold_price", "odometer_difference")

    vehicle = await make_vehicle(garage.client, **dict.fromkeys(names, zero))

    assert [vehicle[name] for name in names] == [0, 0, 0]
    adjusted = f"/api/v1/vehicles/{vehicle['id']}/adjusted-odometer"
    answer = await garage.client.get(adjusted, params={"odometer": zero})
    assert answer.json() == {"odometer": 0, "adjusted": 0}


async def test_defaults_come_from_the_garage(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    assert (vehicle["currency"], vehicle["distance_unit"]) == ("USD", "mi")
    (source,) = vehicle["energy_sources"]
    assert (source["kind"], source["volume_unit"], source["capacity"]) == ("petrol", "us_gal", None)
    assert vehicle["permission"] == "manage"


async def test_a_vehicle_may_have_several_energy_sources(garage: Garage) -> None:
    vehicle = await make_vehicle(
        garage.client,
        energy_sources=[
            {"kind": "petrol", "volume_unit": "l", "capacity": 45},
            {"kind": "electric", "capacity": 12.4},
        ],
    )
    assert [(s["kind"], s["volume_unit"], s["capacity"]) for s in vehicle["energy_sources"]] == [
        ("petrol", "l", 45),
        ("electric", "kwh", 12.4),
    ]


async def test_energy_sources_keep_their_ids_when_replaced(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    petrol = vehicle["energy_sources"][0]["id"]
    answer = await garage.client.patch(
        f"/api/v1/vehicles/{vehicle['id']}",
        json={
            "energy_sources": [
                {"kind": "lpg", "volume_unit": "l"},
                {"id": petrol, "kind": "petrol"},
            ]
        },
    )
    sources = answer.json()["energy_sources"]
    assert [source["kind"] for source in sources] == ["lpg", "petrol"]
    assert sources[1]["id"] == petrol


async def test_an_energy_source_of_another_vehicle_is_refused(garage: Garage) -> None:
    one, two = await make_vehicle(garage.client), await make_vehicle(garage.client)
    foreign = {"energy_sources": [{"id": one["energy_sources"][0]["id"], "kind": "petrol"}]}
    answer = await garage.client.patch(f"/api/v1/vehicles/{two['id']}", json=foreign)
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert answer.json()["fields"][0]["field"] == "energy_sources.0.id"


async def test_an_energy_source_with_records_stays(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    path = f"/api/v1/vehicles/{vehicle['id']}"
    fill_up = {"filled_on": "2026-01-03", "odometer": 1, "volume": 10, "cost": 15}
    assert (await garage.client.post(f"{path}/fuel-records", json=fill_up)).status_code == 201
    answer = await garage.client.patch(
        path, json={"energy_sources": [{"kind": "lpg"}], "make": "X"}
    )
    assert answer.status_code == httpx.codes.CONFLICT
    assert answer.json()["code"] == "energy_source_in_use"
    assert (await garage.client.get(path)).json() == vehicle


async def test_changes_only_what_is_named(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client, **EVERYTHING)
    answer = await garage.client.patch(
        f"/api/v1/vehicles/{vehicle['id']}", json={"tags": [], "sold_on": None}
    )
    changed = {**vehicle, "tags": [], "sold_on": None, "updated_at": answer.json()["updated_at"]}
    assert answer.json() == changed


async def test_archived_vehicles_leave_the_list(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    path = f"/api/v1/vehicles/{vehicle['id']}"
    assert (await garage.client.patch(path, json={"is_archived": True})).json()["archived_at"]
    assert (await garage.client.get("/api/v1/vehicles")).json()["items"] == []
    archived = await garage.client.get("/api/v1/vehicles?state=archived")
    assert [item["id"] for item in archived.json()["items"]] == [vehicle["id"]]
    assert (await garage.client.patch(path, json={"is_archived": False})).json()[
        "archived_at"
    ] is None


async def test_lists_page_by_page_and_by_tag(garage: Garage) -> None:
    made = [await make_vehicle(garage.client, tags=[f"t{n % 2}"]) for n in range(5)]
    seen, cursor, pages = [], "0", 0
    while cursor is not None:
        page = (await garage.client.get(f"/api/v1/vehicles?limit=2&cursor={cursor}")).json()
        seen += page["items"]
        cursor = page["next_cursor"]
        pages += 1
    assert (seen, pages) == (made, 3)
    tagged = (await garage.client.get("/api/v1/vehicles?tag=t1")).json()["items"]
    assert tagged == [made[1], made[3]]


async def test_deleting_hides_everything_and_can_be_undone(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    path = f"/api/v1/vehicles/{vehicle['id']}"
    record = {"performed_on": "2026-01-03", "description": "Oil", "cost": 40, "kind": "service"}
    await garage.client.post(f"{path}/maintenance-records", json=record)
    assert (await garage.client.delete(path)).status_code == httpx.codes.NO_CONTENT
    for hidden in (path, f"{path}/maintenance-records", f"{path}/dashboard"):
        assert (await garage.client.get(hidden)).status_code == httpx.codes.NOT_FOUND
    bin_ = (await garage.client.get("/api/v1/vehicles?state=deleted")).json()["items"]
    assert [item["id"] for item in bin_] == [vehicle["id"]]
    restored = await garage.client.post(f"{path}/restore")
    assert restored.json()["deleted_at"] is None
    records = (await garage.client.get(f"{path}/maintenance-records")).json()["items"]
    assert [item["description"] for item in records] == ["Oil"]
    assert (await garage.client.post(f"{path}/restore")).status_code == httpx.codes.NOT_FOUND


async def test_after_thirty_days_deleted_is_gone(garage: Garage) -> None:
    kept, old, recent = [await make_vehicle(garage.client) for _ in range(3)]
    fill_up = {"filled_on": "2026-01-03", "odometer": 1, "volume": 10, "cost": 15}
    await garage.client.post(f"/api/v1/vehicles/{old['id']}/fuel-records", json=fill_up)
    for vehicle in (old, recent):
        await garage.client.delete(f"/api/v1/vehicles/{vehicle['id']}")
    now = datetime.now(UTC)  # noqa: TID251 - the database's own clock set deleted_at

    assert (
        await purge_deleted(garage.database, garage.tenant_id, lambda: now + timedelta(days=29))
        == 0
    )
    await garage.client.post(f"/api/v1/vehicles/{recent['id']}/restore")
    assert (
        await purge_deleted(garage.database, garage.tenant_id, lambda: now + timedelta(days=31))
        == 1
    )

    assert await garage.count("vehicles") == 2
    assert await garage.count("fuel_records") == 0
    listed = (await garage.client.get("/api/v1/vehicles")).json()["items"]
    assert [item["id"] for item in listed] == [kept["id"], recent["id"]]


async def test_the_adjusted_odometer_is_difference_then_multiplier(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client, odometer_multiplier=1.5, odometer_difference=100)
    path = f"/api/v1/vehicles/{vehicle['id']}/adjusted-odometer"
    answer = await garage.client.get(path, params={"odometer": "1000.5"})
    assert answer.json() == {"odometer": 1000.5, "adjusted": 1650.75}


async def test_a_repeated_post_makes_one_vehicle(garage: Garage) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    body = {"make": "Jeep"}
    first = await garage.client.post("/api/v1/vehicles", json=body, headers=headers)
    second = await garage.client.post("/api/v1/vehicles", json=body, headers=headers)
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers["location"] == first.headers["location"]
    assert await garage.count("vehicles") == 1


async def test_a_list_that_is_known_is_not_sent_again(garage: Garage) -> None:
    await make_vehicle(garage.client)
    first = await garage.client.get("/api/v1/vehicles")
    headers = {"If-None-Match": first.headers["etag"]}
    assert (await garage.client.get("/api/v1/vehicles", headers=headers)).status_code == 304
    await make_vehicle(garage.client)
    assert (await garage.client.get("/api/v1/vehicles", headers=headers)).status_code == 200


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_change_of_an_older_version_is_refused(garage: Garage, method: str) -> None:
    vehicle = await make_vehicle(garage.client)
    path = f"/api/v1/vehicles/{vehicle['id']}"
    seen = (await garage.client.get(path)).headers["etag"]
    newer = (await garage.client.patch(path, json={"model": "Newer"})).headers["etag"]
    body = {"model": "Lost"} if method == "PATCH" else None
    stale = await garage.client.request(method, path, json=body, headers={"If-Match": seen})
    assert stale.status_code == httpx.codes.PRECONDITION_FAILED
    assert (await garage.client.get(path)).json()["model"] == "Newer"
    fresh = await garage.client.request(method, path, json=body, headers={"If-Match": newer})
    assert fresh.is_success


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"make": "", "model": ""}, "body"),
        ({"year": 99}, "year"),
        ({"year": "MMIV"}, "year"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": "eur"}, "currency"),
        ({"distance_unit": "leagues"}, "distance_unit"),
        ({"purchase_price": -1}, "purchase_price"),
        ({"purchase_price": "NaN"}, "purchase_price"),
        ({"purchase_price": 1e30}, "purchase_price"),
        ({"odometer_multiplier": 0}, "odometer_multiplier"),
        ({"purchased_on": "2026-02-30"}, "purchased_on"),
        ({"purchased_on": "2026-02-02", "sold_on": "2026-02-01"}, "body"),
        ({"tags": ["x" * 51]}, "tags.0"),
        ({"tags": ["a\tb"]}, "tags.0"),
        ({"energy_sources": [{"kind": "steam"}]}, "energy_sources.0.kind"),
        ({"energy_sources": [{"kind": "petrol", "capacity": 0}]}, "energy_sources.0.capacity"),
        ({"extra_fields": [{"name": "", "value": "x"}]}, "extra_fields.0.name"),
        ({"image_document_id": 2**63}, "image_document_id"),
        ({"wheels": 4}, "wheels"),
    ],
)
async def test_names_the_field_that_is_wrong(
    garage: Garage, fields: dict[str, Any], wrong: str
) -> None:
    answer = await garage.client.post("/api/v1/vehicles", json={"make": "Jeep", **fields})
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert [item["field"] for item in answer.json()["fields"]] == [wrong]
    assert await garage.count("vehicles") == 0


@pytest.mark.parametrize("field", ["image_document_id", "map_document_id"])
async def test_an_image_that_is_not_there_is_refused(
    garage: Garage, other_garage: Garage, field: str
) -> None:
    upload = await other_garage.client.post(
        "/api/v1/documents?filename=a.png", content=b"\x89PNG\r\n\x1a\n"
    )
    foreign = upload.json()["id"]
    vehicle = await make_vehicle(garage.client)
    answer = await garage.client.patch(f"/api/v1/vehicles/{vehicle['id']}", json={field: foreign})
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert [item["field"] for item in answer.json()["fields"]] == [field]


async def test_a_document_one_may_not_see_becomes_no_image(garage: Garage) -> None:
    secret = await garage.client.post(
        "/api/v1/documents?filename=a.txt",
        content=b"secret",
        headers={"Content-Type": "text/plain"},
    )
    assert secret.status_code == httpx.codes.CREATED, secret.text
    member = await garage.client_as("member")
    vehicle = await make_vehicle(member)
    image = {"image_document_id": secret.json()["id"]}
    answer = await member.patch(f"/api/v1/vehicles/{vehicle['id']}", json=image)
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    answer = await member.post("/api/v1/vehicles", json={"make": "Jeep", **image})
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    answer = await garage.client.patch(f"/api/v1/vehicles/{vehicle['id']}", json=image)
    assert answer.json()["image_document_id"] == secret.json()["id"]


@pytest.mark.parametrize(
    ("method", "suffix"),
    [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/adjusted-odometer?odometer=1")],
)
async def test_another_garage_finds_nothing_and_changes_nothing(
    garage: Garage, other_garage: Garage, method: str, suffix: str
) -> None:
    vehicle = await make_vehicle(garage.client)
    path = f"/api/v1/vehicles/{vehicle['id']}"
    body = {"make": "Stolen"} if method == "PATCH" else None
    answer = await other_garage.client.request(method, path + suffix, json=body)
    assert answer.status_code == httpx.codes.NOT_FOUND
    assert (await garage.client.get(path)).json() == vehicle
    assert (await other_garage.client.get("/api/v1/vehicles")).json()["items"] == []


async def test_another_garage_cannot_restore(garage: Garage, other_garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    path = f"/api/v1/vehicles/{vehicle['id']}"
    await garage.client.delete(path)
    assert (await other_garage.client.post(f"{path}/restore")).status_code == httpx.codes.NOT_FOUND
    assert (await garage.client.get(path)).status_code == httpx.codes.NOT_FOUND


async def test_viewers_see_all_and_change_nothing(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    path = f"/api/v1/vehicles/{vehicle['id']}"
    viewer = await garage.client_as("viewer")
    assert (await viewer.get(path)).json() == {**vehicle, "permission": "view"}
    assert (await viewer.post("/api/v1/vehicles", json={"make": "X"})).status_code == 403
    assert (await viewer.patch(path, json={"make": "X"})).status_code == 403
    assert (await viewer.delete(path)).status_code == 403
    assert (await garage.client.get(path)).json() == vehicle


async def test_members_have_what_they_made_and_what_is_shared(garage: Garage) -> None:
    member = await garage.member("member")
    client = await garage.client_of(member)
    not_shared = await make_vehicle(garage.client)
    own = await make_vehicle(client)
    assert own["permission"] == "manage"
    assert [v["id"] for v in (await client.get("/api/v1/vehicles")).json()["items"]] == [own["id"]]
    path = f"/api/v1/vehicles/{not_shared['id']}"
    assert (await client.get(path)).status_code == httpx.codes.NOT_FOUND

    for permission, allowed in (("view", 403), ("edit", 200)):
        share = {
            "user_id": member.user_id,
            "vehicle_id": not_shared["id"],
            "permission": permission,
        }
        assert (await garage.client.post("/api/v1/shares", json=share)).status_code == 201
        assert (await client.get(path)).json()["permission"] == permission
        assert (await client.patch(path, json={"notes": "hi"})).status_code == allowed
    assert (await client.delete(path)).status_code == 403


async def test_sharing_the_garage_shares_every_vehicle_until_it_ends(garage: Garage) -> None:
    member = await garage.member("member")
    client = await garage.client_of(member)
    vehicle = await make_vehicle(garage.client)
    share = {"user_id": member.user_id, "permission": "delete"}
    made = (await garage.client.post("/api/v1/shares", json=share)).json()
    assert made == {
        "id": made["id"],
        "user_id": member.user_id,
        "vehicle_id": None,
        "permission": "delete",
    }
    dashboard = f"/api/v1/vehicles/{vehicle['id']}/dashboard"
    assert (await client.get(dashboard)).status_code == 200
    assert (await garage.client.delete(f"/api/v1/shares/{made['id']}")).status_code == 204
    assert (
        await client.get(dashboard)
    ).status_code == httpx.codes.NOT_FOUND  # not from a cache either
    assert (await client.get("/api/v1/vehicles")).json()["items"] == []


async def test_only_who_manages_a_vehicle_shares_it(garage: Garage) -> None:
    member = await garage.member("member")
    client = await garage.client_of(member)
    vehicle = await make_vehicle(garage.client)
    share = {"user_id": member.user_id, "vehicle_id": vehicle["id"], "permission": "manage"}
    assert (await client.post("/api/v1/shares", json=share)).status_code == httpx.codes.NOT_FOUND
    assert (
        await client.post("/api/v1/shares", json={**share, "vehicle_id": None})
    ).status_code == 403
    await garage.client.post("/api/v1/shares", json={**share, "permission": "edit"})
    assert (await client.post("/api/v1/shares", json=share)).status_code == 403
    assert (await client.get("/api/v1/shares")).json()["items"] == []
    listed = (await garage.client.get(f"/api/v1/shares?vehicle_id={vehicle['id']}")).json()["items"]
    assert [item["permission"] for item in listed] == ["edit"]


async def test_an_api_key_does_not_decide_who_may_do_what(garage: Garage) -> None:
    member = await garage.member("member")
    share = {"user_id": member.user_id, "permission": "view"}
    made = (await garage.client.post("/api/v1/shares", json=share)).json()
    body = {"name": "k", "scopes": ["view", "edit", "delete"]}
    key = (await garage.client.post("/api/v1/api-keys", json=body)).json()["key"]
    async with anonymous_client(garage.app) as guest:
        guest.headers["x-api-key"] = key

        raised = await guest.post("/api/v1/shares", json={**share, "permission": "manage"})
        ended = await guest.delete(f"/api/v1/shares/{made['id']}")

        assert (await guest.get("/api/v1/shares")).json()["items"] == [
            {"id": made["id"], "vehicle_id": None, **share}
        ]
    assert [answer.json()["code"] for answer in (raised, ended)] == ["api_key_refused"] * 2


async def test_nobody_ends_the_shares_of_another_garage(
    garage: Garage, other_garage: Garage
) -> None:
    member = await garage.member("member")
    share = {"user_id": member.user_id, "permission": "view"}
    made = (await garage.client.post("/api/v1/shares", json=share)).json()
    assert (await other_garage.client.delete(f"/api/v1/shares/{made['id']}")).status_code == 404
    foreign = await other_garage.client.post("/api/v1/shares", json=share)
    assert foreign.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert await garage.count("shares") == 1
    assert await other_garage.count("shares") == 0


async def test_a_member_may_leave(garage: Garage) -> None:
    member = await garage.member("member")
    share = {"user_id": member.user_id, "permission": "view"}
    made = (await garage.client.post("/api/v1/shares", json=share)).json()
    client = await garage.client_of(member)
    assert (await client.delete(f"/api/v1/shares/{made['id']}")).status_code == 204
    assert await garage.count("shares") == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/vehicles"),
        ("POST", "/api/v1/vehicles"),
        ("GET", "/api/v1/vehicles/1"),
        ("PATCH", "/api/v1/vehicles/1"),
        ("DELETE", "/api/v1/vehicles/1"),
        ("POST", "/api/v1/vehicles/1/restore"),
        ("GET", "/api/v1/shares"),
        ("POST", "/api/v1/shares"),
        ("DELETE", "/api/v1/shares/1"),
    ],
)
async def test_nobody_gets_in_without_signing_in(garage: Garage, method: str, path: str) -> None:
    async with anonymous_client(garage.app) as anonymous:
        assert (await anonymous.request(method, path, json={"make": "X"})).status_code == 401
    assert await garage.count("vehicles") == 0
