"""S3 keeps the parts of an upload until it is completed or aborted, and bills them: none may stay."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from motovaultpro.core.errors import TooLargeError
from motovaultpro.core.storage import Storage
from motovaultpro.core.storage.store import PART_BYTES
from motovaultpro.standalone.components.objectstore import ObjectStore
from tests.core.storage.conftest import s3_settings
from tests.core.storage.memory_spool import MemorySpool
from tests.core.storage.uploads import in_chunks, some_bytes

SIZE = 3 * PART_BYTES


@pytest.fixture
def own_storage(mortal_object_store: ObjectStore, spool: MemorySpool) -> Storage:
    """On a server that no other process uses: every unfinished upload is ours."""
    return Storage(s3_settings(mortal_object_store), spool)


async def unfinished_uploads(server: ObjectStore) -> set[str]:
    """The directories in which SeaweedFS keeps the parts."""
    host = server.endpoint.rpartition(":")[0]
    uploads = f"{host}:{server._ports['filer.port']}/buckets/{server.bucket}/.uploads/"
    async with httpx.AsyncClient(headers={"Accept": "application/json"}) as client:
        answer = await client.get(uploads)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return set()
    return {entry["FullPath"] for entry in answer.json()["Entries"] or []}


@pytest.fixture
async def before(mortal_object_store: ObjectStore) -> set[str]:
    """What tests that kill the server have left."""
    return await unfinished_uploads(mortal_object_store)


async def test_of_a_file_above_the_limit(
    own_storage: Storage, mortal_object_store: ObjectStore, before: set[str]
) -> None:
    on_the_way: set[str] = set()

    async def watched() -> AsyncIterator[bytes]:
        async for chunk in in_chunks(some_bytes(SIZE)):
            yield chunk
        on_the_way.update(await unfinished_uploads(mortal_object_store))
        yield b"one more"

    with pytest.raises(TooLargeError):
        await own_storage.put(uuid4(), watched(), filename="a.bin", max_bytes=SIZE)

    assert len(on_the_way - before) == 1
    assert await unfinished_uploads(mortal_object_store) == before


async def test_of_an_upload_that_breaks_off(
    own_storage: Storage, mortal_object_store: ObjectStore, before: set[str]
) -> None:
    async def breaking_off() -> AsyncIterator[bytes]:
        async for chunk in in_chunks(some_bytes(SIZE)):
            yield chunk
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await own_storage.put(uuid4(), breaking_off(), filename="a.bin")

    assert await unfinished_uploads(mortal_object_store) == before


async def test_of_an_upload_that_is_cancelled(
    own_storage: Storage, mortal_object_store: ObjectStore, before: set[str]
) -> None:
    stalled = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        async for chunk in in_chunks(some_bytes(SIZE)):
            yield chunk
        stalled.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(own_storage.put(uuid4(), stalling(), filename="a.bin"))
    await stalled.wait()
    upload.cancel()

    with pytest.raises(asyncio.CancelledError):
        await upload
    assert await unfinished_uploads(mortal_object_store) == before


async def test_of_an_upload_that_is_cancelled_when_all_was_sent(
    own_storage: Storage, mortal_object_store: ObjectStore, before: set[str]
) -> None:
    tenant = uuid4()
    server = mortal_object_store.pid
    assert server is not None

    async def freezing() -> AsyncIterator[bytes]:
        async for chunk in in_chunks(some_bytes(SIZE)):
            yield chunk
        os.kill(server, signal.SIGSTOP)

    upload = asyncio.create_task(own_storage.put(tenant, freezing(), filename="a.bin"))
    finished, _ = await asyncio.wait([upload], timeout=1)
    upload.cancel()
    os.kill(server, signal.SIGCONT)

    assert not finished
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert [info async for info in own_storage.list(str(tenant))] == []
    assert await unfinished_uploads(mortal_object_store) == before
