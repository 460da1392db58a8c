import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import ResponseError, ValkeyError

from motovaultpro.core.valkey import Valkey
from motovaultpro.standalone.components.ports import LOOPBACK, free_port
from motovaultpro.standalone.components.valkey import Valkey as Server
from tests.core.conftest import frozen, kill
from tests.factories.eventually import eventually
from tests.factories.proxy import proxy_to
from tests.factories.valkey_servers import ClusterNode, Sentinel

PASSWORD = "p@ss:w/rd%20"
QUOTED = quote(PASSWORD, safe="")
OUTAGES = (ValkeyError, OSError)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("valkey"), password=PASSWORD) as started:
        yield started


@asynccontextmanager
async def valkey_at(url: str, *, rest_seconds: float = 5.0) -> AsyncIterator[Valkey]:
    valkey = Valkey(url, rest_seconds=rest_seconds)
    try:
        yield valkey
    finally:
        await valkey.close()


async def works(valkey: Valkey) -> bool:
    await valkey.ping()
    await valkey.set("{test}key", b"\x00value", seconds=60)
    read = await valkey.get("{test}key")
    answer = await valkey.script("return {KEYS[1], ARGV[1]}", "{test}key", b"argument")
    await valkey.delete("{test}key")
    gone = await valkey.get("{test}key")
    return (read, answer, gone) == (b"\x00value", [b"{test}key", b"argument"], None)


async def failures(valkey: Valkey, count: int) -> list[Exception]:
    seen: list[Exception] = []
    for _ in range(count):
        with pytest.raises(OUTAGES) as failure:
            await valkey.get("x")
        seen.append(failure.value)
    return seen


async def test_works_with_one_server(server: Server) -> None:
    async with valkey_at(server.url) as valkey:
        assert await works(valkey)


async def test_works_through_sentinels_of_which_one_is_dead(server: Server, tmp_path: Path) -> None:
    with Sentinel(tmp_path, server, service="garage", password=PASSWORD) as sentinel:
        hosts = f"{LOOPBACK}:{free_port([sentinel.port])},{LOOPBACK}:{sentinel.port}"
        async with valkey_at(f"valkey+sentinel://:{QUOTED}@{hosts}/garage") as valkey:
            assert await works(valkey)


async def test_works_on_a_cluster(tmp_path: Path) -> None:
    with ClusterNode(tmp_path, password=PASSWORD) as node:
        async with valkey_at(
            f"valkey+cluster://:{QUOTED}@{LOOPBACK}:{node.port}", rest_seconds=0.05
        ) as valkey:
            assert await works(valkey)
            node.stop()
            await failures(valkey, 6)
            node.start()

            async def is_back() -> bool:
                try:
                    return await works(valkey)
                except OUTAGES:
                    return False

            await eventually(is_back)


@pytest.mark.parametrize(
    "url",
    [
        "valkey://:x@{host}:{port}/0",
        "valkey+sentinel://:x@{host}:{port},{host}:{port}/garage",
        "valkey+cluster://:x@{host}:{port}",
    ],
)
async def test_without_any_server_every_kind_fails_alike(url: str) -> None:
    async with valkey_at(url.format(host=LOOPBACK, port=free_port())) as valkey:
        assert len(await failures(valkey, 6)) == 6


async def test_leaves_a_dead_server_alone_and_comes_back(mortal_valkey: Server) -> None:
    async with valkey_at(mortal_valkey.url, rest_seconds=0.2) as valkey:
        assert await works(valkey)
        kill(mortal_valkey.pid)
        mortal_valkey.stop()
        seen = await failures(valkey, 6)
        assert "left alone" in str(seen[-1])
        assert not any("left alone" in str(error) for error in seen[:-1])

        mortal_valkey.start()

        async def is_back() -> bool:
            try:
                return await works(valkey)
            except ValkeyConnectionError as error:
                assert "left alone" in str(error)  # noqa: PT017 - the only way to fail now
                return False

        assert await eventually(is_back) < 2


async def test_a_frozen_server_costs_half_a_second_and_after_five_failures_nothing(
    mortal_valkey: Server,
) -> None:
    async with valkey_at(mortal_valkey.url) as valkey:
        assert await works(valkey)
        with frozen(mortal_valkey.pid):
            started = time.monotonic()
            await asyncio.gather(*(failures(valkey, 1) for _ in range(5)))
            assert 0.4 < time.monotonic() - started < 2

            started = time.monotonic()
            await failures(valkey, 100)
            assert time.monotonic() - started < 0.3


async def test_after_the_rest_one_caller_tries_and_the_others_stay_away(
    mortal_valkey: Server,
) -> None:
    async with valkey_at(mortal_valkey.url, rest_seconds=0.1) as valkey:
        with frozen(mortal_valkey.pid):
            await asyncio.gather(*(failures(valkey, 1) for _ in range(5)))
            await eventually(lambda: time.monotonic() > valkey._rests_until)
            started = time.monotonic()
            valkey._rest_seconds = 5
            probe = asyncio.create_task(failures(valkey, 1))
            await asyncio.sleep(0)
            await failures(valkey, 20)
            assert time.monotonic() - started < 0.3
            await probe
            assert time.monotonic() - started > 0.4


async def test_a_slow_way_is_cut_off(server: Server) -> None:
    """Though no single read takes half a second."""
    async with proxy_to(server.port) as proxy:
        proxy.latency = 0.2
        direct = f"valkey://:{QUOTED}@{LOOPBACK}:{proxy.port}"
        async with valkey_at(direct) as valkey:
            started = time.monotonic()
            await failures(valkey, 1)
            assert 0.9 < time.monotonic() - started < 1.5


async def test_an_answer_that_says_no_is_no_outage(server: Server) -> None:
    async with valkey_at(server.url) as valkey:
        for _ in range(6):
            with pytest.raises(ResponseError):
                await valkey.script("return redis.call('nonsense')", "x")
        assert await works(valkey)


async def test_callers_who_leave_are_no_outage_and_mix_up_no_answers(server: Server) -> None:
    async with (
        proxy_to(server.port) as proxy,
        valkey_at(f"valkey://:{QUOTED}@{LOOPBACK}:{proxy.port}") as valkey,
    ):
        for number in range(10):
            await valkey.set(f"key{number}", str(number).encode(), seconds=60)
        proxy.latency = 0.05
        for number in range(8):
            task = asyncio.create_task(valkey.get(f"key{number}"))
            await asyncio.sleep(0.06)  # the question is there, its answer on its way
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        proxy.latency = 0
        for number in range(10):
            assert await valkey.get(f"key{number}") == str(number).encode()
