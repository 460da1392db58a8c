from typing import Annotated

from fastapi import Depends

from motovaultpro.core.dependencies import CurrentActor, DbSession
from motovaultpro.features.odometer.service import OdometerService


async def _service(session: DbSession, actor: CurrentActor) -> OdometerService:
    return OdometerService(session, actor)


OdometerRecords = Annotated[OdometerService, Depends(_service)]
