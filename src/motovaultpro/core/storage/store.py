"""One object store, a local directory or an S3 bucket, behind deadlines and a circuit breaker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING
from urllib.request import url2pathname

import obstore
import structlog
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, S3Store
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from motovaultpro.core.errors import UnavailableError
from motovaultpro.core.settings import StorageSettings
from motovaultpro.core.storage.serving import disposition, served_type

if TYPE_CHECKING:
    # These exist for type checkers only.
    from obstore import ObjectMeta, PutResult
    from obstore.store import S3Config

log = structlog.get_logger()

PART_BYTES = 5 * 1024 * 1024  # the least S3 takes; it takes 10,000 of them, so files to 48 GiB
_PARTS_AT_ONCE = 2
_READ_BYTES = 256 * 1024
_CONNECT_TIMEOUT = timedelta(seconds=2)
_RETRIES = 2
_FAILURES_TO_OPEN = 3


class StoreDownError(Exception):
    """The store failed, or did not answer in time. What it was asked to write may or may not be there."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    key: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class StoredStream:
    """Bytes `start` to `end` (exclusive) of an object of `size` bytes. `chunks` can be read once."""

    size: int
    start: int
    end: int
    chunks: AsyncIterator[bytes]


class ObjectStore:
    """Every method raises `StoreDownError`, at once while the breaker is open."""

    def __init__(self, url: str, settings: StorageSettings) -> None:
        patience = timedelta(seconds=settings.patience_seconds)
        self.url = url
        self._store = _open(url, settings, patience)
        self._directory = _directory(url) if url.startswith("file://") else None
        self._breakers = AsyncCircuitBreakerFactory(
            default_threshold=_FAILURES_TO_OPEN,
            default_ttl=patience.total_seconds() / 2,
            exclude=[(BaseException, lambda error: not _is_outage(error))],
        )

    async def put(self, key: str, content: bytes, content_type: str, filename: str) -> None:
        """Write a small object; one that is there already is left as it is."""
        self._require_directory()
        async with self._watch("put"):
            try:
                await obstore.put_async(
                    self._store,
                    key,
                    content,
                    mode="create",
                    attributes=self._attributes(content_type, filename),
                )
            except AlreadyExistsError:
                log.info("storage_object_exists", key=key)

    async def put_stream(
        self, key: str, blocks: AsyncIterator[bytes], content_type: str, filename: str
    ) -> None:
        """Write an object in parts while its blocks arrive; nothing is left behind when `blocks` raises."""
        self._require_directory()
        async with self._watch("put"):
            handoff: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(maxsize=1)
            upload = asyncio.ensure_future(
                obstore.put_async(
                    self._store,
                    key,
                    _received(handoff),
                    attributes=self._attributes(content_type, filename),
                    chunk_size=PART_BYTES,
                    max_concurrency=_PARTS_AT_ONCE,
                )
            )
            # A failed upload takes no more blocks: make room, so that the loop below wakes up and sees it.
            upload.add_done_callback(lambda _: handoff.empty() or handoff.get_nowait())
            try:
                # Why: the blocks are pulled here, in the caller's task. The library runs each `__anext__` in a task of
                # its own, which breaks cancel scopes in the source, and does not abort the upload when cancelled.
                async for block in blocks:
                    await handoff.put(block)
                    if upload.done():
                        break
                else:
                    await handoff.put(None)
                await asyncio.shield(upload)
            except BaseException:
                await asyncio.shield(self._abort(key, upload, handoff))
                raise

    async def get(self, key: str, byte_range: tuple[int, int] | None) -> StoredStream | None:
        """None if there is no such object. The range must lie within it."""
        try:
            async with self._watch("open"):
                result = await obstore.get_async(
                    self._store, key, options={"range": byte_range} if byte_range else None
                )
        except FileNotFoundError:
            return None
        start, end = result.range
        chunks = _chunks(result.stream(_READ_BYTES))
        return StoredStream(result.meta["size"], start, end, chunks)

    async def head(self, key: str) -> ObjectInfo | None:
        try:
            async with self._watch("head"):
                return _info(await obstore.head_async(self._store, key))
        except FileNotFoundError:
            return None

    async def delete(self, key: str) -> None:
        """Absent is fine."""
        try:
            async with self._watch("delete"):
                await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return

    async def list(self, prefix: str | None) -> AsyncIterator[ObjectInfo]:
        async with self._watch("list"):
            async for page in obstore.list(self._store, prefix):
                for meta in page:
                    yield _info(meta)

    async def presigned_url(self, key: str, expires: timedelta) -> str | None:
        if isinstance(self._store, LocalStore):
            return None
        return await obstore.sign_async(self._store, "GET", key, expires)

    async def check(self) -> None:
        """Raise `UnavailableError` with the fix unless the store answers. Asks it even while the breaker is open."""
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT.total_seconds()):
                if isinstance(self._store, LocalStore):
                    await asyncio.to_thread(_check_directory, _directory(self.url))
                else:
                    await anext(obstore.list(self._store, "health"), None)
        except (BaseError, OSError) as error:
            raise UnavailableError(f"Storage {self.url} {_diagnosis(error)}") from error

    def _attributes(self, content_type: str, filename: str) -> dict[str, str] | None:
        """What a presigned link answers with: never a page that runs. A directory has no attributes."""
        if isinstance(self._store, LocalStore):
            return None
        return {
            "Content-Type": served_type(content_type),
            "Content-Disposition": disposition(filename),
        }

    async def _abort(
        self,
        key: str,
        upload: "asyncio.Future[PutResult]",
        handoff: asyncio.Queue[bytes | Exception | None],
    ) -> None:
        if handoff.full():
            handoff.get_nowait()
        handoff.put_nowait(_AbortedError())
        try:
            await upload
        except (BaseError, OSError, _AbortedError):
            return
        await obstore.delete_async(self._store, key)  # all blocks were there before we were stopped

    @asynccontextmanager
    async def _watch(self, operation: str) -> AsyncIterator[None]:
        breaker = await self._breakers.get_breaker(self.url)
        try:
            async with breaker:
                yield
        except OpenedState as error:
            # Why: the breaker raises one and the same object each time, and its traceback would grow with every call.
            error.__traceback__ = None
            raise StoreDownError(f"{self.url} is being left alone after failures") from None
        except Exception as error:
            if not _is_outage(error):
                raise
            reason = str(error).partition("\n")[0]
            log.warning("storage_failed", operation=operation, store=self.url, error=reason)
            raise StoreDownError(reason) from error

    def _require_directory(self) -> None:
        """Why: the library would make a directory that went away (a lost mount), and files would land beside the others."""
        if self._directory is not None and not self._directory.is_dir():
            raise StoreDownError(f"{self._directory} is gone")


class _AbortedError(Exception):
    """Put in the place of the next block, it makes the library abort the upload."""


async def _received(
    handoff: asyncio.Queue[bytes | Exception | None],
) -> AsyncIterator[bytes]:
    while (block := await handoff.get()) is not None:
        if isinstance(block, Exception):
            raise block
        yield block


async def _chunks(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for chunk in stream:
            yield bytes(chunk)
    except (BaseError, OSError) as error:
        log.warning("storage_failed", operation="read", error=str(error).partition("\n")[0])
        raise UnavailableError("The file could not be read to its end.") from error


def _info(meta: "ObjectMeta") -> ObjectInfo:
    return ObjectInfo(key=meta["path"], size=meta["size"], modified_at=meta["last_modified"])


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, FileNotFoundError):
        # S3 answers 404 for a missing bucket too: then nothing can be said about the object.
        return "NoSuchBucket" in str(error)
    return isinstance(error, BaseError | OSError) and not isinstance(error, AlreadyExistsError)


def _directory(url: str) -> Path:
    return Path(url2pathname(url.removeprefix("file://")))


def _check_directory(directory: Path) -> None:
    # Writing is the only honest test: permissions, a full disk and a read-only mount all show here.
    with TemporaryFile(dir=directory) as probe:
        probe.write(b"\0")


def _diagnosis(error: Exception) -> str:
    reason = str(error)
    if "NoSuchBucket" in reason:
        return "does not exist: create the bucket or correct MVP_STORAGE__URL."
    if isinstance(error, TimeoutError) or "error sending request" in reason:
        return "does not answer: check MVP_STORAGE__ENDPOINT and the network."
    return f"failed: {reason.partition(chr(10))[0]}"


def _open(url: str, settings: StorageSettings, patience: timedelta) -> LocalStore | S3Store:
    if url.startswith("file://"):
        return LocalStore(_directory(url), mkdir=True)
    config: S3Config = {
        "region": settings.region,
        # Other stores than Amazon's are seldom given a host name per bucket.
        "virtual_hosted_style_request": settings.endpoint is None,
    }
    if settings.endpoint:
        config["endpoint"] = settings.endpoint
    if settings.access_key_id and settings.secret_access_key:
        config["access_key_id"] = settings.access_key_id.get_secret_value()
        config["secret_access_key"] = settings.secret_access_key.get_secret_value()
    return S3Store(
        url.removeprefix("s3://"),
        config=config,
        client_options={
            "allow_http": (settings.endpoint or "").startswith("http://"),
            "connect_timeout": _CONNECT_TIMEOUT,
            "read_timeout": patience,
            "timeout": timedelta(hours=24),  # a phone may take long over a large file
        },
        retry_config={"max_retries": _RETRIES, "retry_timeout": patience},
    )
