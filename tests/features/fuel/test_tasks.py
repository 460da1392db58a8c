from typing import Any

from motovaultpro.core.events import Event
from motovaultpro.features.fuel.tasks import recomputing
from tests.factories.fuel import fill_up, fuel_records, record_fill_up
from tests.factories.garages import Garage, make_vehicle


async def deliver(garage: Garage, vehicle_id: int | None, **data: object) -> None:
    event = Event(
        type="vehicle.updated", tenant_id=garage.tenant_id, vehicle_id=vehicle_id, data=data
    )
    handler = recomputing()
    assert event.type in handler.types
    async with garage.database.session(garage.tenant_id) as session:
        await handler.handle(session, event)


async def change_unit(garage: Garage, vehicle: dict[str, Any], unit: str) -> None:
    source = {"id": vehicle["energy_sources"][0]["id"], "kind": "petrol", "volume_unit": unit}
    answer = await garage.client.patch(
        f"/api/v1/vehicles/{vehicle['id']}", json={"energy_sources": [source]}
    )
    assert answer.is_success, answer.text


async def two_fill_ups(garage: Garage) -> dict[str, Any]:
    vehicle = await make_vehicle(
        garage.client, energy_sources=[{"kind": "petrol", "volume_unit": "l"}]
    )
    await record_fill_up(garage.client, vehicle, fill_up("2024-01-01", 1000, 40))
    await record_fill_up(garage.client, vehicle, fill_up("2024-01-05", 1300, "37.8541"))
    return vehicle


async def volumes(garage: Garage, vehicle: dict[str, Any]) -> list[float | None]:
    return [record["segment_volume"] for record in await fuel_records(garage.client, vehicle)]


async def test_a_new_unit_of_an_energy_source_derives_its_history_again(garage: Garage) -> None:
    vehicle = await two_fill_ups(garage)
    await change_unit(garage, vehicle, "m3")
    await deliver(garage, vehicle["id"], energy_units_changed=True)
    assert await volumes(garage, vehicle) == [None, 0.0378541]


async def test_other_changes_of_a_vehicle_and_vehicles_that_are_gone_are_let_be(
    garage: Garage,
) -> None:
    vehicle = await two_fill_ups(garage)
    before = await volumes(garage, vehicle)
    await change_unit(garage, vehicle, "m3")
    await deliver(garage, vehicle["id"])
    await deliver(garage, vehicle["id"], energy_units_changed=False)
    await deliver(garage, vehicle["id"] + 1000, energy_units_changed=True)
    await deliver(garage, None, energy_units_changed=True)
    assert await volumes(garage, vehicle) == before
