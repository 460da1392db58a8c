import httpx
import pytest

from tests.factories.garages import Garage, anonymous_client, make_vehicle

PATH = "/api/v1/extra-fields/vehicle"
VIN = {"name": "VIN", "field_type": "text", "is_required": True}
DOORS = {"name": "Doors", "field_type": "number", "is_required": False}


async def test_definitions_are_kept_in_order(garage: Garage) -> None:
    assert (await garage.client.get("/api/v1/extra-fields")).json() == {"items": []}
    assert (await garage.client.put(PATH, json=[VIN, DOORS])).status_code == 204
    assert (await garage.client.get("/api/v1/extra-fields")).json() == {
        "items": [{"record_type": "vehicle", "fields": [VIN, DOORS]}]
    }
    await garage.client.put(PATH, json=[DOORS])
    listed = (await garage.client.get("/api/v1/extra-fields")).json()["items"]
    assert listed == [{"record_type": "vehicle", "fields": [DOORS]}]


async def test_a_required_field_must_be_there(garage: Garage) -> None:
    await garage.client.put(PATH, json=[VIN])
    answer = await garage.client.post("/api/v1/vehicles", json={"make": "Jeep"})
    assert answer.status_code == 422
    assert answer.json()["fields"] == [{"field": "extra_fields", "message": "'VIN' is required"}]
    assert await garage.count("vehicles") == 0
    vehicle = await make_vehicle(garage.client, extra_fields=[{"name": "VIN", "value": "1J4"}])
    assert vehicle["extra_fields"] == [{"name": "VIN", "value": "1J4"}]


@pytest.mark.parametrize(
    ("field_type", "right", "wrong"),
    [
        ("number", ["4", "-4", ""], ["four", "4.5", "1e3", "9" * 19]),
        ("decimal", ["4", "4.5", "-0.01", ""], ["4,5", "NaN", "Infinity", "x"]),
        ("date", ["2026-05-31", ""], ["2026-02-30", "31.05.2026", "x"]),
        ("time", ["14:30", "14:30:59", ""], ["25:00", "half past two"]),
        ("text", ["anything", ""], []),
        ("location", ["52.5,13.4", ""], []),
    ],
)
async def test_values_are_held_against_their_type(
    garage: Garage, field_type: str, right: list[str], wrong: list[str]
) -> None:
    await garage.client.put(PATH, json=[{"name": "F", "field_type": field_type}])
    for value in right:
        await make_vehicle(garage.client, extra_fields=[{"name": "F", "value": value}])
    for value in wrong:
        body = {"make": "Jeep", "extra_fields": [{"name": "F", "value": value}]}
        answer = await garage.client.post("/api/v1/vehicles", json=body)
        assert answer.status_code == 422, value
        assert [item["field"] for item in answer.json()["fields"]] == ["extra_fields.0.value"]


async def test_what_was_written_stays_when_its_definition_goes(garage: Garage) -> None:
    await garage.client.put(PATH, json=[DOORS])
    vehicle = await make_vehicle(garage.client, extra_fields=[{"name": "Doors", "value": "2"}])
    await garage.client.put(PATH, json=[])
    path = f"/api/v1/vehicles/{vehicle['id']}"
    assert (await garage.client.get(path)).json()["extra_fields"] == vehicle["extra_fields"]


async def test_the_same_field_twice_is_refused(garage: Garage) -> None:
    twice = [{"name": "F", "value": "1"}, {"name": "F", "value": "2"}]
    answer = await garage.client.post("/api/v1/vehicles", json={"make": "J", "extra_fields": twice})
    assert answer.status_code == 422
    answer = await garage.client.put(PATH, json=[VIN, VIN])
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"] == "1.name"
    assert await garage.count("extra_field_definitions") == 0


@pytest.mark.parametrize("role", ["member", "viewer"])
async def test_only_owners_and_administrators_define(garage: Garage, role: str) -> None:
    client = await garage.client_as(role)
    assert (await client.put(PATH, json=[VIN])).status_code == httpx.codes.FORBIDDEN
    assert (await client.get("/api/v1/extra-fields")).status_code == httpx.codes.OK
    assert await garage.count("extra_field_definitions") == 0


async def test_each_garage_has_its_own(garage: Garage, other_garage: Garage) -> None:
    await garage.client.put(PATH, json=[VIN])
    assert (await other_garage.client.get("/api/v1/extra-fields")).json() == {"items": []}
    await other_garage.client.put(PATH, json=[])
    assert await garage.count("extra_field_definitions") == 1


async def test_an_unknown_record_type_is_refused(garage: Garage) -> None:
    # A path that names no record type is a wrong value: 422, not 404.
    assert (await garage.client.put("/api/v1/extra-fields/boat", json=[])).status_code == 422


async def test_nobody_gets_in_without_signing_in(garage: Garage) -> None:
    async with anonymous_client(garage.app) as anonymous:
        assert (await anonymous.get("/api/v1/extra-fields")).status_code == 401
        assert (await anonymous.put(PATH, json=[VIN])).status_code == 401
