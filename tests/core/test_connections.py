import asyncio
import time
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text

from motovaultpro.core.connections import connection_string
from motovaultpro.core.database import (
    CommitUnknownError,
    Database,
    InterruptedWorkError,
    retry_transient,
)
from motovaultpro.core.errors import UnavailableError
from motovaultpro.standalone.components.postgres import Postgres
from tests.core.conftest import Counters, OpenDatabase, frozen
from tests.factories.eventually import eventually
from tests.factories.proxy import Proxy

TENANT = uuid4()


async def backend(database: Database) -> int:
    async with database.session(TENANT) as session:
        pid: int = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    return pid


def terminate(postgres: Postgres, pid: int) -> None:
    with psycopg.connect(postgres.superuser_url()) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def test_addresses_carry_timeouts() -> None:
    values = conninfo_to_dict(connection_string("postgresql+psycopg://me@host:1/db"))
    assert values["connect_timeout"] == "3"
    assert values["tcp_user_timeout"] == "5000"
    assert values["keepalives_idle"] == "5"
    assert (values["user"], values["host"], values["dbname"]) == ("me", "host", "db")


def test_what_the_address_names_wins_over_our_timeouts_and_overrides_over_both() -> None:
    url = "postgresql://host/db?connect_timeout=9&application_name=theirs"
    values = conninfo_to_dict(connection_string(url, application_name="ours"))
    assert (values["connect_timeout"], values["application_name"]) == ("9", "ours")


async def test_a_full_pool_answers_503_after_the_longest_wait(open_database: OpenDatabase) -> None:
    database: Database = await open_database(pool_min=1, pool_max=2, pool_wait_seconds=0.2)
    runs = 0

    async def unit() -> None:
        nonlocal runs
        runs += 1
        await backend(database)

    async with database.session(TENANT) as one, database.session(TENANT) as other:
        await one.execute(text("SELECT 1"))
        await other.execute(text("SELECT 1"))
        assert database.pool_in_use == 2
        started = time.monotonic()
        with pytest.raises(UnavailableError) as failure:
            await retry_transient(unit)
        with pytest.raises(UnavailableError):
            await database.fetch_json(TENANT, "SELECT '1'", {})
        with pytest.raises(UnavailableError):
            await database.ping()
        assert 0.6 <= time.monotonic() - started < 3

    assert (failure.value.status, failure.value.headers) == (503, {"Retry-After": "2"})
    assert runs == 1
    assert database.pool_in_use == 0
    assert await backend(database)


async def test_many_requests_share_few_connections(open_database: OpenDatabase) -> None:
    database: Database = await open_database(pool_min=1, pool_max=3)
    pids = await asyncio.gather(*(backend(database) for _ in range(60)))
    assert len(set(pids)) <= 3


async def test_a_closed_pool_is_503(open_database: OpenDatabase) -> None:
    database: Database = await open_database()
    await database.close()
    with pytest.raises(UnavailableError):
        await backend(database)


async def test_replaces_a_connection_that_has_lived_long_enough(
    open_database: OpenDatabase,
) -> None:
    database: Database = await open_database(pool_min=1, pool_max=1, pool_lifetime_seconds=0.2)
    first = await backend(database)

    async def is_another() -> bool:
        return await backend(database) != first

    await eventually(is_another)


async def test_a_connection_killed_while_idle_is_never_given_out(
    open_database: OpenDatabase, postgres: Postgres
) -> None:
    database: Database = await open_database(pool_min=1, pool_max=1)
    first = await backend(database)
    terminate(postgres, first)
    await eventually(lambda: _rested(database))

    assert await backend(database) != first


async def test_a_connection_killed_right_after_its_use_costs_a_repeat(
    open_database: OpenDatabase, postgres: Postgres
) -> None:
    database: Database = await open_database(pool_min=1, pool_max=1)
    first = await backend(database)
    terminate(postgres, first)

    assert await retry_transient(lambda: backend(database)) != first


@pytest.mark.parametrize("rested", [False, True])
async def test_all_connections_killed_at_once_cost_one_repeat_at_most(
    open_database: OpenDatabase, postgres: Postgres, rested: bool
) -> None:
    database: Database = await open_database(pool_min=5, pool_max=5)
    together = asyncio.Barrier(5)

    async def use() -> int:
        async with database.session(TENANT) as session:
            pid: int = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await together.wait()
        return pid

    for pid in await asyncio.gather(*(use() for _ in range(5))):
        terminate(postgres, pid)
    if rested:
        await eventually(lambda: _rested(database))
    else:
        with pytest.raises(InterruptedWorkError):
            await backend(database)
    started = time.monotonic()
    for _ in range(5):
        assert await backend(database)
    assert time.monotonic() - started < 1


def _rested(database: Database) -> bool:
    """Whether every connection has been idle for long enough to be checked before its next use."""
    return all(time.monotonic() - one.used_at > 1 for one in database._pool._pool)


async def test_works_again_after_the_server_was_restarted(
    open_database: OpenDatabase, mortal_postgres: Postgres
) -> None:
    database: Database = await open_database(
        url=mortal_postgres.app_url, pool_wait_seconds=0.5, pool_min=2
    )
    await backend(database)
    mortal_postgres.stop()
    try:
        for _ in range(3):
            with pytest.raises(UnavailableError):
                await retry_transient(lambda: backend(database))
    finally:
        mortal_postgres.start()

    async def answers() -> bool:
        try:
            return bool(await retry_transient(lambda: backend(database)))
        except UnavailableError:
            return False

    assert await eventually(answers) < 5


async def test_a_frozen_server_is_an_error_and_no_hang(
    open_database: OpenDatabase, mortal_postgres: Postgres
) -> None:
    database: Database = await open_database(
        url=mortal_postgres.app_url, pool_wait_seconds=1, pool_min=1, statement_timeout_seconds=0.5
    )
    await backend(database)
    async with asyncio.timeout(12):
        with frozen(mortal_postgres.pid):
            with pytest.raises(InterruptedWorkError):  # used a moment ago: fails in the statement
                await backend(database)
            with pytest.raises(UnavailableError):
                await database.ping()
        assert await retry_transient(lambda: backend(database))


async def test_an_idle_connection_to_a_frozen_server_is_found_out_within_its_check(
    open_database: OpenDatabase, proxy: Proxy, postgres: Postgres
) -> None:
    database: Database = await open_database(
        url=proxy.url(postgres.app_url), pool_wait_seconds=1, pool_min=1
    )
    await backend(database)
    await eventually(lambda: _rested(database))
    proxy.blackhole = True
    async with asyncio.timeout(5):
        with pytest.raises(UnavailableError):
            await backend(database)

    proxy.blackhole = False
    proxy.reset()

    async def answers() -> bool:
        try:
            return bool(await backend(database))
        except UnavailableError:
            return False

    await eventually(answers)


async def test_a_server_that_freezes_in_a_commit_leaves_it_unknown(
    open_database: OpenDatabase, proxy: Proxy, postgres: Postgres, counters: Counters
) -> None:
    database: Database = await open_database(
        url=proxy.url(postgres.app_url), pool_min=1, statement_timeout_seconds=0.5
    )
    proxy.blackhole_at = b"COMMIT"

    async def unit() -> None:
        async with database.session(TENANT) as session:
            await session.execute(text("UPDATE scratch.counters SET value = 5"))

    async with asyncio.timeout(5):
        with pytest.raises(CommitUnknownError):
            await unit()
    assert counters.values() == {1: 0, 2: 0}


async def test_lost_connections_leave_no_empty_places(
    open_database: OpenDatabase, proxy: Proxy, postgres: Postgres
) -> None:
    database: Database = await open_database(
        url=proxy.url(postgres.app_url), pool_min=1, pool_max=1, pool_wait_seconds=2
    )
    for _ in range(3):
        await backend(database)
        proxy.reset()
        with pytest.raises(InterruptedWorkError):
            await backend(database)

    assert await backend(database)
    assert database.pool_in_use == 0


async def test_latency_is_no_error(
    open_database: OpenDatabase, proxy: Proxy, postgres: Postgres
) -> None:
    proxy.latency = 0.05
    database: Database = await open_database(url=proxy.url(postgres.app_url), pool_min=1)
    assert await database.fetch_json(TENANT, "SELECT '1'", {}) == b"1"
