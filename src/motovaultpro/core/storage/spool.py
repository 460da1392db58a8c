"""Where small uploads wait while the object store is down: a table of the database."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from sqlalchemy import text

from motovaultpro.core.database import Database
from motovaultpro.core.storage.store import ObjectInfo


@dataclass(frozen=True, slots=True)
class SpooledObject:
    key: str
    tenant_id: UUID
    content: bytes
    content_type: str
    sha256: str


class Spool(Protocol):
    async def add(self, spooled: SpooledObject) -> None: ...

    async def get(self, key: str) -> bytes | None: ...

    async def head(self, key: str) -> ObjectInfo | None: ...

    async def remove(self, key: str) -> None:
        """Waits for a `claim` of the same object to end."""
        ...

    async def list(self, prefix: str | None) -> Sequence[ObjectInfo]: ...

    def claim(self) -> AbstractAsyncContextManager[SpooledObject | None]:
        """Lend the oldest object that nobody else holds; it is removed if the block ends without an exception."""
        ...


class DatabaseSpool:
    """Table `storage_spool`, across tenants: the worker empties it for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, spooled: SpooledObject) -> None:
        async with self._database.system_session() as session:
            await session.execute(
                text(
                    "insert into storage_spool (key, tenant_id, content, content_type, sha256)"
                    " values (:key, :tenant_id, :content, :content_type, :sha256) on conflict (key) do nothing"
                ),
                {
                    "key": spooled.key,
                    "tenant_id": spooled.tenant_id,
                    "content": spooled.content,
                    "content_type": spooled.content_type,
                    "sha256": spooled.sha256,
                },
            )

    async def get(self, key: str) -> bytes | None:
        async with self._database.system_session() as session:
            content: bytes | None = await session.scalar(
                text("select content from storage_spool where key = :key"), {"key": key}
            )
            return content

    async def head(self, key: str) -> ObjectInfo | None:
        async with self._database.system_session() as session:
            row = (
                await session.execute(
                    text(
                        "select key, length(content), created_at from storage_spool where key = :key"
                    ),
                    {"key": key},
                )
            ).one_or_none()
        return ObjectInfo(*row) if row else None

    async def remove(self, key: str) -> None:
        async with self._database.system_session() as session:
            await session.execute(text("delete from storage_spool where key = :key"), {"key": key})

    async def list(self, prefix: str | None) -> Sequence[ObjectInfo]:
        async with self._database.system_session() as session:
            rows = await session.execute(
                text(
                    "select key, length(content), created_at from storage_spool"
                    " where starts_with(key, :prefix) order by key"
                ),
                {"prefix": f"{prefix}/" if prefix else ""},
            )
            return [ObjectInfo(*row) for row in rows]

    @asynccontextmanager
    async def claim(self) -> AsyncIterator[SpooledObject | None]:
        async with self._database.system_session() as session:
            row = (
                await session.execute(
                    text(
                        "select key, tenant_id, content, content_type, sha256 from storage_spool"
                        " order by created_at limit 1 for update skip locked"
                    )
                )
            ).one_or_none()
            if row is None:
                yield None
                return
            spooled = SpooledObject(*row)
            yield spooled
            await session.execute(
                text("delete from storage_spool where key = :key"), {"key": spooled.key}
            )
