"""Jobs of the links capsule; `worker.py` schedules them."""

from motovaultpro.core.clock import Clock
from motovaultpro.core.database import Database
from motovaultpro.features.links.repository import LinkRepository


async def delete_expired_links(database: Database, clock: Clock) -> None:
    async with database.system_session() as session:
        await LinkRepository(session).delete_expired(clock())
