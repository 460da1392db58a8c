from fastapi import APIRouter, Response, status

from motovaultpro.core.dependencies import (
    CurrentActor,
    CurrentClock,
    DbSession,
    Read,
    UnitOfWorkRoute,
)
from motovaultpro.core.errors import NotFoundError
from motovaultpro.core.types import Id
from motovaultpro.features.sessions.repository import MINE, SessionRepository
from motovaultpro.features.sessions.schemas import SessionsRead
from motovaultpro.features.users import facade as users

router = APIRouter(prefix="/api/v1/sessions", tags=["sign-in"], route_class=UnitOfWorkRoute)


@router.get("", response_model=SessionsRead)
async def list_sessions(read: Read, clock: CurrentClock) -> Response:
    """Where you are signed in to this garage, the newest first."""
    actor = read.actor
    return await read.answer(
        MINE, {"tenant_id": actor.tenant_id, "session_id": actor.session_id, "now": clock()}
    )


@router.delete("/{session_id}", status_code=status.HTTP_204_NO_CONTENT)
async def end_session(session_id: Id, session: DbSession, actor: CurrentActor) -> None:
    """Sign out somewhere else: cookie, access tokens and refresh token stop working at once."""
    users.require_person(actor)
    if not await SessionRepository(session).end(actor.user_id, session_id):
        raise NotFoundError("You have no such session.")
