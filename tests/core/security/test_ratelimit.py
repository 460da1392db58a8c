import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from valkey import Valkey as Client

from motovaultpro.core.errors import TooManyRequestsError
from motovaultpro.core.security.ratelimit import LOCAL_WINDOWS, PAUSE_SECONDS, RateLimiter, network
from motovaultpro.standalone.components.ports import LOOPBACK, free_port
from motovaultpro.standalone.components.valkey import Valkey
from tests.factories.valkey_servers import ClusterNode, Sentinel

PASSWORD = "p@ss:w/rd%20"
QUOTED = quote(PASSWORD, safe="")
DEADLINE_SECONDS = 10


class Timer:
    """A monotonic timer that stands still until told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def limiter_on(
    url: str, timer: Callable[[], float] = time.monotonic
) -> AsyncIterator[RateLimiter]:
    limiter = RateLimiter(SecretStr(url), timer=timer)
    try:
        yield limiter
    finally:
        await limiter.close()


async def hits(limiter: RateLimiter, count: int, rate: str = "3/minute", who: str = "ada") -> int:
    """How many of so many hits were let through."""
    passed = 0
    for _ in range(count):
        with suppress(TooManyRequestsError):
            await limiter.hit(rate, who)
            passed += 1
    return passed


async def without_waiting(work: Coroutine[object, object, int]) -> int:
    """The result of what must not wait for anything, not even once."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    assert task.done()
    return task.result()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey"), password=PASSWORD) as valkey:
        yield valkey


@pytest.fixture
def valkey(server: Valkey) -> Valkey:
    with Client.from_url(server.url) as client:
        client.flushall()
    return server


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """For tests that stop the server."""
    with Valkey(tmp_path, password=PASSWORD) as valkey:
        yield valkey


async def test_counts_in_the_process_without_a_cache() -> None:
    limiter = RateLimiter(None)

    assert await hits(limiter, 5) == 3
    assert await hits(limiter, 5, who="bob") == 3
    assert await hits(limiter, 5, rate="4/minute") == 4
    await limiter.close()


async def test_the_window_in_the_process_moves() -> None:
    timer = Timer()
    limiter = RateLimiter(None, timer=timer)
    for _ in range(3):
        await limiter.hit("3/minute", "ada")
        timer.now += 10

    with pytest.raises(TooManyRequestsError) as refusal:
        await limiter.hit("3/minute", "ada")
    assert (refusal.value.status, refusal.value.headers) == (429, {"Retry-After": "30"})

    timer.now += 29.9
    assert await hits(limiter, 1) == 0
    timer.now += 0.1
    assert await hits(limiter, 2) == 1
    timer.now += 10
    assert await hits(limiter, 2) == 1


async def test_the_windows_in_the_process_are_bounded() -> None:
    limiter = RateLimiter(None)
    for number in range(LOCAL_WINDOWS + 10):
        await limiter.hit("1/hour", str(number))

    assert len(limiter._local._hits) == LOCAL_WINDOWS
    assert await hits(limiter, 1, "1/hour", str(LOCAL_WINDOWS)) == 0


async def test_identifiers_cannot_be_cut_differently() -> None:
    limiter = RateLimiter(None)

    await limiter.hit("1/hour", "a", "bc")
    await limiter.hit("1/hour", "ab", "c")
    await limiter.hit("1/hour", "abc\ud800\x00")


async def test_replicas_share_their_counts(valkey: Valkey) -> None:
    async with limiter_on(valkey.url) as one, limiter_on(valkey.url) as other:
        assert await hits(one, 2) == 2
        assert await hits(other, 2) == 1

        with pytest.raises(TooManyRequestsError) as refusal:
            await one.hit("3/minute", "ada")
        assert 50 <= int(refusal.value.headers["Retry-After"]) <= 60


async def test_a_shared_window_moves(valkey: Valkey) -> None:
    async with limiter_on(valkey.url) as limiter:
        assert await hits(limiter, 2, "1/second") == 1

        deadline = time.monotonic() + DEADLINE_SECONDS
        while await hits(limiter, 1, "1/second") == 0:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def test_concurrent_hits_are_counted_exactly(valkey: Valkey) -> None:
    async with limiter_on(valkey.url) as limiter:
        passed = await asyncio.gather(*(hits(limiter, 1, "10/minute") for _ in range(50)))

    assert sum(passed) == 10


async def test_valkey_sees_one_tagged_key_without_the_identifiers(valkey: Valkey) -> None:
    async with limiter_on(valkey.url) as limiter:
        await limiter.hit("3/minute", "203.0.113.9", "ada")

    with Client.from_url(valkey.url) as client:
        (key,) = client.keys()
        assert 0 < client.ttl(key) <= 60
    assert key.decode().startswith("motovault:rate:")
    assert key.count(b"{") == key.count(b"}") == 1
    assert b"ada" not in key
    assert b"203" not in key


async def test_a_frozen_valkey_costs_one_caller_half_a_second(own_valkey: Valkey) -> None:
    timer = Timer()
    async with limiter_on(own_valkey.url, timer) as limiter:
        assert await hits(limiter, 1) == 1
        assert own_valkey.pid is not None
        os.kill(own_valkey.pid, signal.SIGSTOP)
        try:
            with capture_logs() as logs:
                started = time.monotonic()
                assert await hits(limiter, 1) == 1
                assert time.monotonic() - started > 0.4

                assert await without_waiting(hits(limiter, 20)) == 2

            # After the pause one caller tries again; those beside it do not wait for its answer.
            timer.now += PAUSE_SECONDS
            probe = asyncio.create_task(hits(limiter, 1, who="probe"))
            await asyncio.sleep(0)
            assert await without_waiting(hits(limiter, 20, who="bob")) == 3
            assert await probe == 1
        finally:
            os.kill(own_valkey.pid, signal.SIGCONT)

    assert [(entry["event"], entry["error"]) for entry in logs] == [
        ("rate_limits_local", "TimeoutError")
    ]


async def test_returns_to_a_valkey_that_is_back(own_valkey: Valkey) -> None:
    timer = Timer()
    async with limiter_on(own_valkey.url, timer) as limiter, limiter_on(own_valkey.url) as other:
        assert await hits(limiter, 1) == 1
        own_valkey.stop()
        assert await hits(limiter, 4) == 3

        own_valkey.start()
        assert await hits(limiter, 1) == 0
        timer.now += PAUSE_SECONDS
        with capture_logs() as logs:
            assert await hits(limiter, 2) == 2
        assert [entry["event"] for entry in logs] == ["rate_limits_shared_again"]
        assert await hits(other, 2) == 1


@pytest.mark.parametrize(
    "url",
    [
        "valkey://:x@{host}:{port}/0",
        "valkeys://:x@{host}:{port}/0",
        "valkey+sentinel://:x@{host}:{port},{host}:{port}/main",
        "valkey+cluster://:x@{host}:{port},{host}:{port}",
    ],
)
async def test_limits_without_any_server(url: str) -> None:
    async with limiter_on(url.format(host=LOOPBACK, port=free_port())) as limiter:
        assert await hits(limiter, 5) == 3


async def test_limits_locally_with_a_wrong_password(valkey: Valkey) -> None:
    async with limiter_on(f"valkey://:wrong@{LOOPBACK}:{valkey.port}") as limiter:
        assert await hits(limiter, 5) == 3


@pytest.mark.parametrize("path", ["", "/mymaster"])
async def test_works_through_sentinels(valkey: Valkey, tmp_path: Path, path: str) -> None:
    with Sentinel(tmp_path, valkey, service="mymaster", password=PASSWORD) as sentinel:
        dead = free_port([sentinel.port])
        url = f"valkey+sentinel://:{QUOTED}@{LOOPBACK}:{dead},{LOOPBACK}:{sentinel.port}{path}"
        async with limiter_on(url) as limiter, limiter_on(valkey.url) as direct:
            assert await hits(limiter, 2) == 2
            assert await hits(direct, 2) == 1


async def test_works_on_a_cluster(tmp_path: Path) -> None:
    with ClusterNode(tmp_path, password=PASSWORD) as node:
        url = f"valkey+cluster://:{QUOTED}@{LOOPBACK}:{node.port}"
        async with limiter_on(url) as one, limiter_on(url) as other:
            assert await hits(one, 2) == 2
            assert await hits(other, 2) == 1


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_an_ipv6_subscriber_is_one_client(address: str, counted_as: str) -> None:
    assert network(address) == counted_as
