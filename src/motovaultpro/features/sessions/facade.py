"""Sessions for sign-in. The functions take a tenant's session or a system session."""

from motovaultpro.core.database import AsyncSession, system_door
from motovaultpro.features.sessions.repository import SessionRepository
from motovaultpro.features.sessions.service import Sessions

__all__ = ["Sessions", "end", "end_all"]


async def end(session: AsyncSession, user_id: int, session_id: int) -> None:
    await SessionRepository(session).end(user_id, session_id)


async def end_all(session: AsyncSession, user_id: int, *, keep: int | None = None) -> None:
    """End the user's sessions in every garage, but for the one to keep."""
    async with system_door(session):
        await SessionRepository(session).end_all(user_id, keep=keep)
