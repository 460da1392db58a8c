"""The measuring works: tried on the yardstick, which needs nothing of the product but its server."""

import os
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from benchmarks.budgets import Finding
from benchmarks.load import Invalidation, LoadError, Order, run
from benchmarks.measuring import Effort, Target, measure
from benchmarks.servers import YARDSTICK, Server, Surroundings
from benchmarks.yardstick import keep_answers
from motovaultpro.standalone.components.postgres import OWNER_ROLE, Postgres

DATABASE = "benchmark_test"
BODY = b'{"items": [1, 2, 3]}'


@pytest.fixture(scope="module")
def database_url(postgres: Postgres) -> Iterator[str]:
    postgres.create_database(DATABASE)
    url = postgres.url(OWNER_ROLE, DATABASE)
    keep_answers(url, {"list": BODY})
    yield url
    postgres.drop_database(DATABASE)


@pytest.fixture(scope="module")
def yardstick(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    around = Surroundings(tmp_path_factory.mktemp("yardstick"), database_url, cache_url=None)
    with Server(YARDSTICK, around, name="yardstick") as server:
        yield server


@pytest.fixture
def order(yardstick: Server) -> Order:
    return Order(
        port=yardstick.port,
        path="/fixed/list",
        cookies=["", ""],
        requests=40,
        warm_up=4,
        processes={"server": yardstick.pid},
    )


def test_measures_every_target_in_every_round(yardstick: Server, postgres: Postgres) -> None:
    targets = [Target("fixed", yardstick, "/fixed/list"), Target("row", yardstick, "/row/list")]
    heard: list[str] = []

    figures = measure(
        targets, Effort(rounds=2, requests=40, warm_up=4), postgres.pid or 0, progress=heard.append
    )

    assert len(heard) == 4
    for measured in figures.values():
        assert len(measured.cpu_by_round) == 2
        assert len(measured.latencies) == 80
        assert measured.body_bytes == len(BODY)
        assert 0 < measured.p50 <= measured.p99


def test_counts_the_cpu_of_the_server_and_not_of_the_load(order: Order) -> None:
    sample = run(replace(order, requests=400, processes={**order.processes, "test": os.getpid()}))

    assert 0 < sample.cpu_seconds["server"] < 400 * 0.01
    assert sample.requests == len(sample.latencies_ms) == 400


def test_sends_the_invalidation_before_each_request(order: Order, database_url: str) -> None:
    invalidation = Invalidation(database_url, "benchmark", "garage:1")
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN benchmark")

        run(replace(order, invalidation=invalidation))

        heard = [notice.payload for notice in listener.notifies(timeout=5, stop_after=44)]
    assert heard == ["garage:1"] * 44


def test_refuses_to_measure_wrong_answers(order: Order) -> None:
    with pytest.raises(LoadError, match="404"):
        run(replace(order, path="/nothing"))


def test_refuses_figures_of_a_cache_that_was_not_missed(
    yardstick: Server, postgres: Postgres
) -> None:
    target = Target("uncached", yardstick, "/fixed/list", misses_cache=True)

    with pytest.raises(LoadError, match="0 of 44 requests"):
        measure([target], Effort(1, 40, 4), postgres.pid or 0, progress=lambda _: None)


def test_memory_and_start_time_are_those_of_the_server(yardstick: Server) -> None:
    assert 20_000_000 < yardstick.memory() < 500_000_000
    assert 0 < yardstick.start_seconds < 30


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(2.0, "held, 50% used"), (4.0, "held, 100% used"), (5.0, "MISSED by 25%")],
)
def test_a_finding_says_by_how_much(value: float, verdict: str) -> None:
    assert Finding("list", value, "ms", budget=4.0).verdict == verdict
