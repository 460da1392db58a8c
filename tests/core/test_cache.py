import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from valkey import Valkey as Client

from motovaultpro.core import cache as cache_module
from motovaultpro.core.cache import Cache, note_stale, stale_scopes
from motovaultpro.core.clock import system_clock
from motovaultpro.core.errors import ConflictError
from motovaultpro.core.resources import Resources, open_resources
from motovaultpro.core.settings import Settings
from motovaultpro.standalone.components.postgres import Postgres
from motovaultpro.standalone.components.valkey import Valkey
from tests.core.conftest import frozen, kill
from tests.factories.eventually import eventually
from tests.factories.proxy import Proxy, proxy_to

TENANT = uuid4()
OpenReplica = Callable[..., Any]  # Any: an awaitable of Resources, by keyword


@pytest.fixture
async def replica(settings: Settings) -> AsyncIterator[OpenReplica]:
    """`await replica(valkey=..., listen=..., database=...)`: another process's database and cache."""
    async with AsyncExitStack() as stack:

        async def make(
            *,
            valkey: str | None = "",
            listen: str | None = None,
            database: str | None = None,
            l1_entries: int = 100,
        ) -> Resources:
            url = settings.cache.url if valkey == "" else valkey and SecretStr(valkey)
            changes: dict[str, object] = {"pool_min": 1, "pool_max": 3}
            if listen is not None:
                changes["listen_url"] = SecretStr(listen)
            if database is not None:
                changes["url"] = SecretStr(database)
            own = settings.model_copy(
                update={
                    "cache": settings.cache.model_copy(
                        update={"url": url, "l1_entries": l1_entries}
                    ),
                    "database": settings.database.model_copy(update=changes),
                }
            )
            opened = await stack.enter_async_context(open_resources(own, system_clock))
            async with asyncio.timeout(10):
                await opened.cache.wait_until_listening()
            return opened

        yield make


@pytest.fixture
def scope() -> str:
    return f"vehicle:{uuid4()}"


class Source:
    """What is cached: counts how often it is asked, and can be held up at its gate."""

    def __init__(self, value: bytes | None = b"old") -> None:
        self.value = value
        self.error: Exception | None = None
        self.loads = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> bytes | None:
        self.loads += 1
        value = self.value
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return value


async def write(replica: Resources, *scopes: str) -> float:
    """Commit a change that makes the scopes stale; answers when the commit was acknowledged."""
    async with replica.database.session(TENANT) as session:
        await note_stale(session, *scopes)
    return time.monotonic()


async def test_answers_from_the_process_then_valkey_then_the_source(
    replica: OpenReplica, scope: str
) -> None:
    one, other = (await replica()).cache, (await replica()).cache
    source = Source()

    for cache in (one, one, other, other):
        assert await cache.get_or_load(scope, "page", source) == b"old"
    assert await one.get_or_load(scope, "another page", source) == b"old"

    assert source.loads == 2


async def test_works_without_valkey(replica: OpenReplica, scope: str) -> None:
    one = await replica(valkey=None)
    source = Source()
    for _ in range(3):
        await one.cache.get_or_load(scope, "page", source)
    assert source.loads == 1

    await write(one, scope)
    await one.cache.get_or_load(scope, "page", source)
    assert source.loads == 2


async def test_works_without_the_process_cache(replica: OpenReplica, scope: str) -> None:
    cache: Cache = (await replica(valkey=None, l1_entries=0)).cache
    source = Source()
    for _ in range(3):
        await cache.get_or_load(scope, "page", source)
    assert source.loads == 3


async def test_none_is_answered_but_not_kept(replica: OpenReplica, scope: str) -> None:
    cache: Cache = (await replica()).cache
    source = Source(None)
    assert await cache.get_or_load(scope, "page", source) is None
    source.value = b"made meanwhile"
    assert await cache.get_or_load(scope, "page", source) == b"made meanwhile"


async def test_empty_bytes_are_a_value(replica: OpenReplica, scope: str) -> None:
    cache: Cache = (await replica()).cache
    source = Source(b"")
    for _ in range(2):
        assert await cache.get_or_load(scope, "page", source) == b""
    assert source.loads == 1


async def test_no_name_is_taken_for_the_lease(replica: OpenReplica, scope: str) -> None:
    cache: Cache = (await replica(l1_entries=0)).cache
    await cache.get_or_load(scope, "page", Source(b"page"))
    assert await cache.get_or_load(scope, "generation", Source(b"mine")) == b"mine"
    assert await cache.get_or_load(scope, "page", Source(b"again")) == b"page"


async def test_many_callers_share_one_load(replica: OpenReplica, scope: str) -> None:
    cache: Cache = (await replica()).cache
    source = Source()
    source.gate.clear()
    callers = [asyncio.create_task(cache.get_or_load(scope, "page", source)) for _ in range(50)]
    await eventually(lambda: source.loads)
    source.gate.set()

    assert await asyncio.gather(*callers) == [b"old"] * 50
    assert source.loads == 1


async def test_a_failing_load_fails_all_who_wait_and_is_not_kept(
    replica: OpenReplica, scope: str
) -> None:
    cache: Cache = (await replica()).cache
    source = Source()
    source.gate.clear()
    source.error = RuntimeError("source")
    callers = [asyncio.create_task(cache.get_or_load(scope, "page", source)) for _ in range(10)]
    await eventually(lambda: source.loads)
    source.gate.set()

    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert [repr(answer) for answer in answers] == ["RuntimeError('source')"] * 10
    source.error = None
    assert await cache.get_or_load(scope, "page", source) == b"old"
    assert source.loads == 2


async def test_a_caller_who_leaves_takes_nobody_along(replica: OpenReplica, scope: str) -> None:
    cache: Cache = (await replica()).cache
    source = Source()
    source.gate.clear()
    first = asyncio.create_task(cache.get_or_load(scope, "page", source))
    second = asyncio.create_task(cache.get_or_load(scope, "page", source))
    await eventually(lambda: source.loads)

    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    source.gate.set()

    assert await second == b"old"
    assert source.loads == 1


async def test_closing_ends_loads_that_nobody_waits_for(replica: OpenReplica, scope: str) -> None:
    cache: Cache = (await replica()).cache
    source = Source()
    source.gate.clear()
    caller = asyncio.create_task(cache.get_or_load(scope, "page", source))
    await eventually(lambda: source.loads)
    caller.cancel()
    async with asyncio.timeout(2):
        await cache.close()
    assert not cache._tasks


async def test_an_acknowledged_write_reaches_every_replica_at_once(
    replica: OpenReplica, scope: str
) -> None:
    writer, other = await replica(), await replica()
    delays = []
    for number in range(20):
        old, source = str(number).encode(), Source(str(number + 1).encode())
        for each in (writer, other):
            await each.cache.get_or_load(scope, "page", Source(old))
        acknowledged = await write(writer, scope)

        assert await writer.cache.get_or_load(scope, "page", source) == source.value
        await eventually(partial(_answers, other, scope, source))
        delays.append(time.monotonic() - acknowledged)

    assert sorted(delays)[-2] < 0.1  # one may fall victim to the machine's own pauses


async def _answers(replica: Resources, scope: str, source: Source) -> bool:
    return await replica.cache.get_or_load(scope, "page", source) == source.value


async def test_a_write_that_is_rolled_back_makes_nothing_stale(
    replica: OpenReplica, scope: str
) -> None:
    one = await replica()
    source = Source()
    await one.cache.get_or_load(scope, "page", source)

    async def unit() -> None:
        async with one.database.session(TENANT) as session:
            await note_stale(session, scope)
            raise ConflictError("No.")

    with pytest.raises(ConflictError):
        await unit()
    await one.cache.get_or_load(scope, "page", source)
    assert source.loads == 1


async def test_other_scopes_stay(replica: OpenReplica, scope: str) -> None:
    one = await replica()
    source = Source()
    await one.cache.get_or_load(scope, "page", source)
    await write(one, f"{scope}0", scope[:-1])
    await one.cache.get_or_load(scope, "page", source)
    assert source.loads == 1


async def test_a_write_of_many_scopes_reaches_them_all(replica: OpenReplica) -> None:
    writer, other = await replica(), await replica()
    scopes = [f"vehicle:{uuid4()}" for _ in range(400)]
    assert len(",".join(scopes)) > 8000
    source = Source()
    for scope in scopes[::40]:
        await other.cache.get_or_load(scope, "page", source)

    await write(writer, *scopes)
    await eventually(lambda: not other.cache._l1._values)


async def test_a_notice_lost_with_a_savepoint_is_given_again(
    replica: OpenReplica, scope: str
) -> None:
    writer, other = await replica(), await replica()
    await other.cache.get_or_load(scope, "page", Source())
    async with writer.database.session(TENANT) as session:
        savepoint = await session.begin_nested()
        await note_stale(session, scope)
        await savepoint.rollback()
        await note_stale(session, scope)

    await eventually(lambda: not other.cache._l1._values)


async def test_a_session_knows_what_it_made_stale(replica: OpenReplica, scope: str) -> None:
    one = await replica()
    async with one.database.session(TENANT) as session:
        assert stale_scopes(session) == frozenset()
        await note_stale(session, scope, scope)
        await note_stale(session, "garage:1", scope)
        assert stale_scopes(session) == {"garage:1", scope}


@pytest.mark.parametrize("l1_entries", [0, 100])
async def test_a_load_from_before_the_write_is_not_kept(
    replica: OpenReplica, scope: str, l1_entries: int
) -> None:
    writer, reader = await replica(), await replica(l1_entries=l1_entries)
    before, after = Source(b"old"), Source(b"new")
    before.gate.clear()
    slow = asyncio.create_task(reader.cache.get_or_load(scope, "page", before))
    await eventually(lambda: before.loads)

    await write(writer, scope)
    await eventually(lambda: not reader.cache._flights)
    # Whoever asks after the write does not join the load from before it.
    assert await reader.cache.get_or_load(scope, "page", after) == b"new"
    before.gate.set()
    assert await slow == b"old"

    for each in (reader, writer):
        assert await each.cache.get_or_load(scope, "page", after) == b"new"
    assert await reader.cache.get_or_load(scope, "page", after) == b"new"


async def test_the_writer_forgets_before_the_write_is_acknowledged(
    replica: OpenReplica, scope: str
) -> None:
    """Even where its own listener is slow."""
    async with proxy_to(_port_of(await replica())) as proxy:
        writer = await replica(listen=proxy.url(_url_of(await replica())))
        await writer.cache.get_or_load(scope, "page", Source())
        proxy.latency = 1.0
        await write(writer, scope)
        assert await writer.cache.get_or_load(scope, "page", Source(b"new")) == b"new"


def _url_of(resources: Resources) -> str:
    return resources.settings.database.url.get_secret_value()


def _port_of(resources: Resources) -> int:
    return int(_url_of(resources).rpartition(":")[2].partition("/")[0])


async def test_goes_on_when_valkey_is_killed(
    replica: OpenReplica, mortal_valkey: Valkey, scope: str
) -> None:
    one = await replica(valkey=mortal_valkey.url)
    await one.cache.get_or_load(scope, "page", Source())
    kill(mortal_valkey.pid)

    await _goes_on(one, scope)


async def test_goes_on_when_valkey_is_frozen(
    replica: OpenReplica, mortal_valkey: Valkey, scope: str
) -> None:
    one = await replica(valkey=mortal_valkey.url)
    await one.cache.get_or_load(scope, "page", Source())
    with frozen(mortal_valkey.pid):
        await _goes_on(one, scope)


async def _goes_on(one: Resources, scope: str) -> None:
    """L1 answers at once, loads and writes within Valkey's timeout, and a write is seen."""
    started = time.monotonic()
    assert await one.cache.get_or_load(scope, "page", Source(b"never")) == b"old"
    assert time.monotonic() - started < 0.1
    for number in range(4):
        value = str(number).encode()
        started = time.monotonic()
        await write(one, scope)
        assert await one.cache.get_or_load(scope, "page", Source(value)) == value
        assert time.monotonic() - started < 2.5


async def test_a_frozen_valkey_does_not_hold_up_the_news(
    replica: OpenReplica, mortal_valkey: Valkey
) -> None:
    writer, other = await replica(), await replica(valkey=mortal_valkey.url)
    scopes = [f"vehicle:{uuid4()}" for _ in range(5)]
    delays = []
    with frozen(mortal_valkey.pid):
        for scope in scopes:
            await other.cache.get_or_load(scope, "page", Source())
        for number, scope in enumerate(scopes):
            acknowledged = await write(writer, scope)
            await eventually(lambda: len(other.cache._l1._names) == 4 - number)  # noqa: B023 - run at once
            delays.append(time.monotonic() - acknowledged)
    assert sorted(delays)[-2] < 0.1


async def test_what_was_made_stale_in_an_outage_is_not_read_from_valkey_after_it(
    replica: OpenReplica, scope: str, settings: Settings
) -> None:
    assert settings.cache.url is not None
    url = settings.cache.url.get_secret_value()
    async with proxy_to(int(url.rpartition(":")[2].partition("/")[0])) as proxy:
        one = await replica(valkey=proxy.url(url), l1_entries=0)
        other_scope = f"{scope}:other"
        for each in (scope, other_scope):
            await one.cache.get_or_load(each, "page", Source(b"old"))
        proxy.blackhole = True
        await write(one, scope)
        assert one.cache._unsent == {scope}
        proxy.blackhole = False
        proxy.reset()

        assert await one.cache.get_or_load(scope, "page", Source(b"new")) == b"new"
        # Valkey itself is in use again, and has kept what nobody touched.
        assert await one.cache.get_or_load(other_scope, "page", Source(b"never")) == b"old"
        assert not one.cache._unsent


async def test_a_scope_made_stale_twice_is_deleted_twice(
    replica: OpenReplica, scope: str, settings: Settings
) -> None:
    """The second time while the first deletion's answer is still on its way."""
    assert settings.cache.url is not None
    url = settings.cache.url.get_secret_value()
    async with proxy_to(int(url.rpartition(":")[2].partition("/")[0])) as proxy:
        one, reader = (
            await replica(valkey=proxy.url(url), l1_entries=0),
            await replica(l1_entries=0),
        )
        await one.cache.get_or_load(scope, "page", Source(b"first"))
        await eventually(lambda: one.cache._sending is None)
        proxy.latency = 0.15
        deletion = asyncio.create_task(one.cache.forget([scope]))
        await eventually(lambda: one.cache._sending is not None)
        with Client.from_url(url) as client:
            await eventually(lambda: not client.exists(f"mv:1:{{{scope}}}"))
        await reader.cache.get_or_load(scope, "page", Source(b"between"))
        await one.cache.forget([scope])
        await deletion

        assert await reader.cache.get_or_load(scope, "page", Source(b"last")) == b"last"


async def test_bypasses_the_process_cache_while_it_hears_nothing(
    replica: OpenReplica, scope: str, postgres: Postgres, proxy: Proxy
) -> None:
    one = await replica(valkey=None, listen=proxy.url(postgres.app_url))
    source = Source()
    await one.cache.get_or_load(scope, "page", source)
    proxy.blackhole = True
    with capture_logs() as logs:
        proxy.reset()
        await eventually(lambda: not one.cache._is_listening.is_set())
    assert [entry["event"] for entry in logs] == ["cache_listener_lost"]

    for _ in range(2):
        await one.cache.get_or_load(scope, "page", source)
    assert source.loads == 3

    proxy.blackhole = False
    proxy.reset()
    async with asyncio.timeout(10):
        await one.cache.wait_until_listening()
    for _ in range(2):
        await one.cache.get_or_load(scope, "page", source)
    assert source.loads == 4


async def test_notices_a_listening_connection_that_fell_silent(
    replica: OpenReplica, scope: str, postgres: Postgres, proxy: Proxy
) -> None:
    one = await replica(valkey=None, listen=proxy.url(postgres.app_url))
    await one.cache.get_or_load(scope, "page", Source())
    proxy.blackhole = True
    await eventually(lambda: not one.cache._is_listening.is_set(), within=7)
    assert not one.cache._l1._values


async def test_a_load_from_before_listening_is_not_kept(
    replica: OpenReplica, scope: str, postgres: Postgres, proxy: Proxy
) -> None:
    """Its invalidation may have passed while nobody listened."""
    one = await replica(valkey=None, listen=proxy.url(postgres.app_url))
    proxy.blackhole = True
    proxy.reset()
    await eventually(lambda: not one.cache._is_listening.is_set())
    before = Source(b"old")
    before.gate.clear()
    slow = asyncio.create_task(one.cache.get_or_load(scope, "page", before))
    await eventually(lambda: before.loads)
    proxy.blackhole = False
    proxy.reset()
    async with asyncio.timeout(10):
        await one.cache.wait_until_listening()
    before.gate.set()
    assert await slow == b"old"

    assert await one.cache.get_or_load(scope, "page", Source(b"new")) == b"new"


async def test_a_listener_that_breaks_unexpectedly_leaves_no_stale_values_behind(
    replica: OpenReplica, postgres: Postgres, scope: str
) -> None:
    one = await replica(valkey=None)
    source = Source()
    await one.cache.get_or_load(scope, "page", source)
    listener = one.cache._listener
    assert listener is not None
    listener.cancel()
    await asyncio.gather(listener, return_exceptions=True)
    with psycopg.connect(postgres.app_url) as connection:
        connection.execute("SELECT pg_notify('motovault_cache', %s)", (scope,))
    await one.cache.get_or_load(scope, "page", source)
    assert source.loads == 2


async def test_scopes_in_valkey_end_by_themselves(replica: OpenReplica, scope: str) -> None:
    one = await replica(l1_entries=0)
    await one.cache.get_or_load(scope, "page", Source())
    assert one.settings.cache.url is not None
    with Client.from_url(one.settings.cache.url.get_secret_value()) as client:
        key = f"mv:1:{{{scope}}}"
        assert 0 < client.pttl(key) <= 600_000
        client.pexpire(key, 5000)
        await one.cache.get_or_load(scope, "page", Source())
        assert client.pttl(key) <= 5000  # reading does not prolong it


async def test_the_process_cache_is_bounded(replica: OpenReplica) -> None:
    one = await replica(valkey=None, l1_entries=3)
    source = Source()
    for name in ("a", "b", "c", "a", "d"):
        await one.cache.get_or_load("scope", name, source)
    assert source.loads == 4
    await one.cache.get_or_load("scope", "a", source)
    assert source.loads == 4
    await one.cache.get_or_load("scope", "b", source)
    assert source.loads == 5


def test_memory_is_bounded_in_bytes() -> None:
    memory = cache_module._Memory(1000)
    large = bytes(cache_module._L1_BYTES // 4)
    for name in "abcdef":
        memory.put("scope", name, large)
    assert [name for name in "abcdef" if memory.get("scope", name)] == ["c", "d", "e", "f"]
    memory.put("scope", "giant", bytes(cache_module._L1_BYTES + 1))
    assert memory.get("scope", "giant") is None
    memory.drop("scope")
    assert memory._bytes == len(memory._values) == len(memory._names) == 0


def test_memory_replaces_a_value() -> None:
    memory = cache_module._Memory(10)
    memory.put("scope", "name", b"1")
    memory.put("scope", "name", b"22")
    assert memory.get("scope", "name") == b"22"
    assert memory._bytes == 2
    memory.drop("another")
    memory.clear()
    assert memory.get("scope", "name") is None
