"""Jobs of the sessions capsule; `worker.py` schedules them."""

from motovaultpro.core.clock import Clock
from motovaultpro.core.database import Database
from motovaultpro.features.sessions.repository import SessionRepository


async def delete_expired_sessions(database: Database, clock: Clock) -> None:
    """They let nobody in any more; this frees their rows."""
    async with database.system_session() as session:
        await SessionRepository(session).delete_expired(clock())
