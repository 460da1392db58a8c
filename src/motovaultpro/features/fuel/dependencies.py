from typing import Annotated

from fastapi import Depends

from motovaultpro.core.dependencies import CurrentActor, DbSession
from motovaultpro.features.fuel.service import FuelService


async def _service(session: DbSession, actor: CurrentActor) -> FuelService:
    return FuelService(session, actor)


Fuel = Annotated[FuelService, Depends(_service)]
