from typing import Annotated

from fastapi import Depends

from motovaultpro.core.dependencies import CurrentActor, CurrentClock, DbSession
from motovaultpro.features.vehicles.service import VehicleService


async def _service(session: DbSession, actor: CurrentActor, clock: CurrentClock) -> VehicleService:
    return VehicleService(session, actor, clock)


Vehicles = Annotated[VehicleService, Depends(_service)]
