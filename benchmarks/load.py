"""The load generator: raw HTTP/1.1 over kept-alive connections, in a process of its own so that its CPU is not counted.

Run as a program it reads an `Order` as JSON from stdin and answers a `Sample` on stdout; `run` does that.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Self

import psutil

ROOT = Path(__file__).parent.parent
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LONGEST_SECONDS = 300
# The news of an invalidation needs a moment from PostgreSQL to the server; a request that overtakes it would be answered
# from the cache. `measuring.py` checks that none did.
_NEWS_SECONDS = 0.004


class LoadError(Exception):
    """The server did not answer as it should: there is nothing to measure."""


@dataclass(frozen=True)
class Invalidation:
    """Sent to PostgreSQL before each request: makes the server drop what it has cached, as a write would."""

    database_url: str
    channel: str
    payload: str


@dataclass(frozen=True)
class Order:
    """`cookies` has one `Cookie` header for each connection, empty for none; `processes` names trees whose CPU to count."""

    port: int
    path: str
    cookies: Sequence[str]
    requests: int
    warm_up: int
    processes: dict[str, int]
    invalidation: Invalidation | None = None


@dataclass(frozen=True)
class Sample:
    """CPU is user and system time in seconds, of the whole process tree, over all `requests`."""

    requests: int
    cpu_seconds: dict[str, float]
    latencies_ms: list[float]
    body_bytes: int


def run(order: Order) -> Sample:
    """Load the server from another process. Raises `LoadError`."""
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        check=False,
        capture_output=True,
        input=json.dumps(asdict(order)),
        text=True,
        cwd=ROOT,
        timeout=_LONGEST_SECONDS,
    )
    if result.returncode != 0:
        raise LoadError(result.stderr.strip())
    return Sample(**json.loads(result.stdout))


class _Connection:
    def __init__(self, order: Order, cookie: str) -> None:
        self._port = order.port
        lines = [f"GET {order.path} HTTP/1.1", f"Host: 127.0.0.1:{order.port}"]
        if cookie:
            lines.append(f"Cookie: {cookie}")
        self._request = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def get(self) -> int:
        """The size of the body."""
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await self._reader.readexactly(int(length[1])) if length else b""
        if length is None or not head.startswith(b"HTTP/1.1 200 "):
            raise LoadError((head + body).decode(errors="replace"))
        return len(body)


class _CpuClock:
    """CPU seconds of process trees. What ended in between is lost; servers keep their processes."""

    def __init__(self, processes: dict[str, int]) -> None:
        self._processes = processes
        self._before = {name: _tree_seconds(pid) for name, pid in processes.items()}

    def elapsed(self) -> dict[str, float]:
        return {
            name: sum(
                seconds - self._before[name].get(child, 0.0)
                for child, seconds in _tree_seconds(pid).items()
            )
            for name, pid in self._processes.items()
        }


def _tree_seconds(pid: int) -> dict[int, float]:
    root = psutil.Process(pid)
    seconds = {}
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds[process.pid] = times.user + times.system
    return seconds


async def _measure(order: Order) -> Sample:
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(_Connection(order, cookie)) for cookie in order.cookies
        ]
        prepare = await _invalidator(order.invalidation, stack)
        await _send(connections, order.warm_up, prepare)
        clock = _CpuClock(order.processes)
        latencies, sizes = await _send(connections, order.requests, prepare)
        cpu_seconds = clock.elapsed()
    return Sample(order.requests, cpu_seconds, latencies, max(sizes))


async def _invalidator(
    invalidation: Invalidation | None, stack: AsyncExitStack
) -> Callable[[], Awaitable[None]] | None:
    if invalidation is None:
        return None
    import psycopg  # noqa: PLC0415 - most measurements need no database, and it is slow to load

    connection = await stack.enter_async_context(
        await psycopg.AsyncConnection.connect(invalidation.database_url, autocommit=True)
    )

    async def invalidate() -> None:
        await connection.execute(
            "SELECT pg_notify(%s, %s)", (invalidation.channel, invalidation.payload)
        )
        await asyncio.sleep(_NEWS_SECONDS)

    return invalidate


async def _send(
    connections: Sequence[_Connection],
    requests: int,
    prepare: Callable[[], Awaitable[None]] | None,
) -> tuple[list[float], set[int]]:
    """Latencies in milliseconds, and the sizes of the bodies. Every connection takes the next request when it is free."""
    latencies: list[float] = []
    sizes: set[int] = set()
    waiting = iter(range(requests))

    async def work(connection: _Connection) -> None:
        for _ in waiting:
            if prepare is not None:
                await prepare()
            started = perf_counter()
            sizes.add(await connection.get())
            latencies.append((perf_counter() - started) * 1000)

    await asyncio.gather(*(work(connection) for connection in connections))
    return latencies, sizes


def _order(text: str) -> Order:
    given = json.loads(text)
    if given["invalidation"] is not None:
        given["invalidation"] = Invalidation(**given["invalidation"])
    return Order(**given)


if __name__ == "__main__":
    try:
        print(json.dumps(asdict(asyncio.run(_measure(_order(sys.stdin.read()))))))
    except LoadError as error:
        sys.exit(str(error))
