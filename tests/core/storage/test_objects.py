import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from prometheus_client import REGISTRY

from motovaultpro.core.errors import (
    AppError,
    InvalidError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)
from motovaultpro.core.settings import StorageSettings
from motovaultpro.core.storage import (
    SpooledObject,
    Storage,
    UnsupportedFileError,
    UploadInterruptedError,
)
from motovaultpro.core.storage.store import PART_BYTES
from motovaultpro.standalone.components.objectstore import ObjectStore
from tests.core.storage.conftest import MakeStorage, s3_settings
from tests.core.storage.memory_spool import MemorySpool
from tests.core.storage.uploads import KIB, MIB, in_chunks, read, some_bytes

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + b"\x00" * 50


async def keys(storage: Storage, tenant: UUID) -> list[str]:
    return [info.key async for info in storage.list(str(tenant))]


@pytest.mark.parametrize(
    "size", [1, 100 * KIB, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 12345]
)
async def test_gives_back_what_was_put(storage: Storage, size: int) -> None:
    content = some_bytes(size)

    stored = await storage.put(uuid4(), in_chunks(content), filename="a.bin")

    assert stored.size == size
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    stream = await storage.open(stored.key)
    assert (stream.size, stream.start, stream.end) == (size, 0, size)
    assert await read(stream) == content
    assert (await storage.head(stored.key)).size == size


async def test_takes_chunks_of_any_size(storage: Storage) -> None:
    content = some_bytes(3 * MIB)

    async def uneven() -> AsyncIterator[bytes]:
        for start, end in ((0, 1), (1, 1), (1, 2 * MIB), (2 * MIB, 2 * MIB), (2 * MIB, 3 * MIB)):
            yield content[start:end]
        yield b""

    stored = await storage.put(uuid4(), uneven(), filename="a.bin")

    assert await read(await storage.open(stored.key)) == content


@pytest.mark.parametrize("part", [(0, 1), (5, 10), (PART_BYTES - 3, PART_BYTES + 3)])
async def test_reads_a_part(storage: Storage, part: tuple[int, int]) -> None:
    content = some_bytes(PART_BYTES + 5)
    stored = await storage.put(uuid4(), in_chunks(content), filename="a.bin")

    stream = await storage.open(stored.key, part)

    assert (stream.size, stream.start, stream.end) == (len(content), *part)
    assert await read(stream) == content[slice(*part)]


async def test_makes_keys_without_the_clients_words(storage: Storage) -> None:
    tenant = uuid4()

    stored = await storage.put(tenant, in_chunks(JPEG), filename="../../etc/passwd.jpg")

    assert re.fullmatch(rf"{tenant}/[0-9a-f-]{{36}}", stored.key)
    assert stored.content_type == "image/jpeg"


async def test_never_gives_two_uploads_one_key(storage: Storage) -> None:
    tenant = uuid4()

    stored = await asyncio.gather(
        *(storage.put(tenant, in_chunks(JPEG), filename="a.jpg") for _ in range(5))
    )

    assert sorted(await keys(storage, tenant)) == sorted(one.key for one in stored)
    assert len({one.key for one in stored}) == 5


@pytest.mark.parametrize("size", [2000, 2 * PART_BYTES])
async def test_refuses_a_file_above_the_limit_and_leaves_nothing(
    storage: Storage, size: int
) -> None:
    tenant = uuid4()

    with pytest.raises(TooLargeError) as refused:
        await storage.put(tenant, in_chunks(some_bytes(size)), filename="a.bin", max_bytes=size - 1)

    assert (refused.value.status, refused.value.code) == (413, "too_large")
    assert await keys(storage, tenant) == []


async def test_takes_a_file_of_exactly_the_limit(make_storage: MakeStorage) -> None:
    storage = make_storage(max_upload_bytes=2000)

    assert (await storage.put(uuid4(), in_chunks(some_bytes(2000)), filename="a")).size == 2000
    with pytest.raises(TooLargeError):
        await storage.put(uuid4(), in_chunks(some_bytes(2001)), filename="a")


async def test_refuses_an_empty_file(storage: Storage) -> None:
    tenant = uuid4()

    with pytest.raises(InvalidError):
        await storage.put(tenant, in_chunks(b""), filename="a.txt")

    assert await keys(storage, tenant) == []


async def test_refuses_a_program_by_its_content(storage: Storage) -> None:
    tenant = uuid4()

    with pytest.raises(UnsupportedFileError) as refused:
        await storage.put(tenant, in_chunks(b"\x7fELF" + bytes(100)), filename="holiday.jpg")

    assert (refused.value.status, refused.value.code) == (415, "unsupported_file")
    assert await keys(storage, tenant) == []


@pytest.mark.parametrize("sent", [1000, 2 * PART_BYTES])
@pytest.mark.parametrize(
    ("failure", "answer"),
    [(ConnectionResetError(), UploadInterruptedError), (RuntimeError("parser"), RuntimeError)],
)
async def test_keeps_nothing_of_an_upload_that_breaks_off(
    storage: Storage,
    spool: MemorySpool,
    sent: int,
    failure: Exception,
    answer: type[Exception],
) -> None:
    tenant = uuid4()

    async def breaking_off() -> AsyncIterator[bytes]:
        async for chunk in in_chunks(some_bytes(sent)):
            yield chunk
        raise failure

    with pytest.raises(answer):
        await storage.put(tenant, breaking_off(), filename="a.bin")

    assert await keys(storage, tenant) == []
    assert spool.objects == {}


async def test_keeps_nothing_of_an_upload_that_is_cancelled(storage: Storage) -> None:
    tenant = uuid4()
    stalled = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        async for chunk in in_chunks(some_bytes(2 * PART_BYTES)):
            yield chunk
        stalled.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(storage.put(tenant, stalling(), filename="a.bin"))
    await stalled.wait()
    upload.cancel()

    with pytest.raises(asyncio.CancelledError):
        await upload
    assert await keys(storage, tenant) == []


async def test_has_no_object_under_an_unknown_key(storage: Storage, spool: MemorySpool) -> None:
    for attempt in (storage.open, storage.head) * 5:
        with pytest.raises(NotFoundError):
            await attempt(f"{uuid4()}/{uuid4()}")

    await storage.put(uuid4(), in_chunks(JPEG), filename="a.jpg")

    assert spool.objects == {}  # asking for what is not there is no outage


async def test_deletes_and_deletes_again(storage: Storage) -> None:
    stored = await storage.put(uuid4(), in_chunks(JPEG), filename="a.jpg")

    await storage.delete(stored.key)
    await storage.delete(stored.key)

    with pytest.raises(NotFoundError):
        await storage.open(stored.key)


async def test_lists_the_objects_of_one_tenant(storage: Storage, spool: MemorySpool) -> None:
    tenant = uuid4()
    stored = [await storage.put(tenant, in_chunks(JPEG), filename="a.jpg") for _ in range(3)]
    await storage.put(uuid4(), in_chunks(JPEG), filename="other.jpg")
    waiting = f"{tenant}/{uuid4()}"
    await spool.add(SpooledObject(waiting, tenant, b"waiting", "text/plain", "0" * 64))
    await spool.add(SpooledObject(stored[0].key, tenant, JPEG, "image/jpeg", "0" * 64))

    listed = [info async for info in storage.list(str(tenant))]

    assert sorted(info.key for info in listed) == sorted([waiting, *(one.key for one in stored)])
    assert {info.size for info in listed} == {len(JPEG), len(b"waiting")}
    assert all(info.modified_at.tzinfo for info in listed)


async def test_reads_what_only_the_secondary_store_has(
    make_storage: MakeStorage, tmp_path: Path
) -> None:
    second = (tmp_path / "second").as_uri()
    old = make_storage(url=second)
    tenant = uuid4()
    kept = await old.put(tenant, in_chunks(JPEG), filename="old.jpg")
    storage = make_storage(secondary_url=second)
    new = await storage.put(tenant, in_chunks(b"new"), filename="new.txt")

    assert await read(await storage.open(kept.key)) == JPEG
    assert (await storage.head(kept.key)).size == len(JPEG)
    assert sorted(await keys(storage, tenant)) == sorted([kept.key, new.key])
    with pytest.raises(NotFoundError):
        await old.open(new.key)

    await storage.delete(kept.key)

    with pytest.raises(NotFoundError):
        await old.open(kept.key)


async def test_lists_an_object_of_both_stores_once(
    make_storage: MakeStorage, tmp_path: Path
) -> None:
    tenant = uuid4()
    stored = await make_storage().put(tenant, in_chunks(JPEG), filename="a.jpg")
    copy = tmp_path / "second" / stored.key
    copy.parent.mkdir(parents=True)
    copy.write_bytes(JPEG)

    storage = make_storage(secondary_url=(tmp_path / "second").as_uri())

    assert await keys(storage, tenant) == [stored.key]


async def test_moves_what_waits_in_the_spool_without_changing_what_is_there(
    storage: Storage, spool: MemorySpool
) -> None:
    tenant = uuid4()
    moved_before = await storage.put(tenant, in_chunks(JPEG), filename="a.jpg")
    waiting = SpooledObject(f"{tenant}/{uuid4()}", tenant, b"waiting", "text/plain", "0" * 64)
    await spool.add(waiting)
    # As after a worker that was killed between the copy and the removal.
    await spool.add(SpooledObject(moved_before.key, tenant, b"other", "text/plain", "0" * 64))

    assert await storage.drain_spool() == 2
    assert await storage.drain_spool() == 0

    assert spool.objects == {}
    assert await read(await storage.open(waiting.key)) == b"waiting"
    assert await read(await storage.open(moved_before.key)) == JPEG


async def test_counts_its_operations(storage: Storage) -> None:
    def count(status: str) -> float:
        labels = {"operation": "open", "status": status}
        return REGISTRY.get_sample_value("motovault_storage_operations_total", labels) or 0

    stored = await storage.put(uuid4(), in_chunks(JPEG), filename="a.jpg")
    before = count("ok"), count("not_found")
    await storage.open(stored.key)
    with pytest.raises(NotFoundError):
        await storage.open("nothing/here")

    assert (count("ok"), count("not_found")) == (before[0] + 1, before[1] + 1)


async def test_is_healthy(storage: Storage) -> None:
    await storage.health()


async def test_a_directory_has_no_links_of_its_own(tmp_path: Path, spool: MemorySpool) -> None:
    storage = Storage(StorageSettings(url=tmp_path.as_uri()), spool)
    stored = await storage.put(uuid4(), in_chunks(JPEG), filename="a.jpg")

    assert await storage.presigned_url(stored.key, timedelta(minutes=1)) is None


@pytest.mark.parametrize(
    ("content", "shown_type"),
    [(JPEG, "image/jpeg"), (b"<svg onload='alert(1)'/>", "application/octet-stream")],
    ids=["picture", "svg"],
)
async def test_a_link_downloads_a_file_that_cannot_run(
    object_store: ObjectStore, spool: MemorySpool, content: bytes, shown_type: str
) -> None:
    storage = Storage(s3_settings(object_store), spool)
    stored = await storage.put(uuid4(), in_chunks(content), filename="Öl.jpg")

    url = await storage.presigned_url(stored.key, timedelta(minutes=1))

    assert url is not None
    async with httpx.AsyncClient() as client:
        answer = await client.get(url)
        forged = await client.get(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"))
    assert forged.status_code == 403
    assert answer.status_code == 200
    assert answer.content == content
    assert answer.headers["content-type"] == shown_type
    assert (
        answer.headers["content-disposition"]
        == "attachment; filename=\"_l.jpg\"; filename*=UTF-8''%C3%96l.jpg"
    )


async def test_a_link_needs_the_object_in_the_store(
    object_store: ObjectStore, spool: MemorySpool
) -> None:
    storage = Storage(s3_settings(object_store), spool)
    await spool.add(SpooledObject("t/waiting", uuid4(), b"waiting", "text/plain", "0" * 64))

    assert await storage.presigned_url("t/waiting", timedelta(minutes=1)) is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"url": "s3://nobody-made-this"}, "create the bucket or correct MVP_STORAGE__URL"),
        ({"secret_access_key": "wrong"}, "failed: "),
        ({"endpoint": "http://127.0.0.1:1"}, "does not answer: check MVP_STORAGE__ENDPOINT"),
    ],
)
async def test_health_says_what_is_wrong_with_a_bucket(
    object_store: ObjectStore, spool: MemorySpool, changes: dict[str, str], told: str
) -> None:
    storage = Storage(s3_settings(object_store, **changes), spool)

    with pytest.raises(AppError, match=told) as unwell:
        await storage.health()

    assert unwell.value.status == 503
    assert "\n" not in unwell.value.detail


async def test_health_says_that_the_directory_is_gone(tmp_path: Path, spool: MemorySpool) -> None:
    storage = Storage(StorageSettings(url=(tmp_path / "gone").as_uri()), spool)
    (tmp_path / "gone").rmdir()

    with pytest.raises(AppError, match="No such file or directory"):
        await storage.health()


async def test_a_directory_that_went_away_is_not_made_again(
    tmp_path: Path, spool: MemorySpool
) -> None:
    directory = tmp_path / "mount"
    storage = Storage(StorageSettings(url=directory.as_uri(), spool_max_bytes=1000), spool)
    directory.rmdir()

    stored = await storage.put(uuid4(), in_chunks(b"x" * 1000), filename="a.bin")
    with pytest.raises(UnavailableError):
        await storage.put(uuid4(), in_chunks(b"x" * 1001), filename="a.bin")

    assert not directory.exists()
    directory.mkdir()
    assert await storage.drain_spool() == 1
    assert (await storage.head(stored.key)).size == 1000
