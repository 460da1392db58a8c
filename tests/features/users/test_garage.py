import pytest

from tests.factories.garages import Garage, anonymous_client, make_vehicle

GARAGE = "/api/v1/garage"


async def test_everybody_in_it_sees_it(garage: Garage) -> None:
    viewer = await garage.client_as("viewer")

    answer = await viewer.get(GARAGE)

    assert answer.status_code == 200
    shown = answer.json()
    assert shown.pop("name").startswith("Garage ")
    assert shown == {
        "id": str(garage.tenant_id),
        "currency": "USD",
        "distance_unit": "mi",
        "volume_unit": "us_gal",
    }


@pytest.mark.parametrize("role", ["owner", "admin"])
async def test_changes_what_new_vehicles_start_with(garage: Garage, role: str) -> None:
    client = await garage.client_as(role)
    changes = {"name": "Fleet", "currency": "EUR", "distance_unit": "km", "volume_unit": "l"}

    answer = await client.patch(GARAGE, json=changes)

    assert (answer.status_code, answer.json()) == (200, {"id": str(garage.tenant_id), **changes})
    vehicle = await make_vehicle(client)
    assert (vehicle["currency"], vehicle["distance_unit"]) == ("EUR", "km")
    assert vehicle["energy_sources"][0]["volume_unit"] == "l"


async def test_changes_only_what_is_named(garage: Garage) -> None:
    before = (await garage.client.get(GARAGE)).json()

    answer = await garage.client.patch(GARAGE, json={"currency": "CHF"})

    assert answer.json() == {**before, "currency": "CHF"}


async def test_own_preferences_come_before_the_garages(garage: Garage) -> None:
    preferences = {"currency": "EUR", "volume_unit": "l"}
    await garage.client.patch("/api/v1/me", json={"preferences": preferences})

    vehicle = await make_vehicle(garage.client)

    assert (vehicle["currency"], vehicle["distance_unit"]) == ("EUR", "mi")
    assert vehicle["energy_sources"][0]["volume_unit"] == "l"


@pytest.mark.parametrize("role", ["member", "viewer"])
async def test_is_changed_by_owners_and_administrators(garage: Garage, role: str) -> None:
    client = await garage.client_as(role)
    before = (await garage.client.get(GARAGE)).json()

    assert (await client.patch(GARAGE, json={"name": "Mine"})).status_code == 403
    async with anonymous_client(garage.app) as guest:
        assert (await guest.get(GARAGE)).status_code == 401
        assert (await guest.patch(GARAGE, json={"name": "Mine"})).status_code == 401
    assert (await garage.client.get(GARAGE)).json() == before


async def test_refuses_a_change_of_what_somebody_else_changed(garage: Garage) -> None:
    tag = (await garage.client.get(GARAGE)).headers["etag"]
    await garage.client.patch(GARAGE, json={"name": "First"})

    answer = await garage.client.patch(GARAGE, json={"name": "Second"}, headers={"If-Match": tag})

    assert answer.status_code == 412
    assert (await garage.client.get(GARAGE)).json()["name"] == "First"


@pytest.mark.parametrize(
    "body", [{"name": ""}, {"name": None}, {"currency": "EURO"}, {"distance_unit": "x"}, {"id": 1}]
)
async def test_refuses_what_is_not_valid(garage: Garage, body: dict[str, object]) -> None:
    before = (await garage.client.get(GARAGE)).json()

    assert (await garage.client.patch(GARAGE, json=body)).status_code == 422
    assert (await garage.client.get(GARAGE)).json() == before
