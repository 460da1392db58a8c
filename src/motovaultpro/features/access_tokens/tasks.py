"""Jobs of the access tokens capsule; `worker.py` schedules them."""

from motovaultpro.core.clock import Clock
from motovaultpro.core.database import Database
from motovaultpro.core.settings import Settings
from motovaultpro.features.access_tokens import service


async def rotate_signing_keys(settings: Settings, database: Database, clock: Clock) -> None:
    """Add a key if the newest is older than its lifetime, and delete those that have retired. Idempotent."""
    await service.add_key_if_needed(settings, database, clock)
    await service.delete_retired_keys(database, clock)
