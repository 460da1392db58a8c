from typing import Annotated

from fastapi import Depends, Request

from motovaultpro.core.dependencies import CurrentActor, CurrentClock, DbSession
from motovaultpro.core.security.actor import Actor
from motovaultpro.features.users.service import UserService, require_manager, require_person


async def _manager(actor: CurrentActor) -> Actor:
    require_manager(actor)
    return actor


async def _managing_person(actor: CurrentActor) -> Actor:
    require_manager(actor)
    require_person(actor)
    return actor


async def _service(
    request: Request, session: DbSession, actor: CurrentActor, clock: CurrentClock
) -> UserService:
    state = request.app.state
    return UserService(
        session,
        actor,
        clock=clock,
        passwords=state.passwords,
        settings=state.settings.security,
    )


MANAGER = Depends(_manager)
"""An owner or administrator, by whatever credentials."""
MANAGING_PERSON = Depends(_managing_person)
"""As `MANAGER`, but not by an API key: a key could make itself an owner's password."""
Users = Annotated[UserService, Depends(_service)]
