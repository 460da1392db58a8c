"""What fuel does when others tell news; `worker.py` subscribes it."""

from motovaultpro.core.database import AsyncSession
from motovaultpro.core.errors import NotFoundError
from motovaultpro.core.events import Event, Handler, publish
from motovaultpro.features.fuel.repository import FuelRepository
from motovaultpro.features.vehicles import facade as vehicles


def recomputing() -> Handler:
    """Derives a vehicle's history again when an energy source is counted in another unit from now on."""
    return Handler("fuel.recompute", frozenset({"vehicle.updated"}), _recompute)


async def _recompute(session: AsyncSession, event: Event) -> None:
    if event.vehicle_id is None or not event.data.get("energy_units_changed"):
        return
    try:
        await vehicles.lock(session, event.tenant_id, event.vehicle_id)
        units = await vehicles.units(session, event.tenant_id, event.vehicle_id)
    except NotFoundError:
        return  # the vehicle is gone, and its history with it
    repository = FuelRepository(session, event.tenant_id)
    for source in units.energy_sources:
        await repository.recompute(source)
    await publish(
        session,
        Event(
            type="fuel_record.recomputed", tenant_id=event.tenant_id, vehicle_id=event.vehicle_id
        ),
    )
