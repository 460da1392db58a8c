import asyncio
import hashlib
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from motovaultpro.core.database import Database
from motovaultpro.core.settings import StorageSettings
from motovaultpro.core.storage import DatabaseSpool, SpooledObject, Storage
from motovaultpro.standalone.components.objectstore import ObjectStore
from tests.core.storage.conftest import PATIENCE, s3_settings
from tests.core.storage.uploads import MIB, in_chunks, read, some_bytes


@pytest.fixture
async def tenant(database: Database) -> UUID:
    async with database.system_session() as session:
        made = await session.scalar(
            text("insert into tenants (name) values ('Spool') returning id")
        )
    assert isinstance(made, UUID)
    return made


@pytest.fixture
def table(database: Database) -> DatabaseSpool:
    return DatabaseSpool(database)


def waiting(tenant: UUID, content: bytes = b"waiting") -> SpooledObject:
    digest = hashlib.sha256(content).hexdigest()
    return SpooledObject(f"{tenant}/{uuid4()}", tenant, content, "text/plain", digest)


async def test_keeps_an_object_until_it_is_removed(table: DatabaseSpool, tenant: UUID) -> None:
    spooled = waiting(tenant, some_bytes(5000))

    await table.add(spooled)
    await table.add(spooled)

    assert await table.get(spooled.key) == spooled.content
    info = await table.head(spooled.key)
    assert info is not None
    assert (info.key, info.size) == (spooled.key, 5000)
    assert info.modified_at.tzinfo
    assert await table.list(str(tenant)) == [info]
    assert info in await table.list(None)
    assert await table.list(str(tenant)[:8]) == []  # whole path segments only

    await table.remove(spooled.key)
    await table.remove(spooled.key)

    assert await table.get(spooled.key) is None
    assert await table.head(spooled.key) is None


async def test_lends_the_oldest_first_and_each_to_one_at_a_time(
    table: DatabaseSpool, tenant: UUID
) -> None:
    first, second = waiting(tenant), waiting(tenant)
    await table.add(first)
    await table.add(second)

    async with table.claim() as one, table.claim() as other, table.claim() as none:
        assert (one, other, none) == (first, second, None)

    assert await table.list(str(tenant)) == []


async def test_keeps_what_could_not_be_moved(table: DatabaseSpool, tenant: UUID) -> None:
    spooled = waiting(tenant)
    await table.add(spooled)

    with pytest.raises(RuntimeError, match="killed"):
        await fail_in(table)

    assert await table.get(spooled.key) == spooled.content
    await table.remove(spooled.key)


async def fail_in(table: DatabaseSpool) -> None:
    async with table.claim():
        raise RuntimeError("killed")


async def test_removal_waits_for_a_claim(table: DatabaseSpool, tenant: UUID) -> None:
    spooled = waiting(tenant)
    await table.add(spooled)
    order: list[str] = []

    async def remove() -> None:
        await table.remove(spooled.key)
        order.append("removed")

    async with table.claim():
        removal = asyncio.create_task(remove())
        await asyncio.wait([removal], timeout=0.2)
        order.append("claim ends")
    await removal

    assert order == ["claim ends", "removed"]


async def test_a_tenant_sees_its_own_spooled_objects_only(
    database: Database, table: DatabaseSpool, tenant: UUID
) -> None:
    spooled = waiting(tenant)
    await table.add(spooled)
    count = text("select count(*) from storage_spool where key = :key")

    async with database.session(tenant) as session:
        assert await session.scalar(count, {"key": spooled.key}) == 1
    async with database.session(uuid4()) as session:
        assert await session.scalar(count, {"key": spooled.key}) == 0

    await table.remove(spooled.key)


async def test_an_upload_reaches_the_store_by_way_of_the_table(
    table: DatabaseSpool, tenant: UUID, object_store: ObjectStore, tmp_path: Path
) -> None:
    content = some_bytes(8 * MIB)
    away = Storage(
        s3_settings(object_store, url="s3://not-made-yet", patience_seconds=PATIENCE), table
    )

    stored = await away.put(tenant, in_chunks(content), filename="a.bin")

    assert await read(await away.open(stored.key)) == content
    assert [info.key for info in await table.list(str(tenant))] == [stored.key]

    back = Storage(StorageSettings(url=tmp_path.as_uri()), table)
    moved = await asyncio.gather(back.drain_spool(), back.drain_spool())

    assert sum(moved) == 1
    assert await table.list(str(tenant)) == []
    assert (tmp_path / stored.key).read_bytes() == content
