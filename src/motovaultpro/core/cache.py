"""Two-level cache: this process (L1), Valkey (L2), the source; coherent over all replicas.

Entries belong to a *scope* (`vehicle:12`, `garage:<tenant>`); a write makes whole scopes stale. `note_stale` sends the
scopes with PostgreSQL's NOTIFY inside the writing transaction, so the news is as certain as the commit and does not
depend on Valkey (ADR 0003). While the listening connection is away, L1 is bypassed.

L2 keeps one hash per scope. Its `generation` field is the lease: a value loaded before an invalidation carries an old
generation and is not stored. All scripts touch one hash-tagged key, so single, Sentinel and Cluster servers all do.
Whatever may have been missed, in two failures at once, a scope in L2 ends ten minutes after its first entry.
"""

import asyncio
import contextlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
import structlog
from sqlalchemy import text
from valkey.exceptions import ValkeyError

from motovaultpro.core.connections import PatientConnection, connection_string
from motovaultpro.core.database import AsyncSession
from motovaultpro.core.observability.metrics import CACHE_EVENTS
from motovaultpro.core.valkey import Valkey

log = structlog.get_logger()

T = TypeVar("T")

CHANNEL = "motovault_cache"
_STALE = "stale_scopes"
_NOTIFIED = "notified_scopes"
_SCOPES_A_NOTICE = 50  # PostgreSQL takes 8000 bytes
_SCHEMA_VERSION = 1
_L1_SECONDS = 60
_L1_BYTES = 32 * 1024 * 1024
_L2_SECONDS = 600
_RECONNECT_SECONDS = (0.1, 5.0)
_HEARTBEAT_SECONDS = 2.0
_PATIENCE_SECONDS = 3.0
_OUTAGES = (ValkeyError, OSError, TimeoutError)

_READ = """
local generation = redis.call('HGET', KEYS[1], 'generation')
if not generation then
  generation = ARGV[2]
  redis.call('HSET', KEYS[1], 'generation', generation)
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return {generation, redis.call('HGET', KEYS[1], ARGV[1])}
"""
_STORE = """
if redis.call('HGET', KEYS[1], 'generation') == ARGV[2] then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 1
"""


async def note_stale(session: AsyncSession, *scopes: str) -> None:
    """Make the scopes stale everywhere when this transaction commits."""
    info = session.sync_session.info
    info.setdefault(_STALE, set()).update(scopes)
    notified: set[str] = info.setdefault(_NOTIFIED, set())
    news = sorted(set(scopes) - notified)
    for start in range(0, len(news), _SCOPES_A_NOTICE):
        chunk = news[start : start + _SCOPES_A_NOTICE]
        await session.execute(
            text("SELECT pg_notify(:channel, :scopes)"),
            {"channel": CHANNEL, "scopes": ",".join(chunk)},
        )
    # Why: going back to a savepoint also takes back its notices.
    if not session.in_nested_transaction():
        notified.update(news)


def stale_scopes(session: AsyncSession) -> frozenset[str]:
    return frozenset(session.sync_session.info.get(_STALE, ()))


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[bytes | None]
    is_stale: bool = False


class Cache:
    """`get_or_load` answers from L1, L2 or the loader; concurrent callers share one load."""

    def __init__(self, valkey: Valkey | None, *, l1_entries: int, listen_url: str) -> None:
        self._valkey = valkey
        self._l1 = _Memory(l1_entries)
        self._flights: dict[tuple[str, str], _Flight] = {}
        self._unsent: set[str] = set()
        self._sending: asyncio.Task[bool] | None = None
        self._listen_url = listen_url
        self._listener: asyncio.Task[None] | None = None
        self._is_listening = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        self._listener = self._start(self._listen())

    async def close(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def wait_until_listening(self) -> None:
        await self._is_listening.wait()

    async def get_or_load(
        self, scope: str, name: str, load: Callable[[], Awaitable[bytes | None]]
    ) -> bytes | None:
        """The value called `name` in `scope`; None is answered but never kept."""
        if self._is_listening.is_set():
            value = self._l1.get(scope, name)
            if value is not None:
                CACHE_EVENTS.labels("l1", "hit").inc()
                return value
        CACHE_EVENTS.labels("l1", "miss").inc()
        flight = self._flights.get((scope, name))
        if flight is None:
            flight = _Flight(self._start(self._fill(scope, name, load)))
            self._flights[scope, name] = flight
            flight.task.add_done_callback(lambda task: self._landed(scope, name, flight, task))
        # Why: one caller going away must not cancel the load that others wait for.
        return await asyncio.shield(flight.task)

    async def forget(self, scopes: Iterable[str]) -> None:
        """Drop scopes from L1 now, and from L2 as soon as it can be reached."""
        self._drop(scopes)
        await self._send()

    def _drop(self, scopes: Iterable[str]) -> None:
        dropped = frozenset(scopes)
        for scope in dropped:
            self._l1.drop(scope)
        for key in [key for key in self._flights if key[0] in dropped]:
            self._flights.pop(key).is_stale = True
        if self._valkey is not None:
            self._unsent |= dropped

    def _drop_l1(self) -> None:
        """Whatever is here, or on its way here, may have missed its invalidation."""
        self._l1.clear()
        while self._flights:
            self._flights.popitem()[1].is_stale = True

    def _landed(
        self, scope: str, name: str, flight: _Flight, task: asyncio.Task[bytes | None]
    ) -> None:
        if self._flights.get((scope, name)) is flight:
            del self._flights[scope, name]
        if task.cancelled() or task.exception() is not None or flight.is_stale:
            return
        value = task.result()
        if value is not None and self._is_listening.is_set():
            self._l1.put(scope, name, value)

    async def _fill(
        self, scope: str, name: str, load: Callable[[], Awaitable[bytes | None]]
    ) -> bytes | None:
        generation = None
        field = f"value:{name}"
        if self._valkey is not None and await self._send():
            with contextlib.suppress(*_OUTAGES):
                generation, value = await self._valkey.script(
                    _READ, _key(scope), field, secrets.token_hex(8), _L2_SECONDS * 1000
                )
                CACHE_EVENTS.labels("l2", "miss" if value is None else "hit").inc()
                if value is not None:
                    return bytes(value)
        loaded = await load()
        if self._valkey is not None and generation is not None and loaded is not None:
            with contextlib.suppress(*_OUTAGES):
                await self._valkey.script(_STORE, _key(scope), field, generation, loaded)
        return loaded

    async def _send(self) -> bool:
        """Pass on invalidations L2 has not heard of; False (= do not read L2) while it cannot be reached."""
        self._send_soon()
        return self._sending is None or await asyncio.shield(self._sending)

    def _send_soon(self) -> None:
        # Why one task: an outage costs everybody who waits for it one timeout, not one each.
        if self._sending is None and self._unsent:
            self._sending = self._start(self._send_all())

    async def _send_all(self) -> bool:
        try:
            while self._unsent and self._valkey is not None:
                # Why taken out first: made stale again while its deletion is on the way, it must be deleted again.
                scope = self._unsent.pop()
                try:
                    await self._valkey.delete(_key(scope))
                except BaseException:
                    self._unsent.add(scope)
                    raise
        except _OUTAGES:
            return False
        finally:
            self._sending = None
        return True

    async def _listen(self) -> None:
        wait, longest = _RECONNECT_SECONDS
        while True:
            try:
                connection = await PatientConnection.connect(
                    connection_string(self._listen_url), autocommit=True
                )
                async with connection:
                    connection.patience = _PATIENCE_SECONDS
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._drop_l1()
                    self._is_listening.set()
                    wait = _RECONNECT_SECONDS[0]
                    await self._hear(connection)
            except (psycopg.Error, OSError) as error:
                log.warning("cache_listener_lost", error=type(error).__name__)
            finally:
                self._is_listening.clear()
                self._drop_l1()
            await asyncio.sleep(wait)
            wait = min(wait * 2, longest)

    async def _hear(self, connection: PatientConnection) -> None:
        """Drop what others made stale, until the connection breaks or falls silent."""
        while True:
            async for notify in connection.notifies(timeout=_HEARTBEAT_SECONDS):
                self._drop(notify.payload.split(","))
                # Why not awaited: a Valkey that is slow must not hold up the next notice.
                self._send_soon()
            await connection.execute("SELECT 1")

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Memory:
    """L1: bounded in number, bytes and age; what was not used for longest leaves first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._bytes = 0
        self._values: OrderedDict[tuple[str, str], tuple[float, bytes]] = OrderedDict()
        self._names: dict[str, set[str]] = {}

    def get(self, scope: str, name: str) -> bytes | None:
        until, value = self._values.get((scope, name), (0.0, b""))
        if until < time.monotonic():
            return None
        self._values.move_to_end((scope, name))
        return value

    def put(self, scope: str, name: str, value: bytes) -> None:
        self._remove(scope, name)
        self._values[scope, name] = (time.monotonic() + _L1_SECONDS, value)
        self._names.setdefault(scope, set()).add(name)
        self._bytes += len(value)
        while len(self._values) > self._most or self._bytes > _L1_BYTES:
            self._remove(*next(iter(self._values)))
            CACHE_EVENTS.labels("l1", "eviction").inc()

    def drop(self, scope: str) -> None:
        for name in tuple(self._names.get(scope, ())):
            self._remove(scope, name)
            CACHE_EVENTS.labels("l1", "eviction").inc()

    def clear(self) -> None:
        self._values.clear()
        self._names.clear()
        self._bytes = 0

    def _remove(self, scope: str, name: str) -> None:
        entry = self._values.pop((scope, name), None)
        if entry is None:
            return
        self._bytes -= len(entry[1])
        self._names[scope].discard(name)
        if not self._names[scope]:
            del self._names[scope]


def _key(scope: str) -> str:
    return f"mv:{_SCHEMA_VERSION}:{{{scope}}}"
