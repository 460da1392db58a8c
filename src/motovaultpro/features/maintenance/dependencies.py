from typing import Annotated

from fastapi import Depends

from motovaultpro.core.dependencies import CurrentActor, CurrentClock, DbSession
from motovaultpro.features.maintenance.service import MaintenanceService


async def _service(
    session: DbSession, actor: CurrentActor, clock: CurrentClock
) -> MaintenanceService:
    return MaintenanceService(session, actor, clock)


MaintenanceRecords = Annotated[MaintenanceService, Depends(_service)]
