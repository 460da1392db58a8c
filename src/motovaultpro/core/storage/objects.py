"""Storage of files: immutable objects in the object store, a spool for when it is down, a second store to read from."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from uuid import UUID, uuid4

import structlog

from motovaultpro.core.errors import NotFoundError, UnavailableError
from motovaultpro.core.observability.metrics import STORAGE_OPERATIONS
from motovaultpro.core.settings import StorageSettings
from motovaultpro.core.storage.intake import Intake
from motovaultpro.core.storage.spool import Spool, SpooledObject
from motovaultpro.core.storage.store import (
    PART_BYTES,
    ObjectInfo,
    ObjectStore,
    StoreDownError,
    StoredStream,
)

log = structlog.get_logger()

T = TypeVar("T")

_RETRY_AFTER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class StoredObject:
    """`content_type` is what the content is; answer with `download_headers`, which knows what is safe to say."""

    key: str
    size: int
    sha256: str
    content_type: str


class Storage:
    """Objects are written once, under keys of our making (`tenant/uuid`), and never changed.

    Reads look in the store, then in the secondary one, then in the spool. "Not found" is said only when all of them
    could be asked; otherwise it is `UnavailableError`.
    """

    def __init__(self, settings: StorageSettings, spool: Spool) -> None:
        self._settings = settings
        self._spool = spool
        self._store = ObjectStore(settings.url, settings)
        self._stores = [self._store]
        if settings.secondary_url:
            self._stores.append(ObjectStore(settings.secondary_url, settings))

    async def put(
        self,
        tenant_id: UUID,
        chunks: AsyncIterator[bytes],
        *,
        filename: str,
        max_bytes: int | None = None,
    ) -> StoredObject:
        """Store an upload in bounded memory, whatever its size.

        Raises `TooLargeError`, `InvalidError` (empty), `UnsupportedFileError` (programs), `UploadInterruptedError`, and
        `UnavailableError` when the store is down and the upload is too large for the spool. Then nothing is kept.
        """
        intake = Intake(
            chunks,
            filename=filename,
            max_bytes=max_bytes or self._settings.max_upload_bytes,
            keep_bytes=max(PART_BYTES, self._settings.spool_max_bytes),
        )
        key = f"{tenant_id}/{uuid4()}"
        small = await intake.fill(PART_BYTES)
        try:
            if small:
                await self._store.put(key, intake.kept, intake.content_type, filename)
            else:
                await self._store.put_stream(key, intake, intake.content_type, filename)
            _count("put", "ok")
        except StoreDownError as error:
            await self._put_in_spool(key, tenant_id, intake, cause=error)
        return StoredObject(key, intake.size, intake.sha256, intake.content_type)

    async def open(self, key: str, byte_range: tuple[int, int] | None = None) -> StoredStream:
        """Open for reading, the part `byte_range` of it as from `parse_range`.

        The answer's `chunks` raise `UnavailableError` if the store fails on the way.
        """
        return await self._look(
            "open",
            lambda store: store.get(key, byte_range),
            lambda: self._open_spooled(key, byte_range),
        )

    async def head(self, key: str) -> ObjectInfo:
        return await self._look(
            "head", lambda store: store.head(key), lambda: self._spool.head(key)
        )

    async def delete(self, key: str) -> None:
        """Remove the object wherever it is; absent is fine."""
        # The spool first: it waits for a running drain, which would put the object back into the store behind us.
        await self._spool.remove(key)
        try:
            for store in self._stores:
                await store.delete(key)
        except StoreDownError as error:
            _count("delete", "unavailable")
            raise _unavailable() from error
        _count("delete", "ok")

    async def list(self, prefix: str | None = None) -> AsyncIterator[ObjectInfo]:
        """Every object below `prefix` (whole path segments) once, in no order, the secondary store's included."""
        seen: set[str] = set()
        try:
            for spooled in await self._spool.list(prefix):
                seen.add(spooled.key)
                yield spooled
            for store in self._stores:
                async for info in store.list(prefix):
                    if info.key not in seen:
                        yield info
                        if len(self._stores) > 1:
                            seen.add(info.key)
        except StoreDownError as error:
            _count("list", "unavailable")
            raise _unavailable() from error
        _count("list", "ok")

    async def presigned_url(self, key: str, expires: timedelta) -> str | None:
        """A link that downloads the object (under the name it was uploaded with) straight from the store.

        None where only we can deliver it: a local directory, or an object that is not in the store itself. Then stream
        it with `open`.
        """
        try:
            if await self._store.head(key) is None:
                return None
            return await self._store.presigned_url(key, expires)
        except StoreDownError:
            return None

    async def health(self) -> None:
        """Raise `UnavailableError` that says what to do, within two seconds, unless the store answers."""
        await self._store.check()

    async def drain_spool(self) -> int:
        """Move what waits in the spool into the store, each in its own transaction; the number moved.

        Safe to run twice, at once, and again after a kill.
        """
        moved = 0
        while True:
            try:
                async with self._spool.claim() as spooled:
                    if spooled is None:
                        break
                    await self._store.put(
                        spooled.key, spooled.content, spooled.content_type, filename=""
                    )
            except StoreDownError:
                _count("drain", "unavailable")
                break
            _count("drain", "ok")
            moved += 1
        if moved:
            log.info("storage_spool_drained", objects=moved)
        return moved

    async def _put_in_spool(
        self, key: str, tenant_id: UUID, intake: Intake, *, cause: StoreDownError
    ) -> None:
        limit = self._settings.spool_max_bytes
        await intake.fill(limit + 1)
        if intake.size > limit:
            _count("put", "unavailable")
            raise _unavailable() from cause
        await self._spool.add(
            SpooledObject(key, tenant_id, intake.kept, intake.content_type, intake.sha256)
        )
        _count("put", "spooled")
        log.warning("storage_upload_spooled", key=key, size=intake.size)

    async def _look(
        self,
        operation: str,
        in_store: Callable[[ObjectStore], Awaitable[T | None]],
        in_spool: Callable[[], Awaitable[T | None]],
    ) -> T:
        failure: StoreDownError | None = None
        for store in self._stores:
            try:
                found = await in_store(store)
            except StoreDownError as error:
                failure = error
                continue
            if found is not None:
                _count(operation, "ok")
                return found
        found = await in_spool()
        if found is not None:
            _count(operation, "spooled")
            return found
        if failure is not None:
            _count(operation, "unavailable")
            raise _unavailable() from failure
        _count(operation, "not_found")
        raise NotFoundError("There is no such file.")

    async def _open_spooled(
        self, key: str, byte_range: tuple[int, int] | None
    ) -> StoredStream | None:
        content = await self._spool.get(key)
        if content is None:
            return None
        start, end = byte_range or (0, len(content))
        return StoredStream(len(content), start, end, _once(content[start:end]))


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _count(operation: str, status: str) -> None:
    STORAGE_OPERATIONS.labels(operation=operation, status=status).inc()


def _unavailable() -> UnavailableError:
    return UnavailableError(
        "File storage is away at the moment. Try again later.", retry_after=_RETRY_AFTER_SECONDS
    )
