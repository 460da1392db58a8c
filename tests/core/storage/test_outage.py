"""The store killed, frozen and gone, before and in the middle of uploads and downloads."""

import asyncio
import hashlib
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from typing_extensions import override

from motovaultpro.core.errors import NotFoundError, UnavailableError
from motovaultpro.core.settings import StorageSettings
from motovaultpro.core.storage import SpooledObject, Storage, StoredObject
from motovaultpro.core.storage.store import PART_BYTES
from motovaultpro.standalone.components.objectstore import ObjectStore
from tests.core.storage.conftest import PATIENCE, s3_settings
from tests.core.storage.memory_spool import MemorySpool
from tests.core.storage.uploads import KIB, MIB, in_chunks, read, some_bytes

SPOOL_MAX = 12 * MIB


@pytest.fixture
def storage(mortal_object_store: ObjectStore, spool: MemorySpool) -> Storage:
    settings = s3_settings(
        mortal_object_store, spool_max_bytes=SPOOL_MAX, patience_seconds=PATIENCE
    )
    return Storage(settings, spool)


@pytest.fixture
def patient(mortal_object_store: ObjectStore, spool: MemorySpool) -> Storage:
    return Storage(s3_settings(mortal_object_store), spool)


def process_id(server: ObjectStore) -> int:
    assert server.pid is not None
    return server.pid


def kill(server: ObjectStore) -> None:
    os.kill(process_id(server), signal.SIGKILL)
    os.waitid(os.P_PID, process_id(server), os.WEXITED | os.WNOWAIT)


def freeze(server: ObjectStore) -> None:
    os.kill(process_id(server), signal.SIGSTOP)
    # It may go on working for a moment.
    os.waitid(os.P_PID, process_id(server), os.WSTOPPED | os.WNOWAIT)


@pytest.fixture(params=[kill, freeze])
def strike(request: pytest.FixtureRequest) -> Callable[[ObjectStore], None]:
    action: Callable[[ObjectStore], None] = request.param
    return action


def revive(server: ObjectStore) -> None:
    """Undo `kill` and `freeze`."""
    try:
        os.kill(process_id(server), signal.SIGCONT)
        alive = server.is_ready()
    except ProcessLookupError:
        alive = False
    if not alive:
        server.stop()
        server.start()


@pytest.fixture(autouse=True)
def _healed(mortal_object_store: ObjectStore) -> Iterator[None]:
    yield
    revive(mortal_object_store)


async def drained(storage: Storage, spool: MemorySpool) -> int:
    """Drain as the worker does, again and again; the number of objects moved."""
    moved = 0
    async with asyncio.timeout(20):
        while spool.objects:
            moved += await storage.drain_spool()
            await asyncio.sleep(0.05)
    return moved


async def put(storage: Storage, content: bytes, tenant: UUID | None = None) -> StoredObject:
    return await storage.put(tenant or uuid4(), in_chunks(content), filename="a.bin")


@pytest.mark.parametrize("size", [100 * KIB, PART_BYTES + MIB])
async def test_spools_a_small_upload_and_moves_it_when_the_store_is_back(
    storage: Storage,
    spool: MemorySpool,
    mortal_object_store: ObjectStore,
    strike: Callable[[ObjectStore], None],
    size: int,
) -> None:
    content = some_bytes(size)
    strike(mortal_object_store)

    stored = await put(storage, content)

    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert set(spool.objects) == {stored.key}
    assert await read(await storage.open(stored.key)) == content
    assert await read(await storage.open(stored.key, (7, 2000))) == content[7:2000]
    assert (await storage.head(stored.key)).size == size
    assert await storage.drain_spool() == 0
    assert set(spool.objects) == {stored.key}

    revive(mortal_object_store)

    assert await drained(storage, spool) == 1
    moved = await read(await storage.open(stored.key))
    assert hashlib.sha256(moved).hexdigest() == stored.sha256


async def test_answers_503_to_a_large_upload(
    storage: Storage, spool: MemorySpool, mortal_object_store: ObjectStore
) -> None:
    kill(mortal_object_store)
    taken = 0

    async def huge() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(1000):
            taken += MIB
            yield bytes(MIB)

    with pytest.raises(UnavailableError) as refused:
        await storage.put(uuid4(), huge(), filename="a.bin")

    assert refused.value.status == 503
    assert int(refused.value.headers["Retry-After"]) > 0
    assert spool.objects == {}
    assert taken <= SPOOL_MAX + 2 * MIB  # it was not read to its end in vain


@pytest.mark.parametrize("size", [SPOOL_MAX, SPOOL_MAX + 1])
async def test_survives_a_store_that_goes_away_in_the_middle_of_an_upload(
    storage: Storage,
    spool: MemorySpool,
    mortal_object_store: ObjectStore,
    strike: Callable[[ObjectStore], None],
    size: int,
) -> None:
    content = some_bytes(size)

    async def struck() -> AsyncIterator[bytes]:
        sent = 0
        async for chunk in in_chunks(content):
            yield chunk
            sent += len(chunk)
            if sent == PART_BYTES + 2 * MIB:
                strike(mortal_object_store)

    upload = storage.put(uuid4(), struck(), filename="a.bin")

    if size > SPOOL_MAX:
        with pytest.raises(UnavailableError):
            await upload
        assert spool.objects == {}
        return
    stored = await upload
    assert set(spool.objects) == {stored.key}
    revive(mortal_object_store)
    await drained(storage, spool)
    moved = await read(await storage.open(stored.key))
    assert hashlib.sha256(moved).hexdigest() == hashlib.sha256(content).hexdigest()


async def test_cuts_off_a_download_when_the_store_goes_away(
    storage: Storage,
    patient: Storage,
    mortal_object_store: ObjectStore,
    strike: Callable[[ObjectStore], None],
) -> None:
    stored = await put(patient, some_bytes(20 * MIB))
    stream = await storage.open(stored.key)

    await anext(stream.chunks)
    strike(mortal_object_store)

    with pytest.raises(UnavailableError):
        await read(stream)


async def test_does_not_call_a_file_absent_while_a_store_is_away(
    storage: Storage, mortal_object_store: ObjectStore
) -> None:
    stored = await put(storage, some_bytes(1000))
    kill(mortal_object_store)

    with pytest.raises(UnavailableError):
        await storage.open(stored.key)
    with pytest.raises(UnavailableError):
        await storage.head(stored.key)
    with pytest.raises(UnavailableError):
        await storage.delete(stored.key)
    with pytest.raises(UnavailableError):
        _ = [info async for info in storage.list()]
    assert await storage.presigned_url(stored.key, timedelta(minutes=1)) is None
    assert await storage.drain_spool() == 0


async def test_reads_the_secondary_store_while_the_first_is_away(
    mortal_object_store: ObjectStore, spool: MemorySpool, tmp_path: Path
) -> None:
    second = tmp_path.as_uri()
    stored = await put(Storage(StorageSettings(url=second), spool), some_bytes(1000))
    kill(mortal_object_store)

    both = Storage(
        s3_settings(mortal_object_store, secondary_url=second, patience_seconds=PATIENCE), spool
    )

    assert await read(await both.open(stored.key)) == some_bytes(1000)
    with pytest.raises(UnavailableError):
        await both.open("nothing/here")


async def test_stops_asking_a_store_that_does_not_answer(
    spool: MemorySpool, mortal_object_store: ObjectStore
) -> None:
    freeze(mortal_object_store)
    hasty = Storage(s3_settings(mortal_object_store, patience_seconds=0.5), spool)
    for _ in range(3):
        await put(hasty, some_bytes(1000))

    started = time.monotonic()
    await put(hasty, some_bytes(1000))
    quick = time.monotonic() - started

    assert quick < 0.2
    with pytest.raises(UnavailableError, match="does not answer"):
        await hasty.health()
    revive(mortal_object_store)
    assert await drained(hasty, spool) == 4


async def test_a_missing_bucket_is_an_outage_and_not_a_missing_file(
    mortal_object_store: ObjectStore, spool: MemorySpool
) -> None:
    storage = Storage(s3_settings(mortal_object_store, url="s3://nobody-made-this"), spool)

    with pytest.raises(UnavailableError):
        await storage.open("any/key")

    stored = await put(storage, some_bytes(1000))

    assert set(spool.objects) == {stored.key}


async def test_spools_while_a_directory_is_away(spool: MemorySpool, tmp_path: Path) -> None:
    directory = tmp_path / "files"
    storage = Storage(StorageSettings(url=directory.as_uri(), patience_seconds=PATIENCE), spool)
    shutil.rmtree(directory)
    directory.write_text("in the way")

    stored = await put(storage, some_bytes(1000))

    assert set(spool.objects) == {stored.key}
    assert await read(await storage.open(stored.key)) == some_bytes(1000)

    directory.unlink()
    directory.mkdir()

    assert await drained(storage, spool) == 1
    assert (directory / stored.key).read_bytes() == some_bytes(1000)


async def test_a_deleted_upload_does_not_come_back_from_a_running_drain(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    claimed, deleting = asyncio.Event(), asyncio.Event()

    class WatchedSpool(MemorySpool):
        @override
        @asynccontextmanager
        async def claim(self) -> AsyncIterator[SpooledObject | None]:
            async with super().claim() as spooled:
                claimed.set()
                await deleting.wait()
                yield spooled

        @override
        async def remove(self, key: str) -> None:
            deleting.set()
            await super().remove(key)

    spool = WatchedSpool()
    away = Storage(s3_settings(object_store, url="s3://nobody-made-this"), spool)
    stored = await put(away, some_bytes(1000))
    storage = Storage(StorageSettings(url=tmp_path.as_uri()), spool)

    drain = asyncio.create_task(storage.drain_spool())
    await claimed.wait()
    await storage.delete(stored.key)
    await drain

    with pytest.raises(NotFoundError):
        await storage.open(stored.key)
