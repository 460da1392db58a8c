"""Jobs of the vehicles capsule; `worker.py` schedules them."""

from datetime import timedelta
from uuid import UUID

from motovaultpro.core.clock import Clock
from motovaultpro.core.database import Database
from motovaultpro.core.events import Event, publish
from motovaultpro.features.vehicles.repository import VehicleRepository

UNDO_PERIOD = timedelta(days=30)


async def purge_deleted(database: Database, tenant_id: UUID, clock: Clock) -> int:
    """Delete for good what has been deleted for 30 days; answers how many vehicles."""
    async with database.session(tenant_id) as session:
        purged = await VehicleRepository(session, tenant_id).purge(clock() - UNDO_PERIOD)
        for vehicle_id in purged:
            await publish(
                session, Event(type="vehicle.purged", tenant_id=tenant_id, vehicle_id=vehicle_id)
            )
    return len(purged)
