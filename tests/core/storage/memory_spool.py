"""A spool in memory, for tests that are not about the table."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from motovaultpro.core.storage import ObjectInfo, SpooledObject


class MemorySpool:
    def __init__(self) -> None:
        self.objects: dict[str, SpooledObject] = {}
        self._claims: dict[str, asyncio.Lock] = {}

    async def add(self, spooled: SpooledObject) -> None:
        self.objects.setdefault(spooled.key, spooled)

    async def get(self, key: str) -> bytes | None:
        spooled = self.objects.get(key)
        return spooled.content if spooled else None

    async def head(self, key: str) -> ObjectInfo | None:
        spooled = self.objects.get(key)
        return _info(spooled) if spooled else None

    async def remove(self, key: str) -> None:
        async with self._claims.setdefault(key, asyncio.Lock()):
            self.objects.pop(key, None)

    async def list(self, prefix: str | None) -> Sequence[ObjectInfo]:
        below = f"{prefix}/" if prefix else ""
        return [_info(spooled) for key, spooled in self.objects.items() if key.startswith(below)]

    @asynccontextmanager
    async def claim(self) -> AsyncIterator[SpooledObject | None]:
        for key, spooled in list(self.objects.items()):
            lock = self._claims.setdefault(key, asyncio.Lock())
            if not lock.locked():
                async with lock:
                    yield spooled
                    del self.objects[key]
                return
        yield None


def _info(spooled: SpooledObject) -> ObjectInfo:
    return ObjectInfo(spooled.key, len(spooled.content), datetime(2026, 1, 1, tzinfo=UTC))
