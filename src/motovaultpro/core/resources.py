"""What a process of ours works with, opened and closed together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from motovaultpro.core.cache import Cache, stale_scopes
from motovaultpro.core.clock import Clock
from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.settings import Settings
from motovaultpro.core.storage import DatabaseSpool, Storage
from motovaultpro.core.valkey import Valkey


@dataclass(frozen=True, slots=True)
class Resources:
    settings: Settings
    clock: Clock
    database: Database
    valkey: Valkey | None
    cache: Cache
    storage: Storage


@asynccontextmanager
async def open_resources(settings: Settings, clock: Clock) -> AsyncIterator[Resources]:
    """Open everything; nothing here waits for a server that is away: health tells.

    Even a process that only writes listens for stale scopes, so that Valkey's copies stay right while no backend runs.
    """
    async with AsyncExitStack() as stack:
        database = Database(settings.database)
        stack.push_async_callback(database.close)
        await database.open()
        valkey = Valkey(settings.cache.url.get_secret_value()) if settings.cache.url else None
        if valkey is not None:
            stack.push_async_callback(valkey.close)
        cache = Cache(
            valkey,
            l1_entries=settings.cache.l1_entries,
            listen_url=(settings.database.listen_url or settings.database.url).get_secret_value(),
        )
        stack.push_async_callback(cache.close)
        await cache.open()

        async def forget(session: AsyncSession) -> None:
            await cache.forget(stale_scopes(session))

        database.after_commit = forget
        storage = Storage(settings.storage, DatabaseSpool(database))
        yield Resources(settings, clock, database, valkey, cache, storage)
