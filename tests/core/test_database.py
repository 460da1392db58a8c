import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from motovaultpro.core.database import (
    AsyncSession,
    CommitUnknownError,
    Database,
    InterruptedWorkError,
    is_transient,
    retry_transient,
)
from motovaultpro.core.errors import ConflictError, UnavailableError
from motovaultpro.standalone.components.postgres import Postgres
from tests.core.conftest import Counters, OpenDatabase
from tests.factories.eventually import eventually
from tests.factories.proxy import Proxy

TENANT = uuid4()


class ScratchBase(DeclarativeBase):
    """Apart from the product's models."""


class Counter(ScratchBase):
    __tablename__ = "counters"
    __table_args__ = ({"schema": "scratch"},)

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]


async def add(session: AsyncSession, row: int, amount: int = 1) -> None:
    await session.execute(
        text("UPDATE scratch.counters SET value = value + :amount WHERE id = :row"),
        {"row": row, "amount": amount},
    )


async def backend(session: AsyncSession) -> int:
    pid: int = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    return pid


def terminate(postgres: Postgres, pid: int) -> None:
    with psycopg.connect(postgres.superuser_url()) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


async def test_commits_at_the_end(database: Database, counters: Counters) -> None:
    async with database.session(TENANT) as session:
        await add(session, 1)
        assert counters.values()[1] == 0

    assert counters.values()[1] == 1


async def test_rolls_back_on_an_exception(database: Database, counters: Counters) -> None:
    async def unit() -> None:
        async with database.session(TENANT) as session:
            await add(session, 1)
            raise ConflictError("No.")

    with pytest.raises(ConflictError):
        await unit()

    assert counters.values()[1] == 0


async def test_saves_what_was_not_flushed(database: Database, counters: Counters) -> None:
    async with database.session(TENANT) as session:
        session.add(Counter(id=3, value=7))

    assert counters.values()[3] == 7


async def test_saves_nothing_when_the_commit_fails(
    open_database: OpenDatabase, counters: Counters
) -> None:
    database: Database = await open_database(pool_max=1)
    told: list[object] = []

    async def tell(session: AsyncSession) -> None:
        told.append(session)

    async def unit() -> None:
        async with database.session(TENANT) as session:
            await add(session, 1)
            await session.execute(text("UPDATE scratch.counters SET serial = 1"))

    database.after_commit = tell
    with pytest.raises(IntegrityError):
        await unit()

    assert counters.values()[1] == 0
    assert told == []
    async with database.session(TENANT) as session:
        await add(session, 1)
    assert counters.values()[1] == len(told) == 1


async def test_a_caught_failure_does_not_pass_for_a_commit(
    database: Database, counters: Counters
) -> None:
    async def unit() -> None:
        async with database.session(TENANT) as session:
            await add(session, 1)
            with pytest.raises(ProgrammingError):
                await session.execute(text("SELECT absent"))

    with pytest.raises(RuntimeError, match="its transaction is lost"):
        await unit()

    assert counters.values()[1] == 0


async def test_goes_on_after_a_savepoint_was_undone(database: Database, counters: Counters) -> None:
    async def fail(session: AsyncSession) -> None:
        async with session.begin_nested():
            await add(session, 2)
            await session.execute(text("INSERT INTO scratch.counters VALUES (1, 1)"))

    async with database.session(TENANT) as session:
        await add(session, 1)
        with pytest.raises(IntegrityError):
            await fail(session)

    assert counters.values() == {1: 1, 2: 0}


async def test_a_session_without_statements_needs_no_connection(database: Database) -> None:
    async with database.session(TENANT):
        assert database.pool_in_use == 0


@pytest.mark.usefixtures("counters")
async def test_tells_after_the_commit_when_the_connection_is_free_again(
    open_database: OpenDatabase,
) -> None:
    database: Database = await open_database(pool_max=1)
    seen: list[int] = []

    async def look(_session: AsyncSession) -> None:
        database.after_commit = None
        async with database.session(TENANT) as session:
            seen.append(await backend(session))

    database.after_commit = look
    async with database.session(TENANT) as session:
        await add(session, 1)

    assert len(seen) == 1


@pytest.mark.parametrize("arrived", [False, True])
async def test_a_commit_that_was_cut_off_is_unknown_and_not_repeated(
    open_database: OpenDatabase, proxy: Proxy, postgres: Postgres, counters: Counters, arrived: bool
) -> None:
    database: Database = await open_database(url=proxy.url(postgres.app_url), pool_min=1)
    proxy.reset_at(b"COMMIT", after_answer=arrived)
    runs = 0

    async def unit() -> None:
        nonlocal runs
        runs += 1
        async with database.session(TENANT) as session:
            await add(session, 1)

    with pytest.raises(CommitUnknownError) as failure:
        await retry_transient(unit)

    assert (failure.value.status, failure.value.code) == (503, "outcome_unknown")
    assert runs == 1
    await eventually(lambda: counters.values()[1] == int(arrived))


async def test_a_connection_cut_before_the_commit_runs_the_unit_again(
    open_database: OpenDatabase, proxy: Proxy, postgres: Postgres, counters: Counters
) -> None:
    database: Database = await open_database(
        url=proxy.url(postgres.app_url), pool_min=1, pool_max=1
    )
    runs = 0

    async def unit() -> None:
        nonlocal runs
        runs += 1
        async with database.session(TENANT) as session:
            await add(session, 1)
            session.add(Counter(id=10, value=runs))
            if runs == 1:
                proxy.reset()  # seen by the flush before the COMMIT

    await retry_transient(unit)

    assert runs == 2
    assert counters.values() == {1: 1, 2: 0, 10: 2}


async def test_a_killed_backend_runs_the_unit_again(
    database: Database, postgres: Postgres, counters: Counters
) -> None:
    pids: list[int] = []

    async def unit() -> None:
        async with database.session(TENANT) as session:
            await add(session, 1)
            pids.append(await backend(session))
            if len(pids) == 1:
                terminate(postgres, pids[0])
            await add(session, 2)

    await retry_transient(unit)

    assert len(set(pids)) == 2
    assert counters.values() == {1: 1, 2: 1}


async def test_a_deadlock_runs_its_victim_again(database: Database, counters: Counters) -> None:
    both_hold_one = asyncio.Barrier(2)
    runs: list[int] = []

    async def unit(first: int, second: int) -> None:
        async with database.session(TENANT) as session:
            await add(session, first)
            runs.append(first)
            if runs.count(first) == 1:
                await both_hold_one.wait()
            await add(session, second)

    await asyncio.gather(retry_transient(lambda: unit(1, 2)), retry_transient(lambda: unit(2, 1)))

    assert len(runs) == 3
    assert counters.values() == {1: 2, 2: 2}


async def test_a_serialization_failure_runs_the_unit_again(
    open_database: OpenDatabase, postgres: Postgres, counters: Counters
) -> None:
    serializable = "?options=-c%20default_transaction_isolation%3Dserializable"
    database: Database = await open_database(url=postgres.app_url + serializable)
    both_have_read = asyncio.Barrier(2)
    runs: list[int] = []

    async def unit(row: int) -> None:
        """Writes what it may only write while the sum is 0: one of two at once must lose, at its COMMIT."""
        async with database.session(TENANT) as session:
            total = await session.scalar(text("SELECT sum(value) FROM scratch.counters"))
            runs.append(row)
            if runs.count(row) == 1:
                await both_have_read.wait()
            if total == 0:
                await add(session, row)

    await asyncio.gather(retry_transient(lambda: unit(1)), retry_transient(lambda: unit(2)))

    assert len(runs) == 3
    assert sum(counters.values().values()) == 1


async def test_gives_up_after_three_runs_with_503(database: Database, counters: Counters) -> None:
    runs = 0

    async def unit() -> None:
        nonlocal runs
        runs += 1
        async with database.session(TENANT) as session:
            await add(session, 1)
            await session.execute(
                text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$")
            )

    with pytest.raises(InterruptedWorkError) as failure:
        await retry_transient(unit)

    assert failure.value.status == 503
    assert "Retry-After" in failure.value.headers
    assert runs == 3
    assert counters.values()[1] == 0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.DeadlockDetected(), True),
        (errors.SerializationFailure(), True),
        (errors.ReadOnlySqlTransaction(), True),
        (errors.AdminShutdown(), True),
        (errors.IdleInTransactionSessionTimeout(), True),
        (errors.ConnectionFailure(), True),
        (psycopg.OperationalError("the connection is lost"), True),
        (DBAPIError("", None, psycopg.OperationalError()), True),
        (DBAPIError("", None, errors.UniqueViolation(), connection_invalidated=True), False),
        (DBAPIError("", None, psycopg.InterfaceError(), connection_invalidated=True), True),
        (InterruptedWorkError(""), True),
        (CommitUnknownError(""), False),
        (UnavailableError(""), False),
        (errors.UniqueViolation(), False),
        (errors.QueryCanceled(), False),
        (psycopg.ProgrammingError(), False),
        (ValueError(), False),
    ],
)
def test_knows_what_may_run_again(error: Exception, expected: bool) -> None:
    assert is_transient(error) is expected


async def test_a_statement_that_takes_too_long_is_503(
    open_database: OpenDatabase, counters: Counters
) -> None:
    database: Database = await open_database(pool_max=1, statement_timeout_seconds=0.1)
    with pytest.raises(UnavailableError, match="too long"):
        await session_asleep(database)

    async with database.session(TENANT) as session:
        await add(session, 2)
    assert counters.values() == {1: 0, 2: 1}


async def test_a_process_that_went_silent_loses_its_locks(database: Database) -> None:
    async with database.session(TENANT) as session:
        limit = await session.scalar(text("SHOW idle_in_transaction_session_timeout"))
    assert limit == "2min"


async def session_asleep(database: Database) -> None:
    async with database.session(TENANT) as session:
        await add(session, 1)
        await session.execute(text("SELECT pg_sleep(30)"))


async def reader_asleep(database: Database) -> None:
    await database.fetch_json(TENANT, "SELECT pg_sleep(30)::text", {})


@pytest.mark.parametrize("work", [session_asleep, reader_asleep])
async def test_a_cancelled_task_leaves_its_connection_clean(
    open_database: OpenDatabase,
    postgres: Postgres,
    counters: Counters,
    work: Callable[[Database], Awaitable[None]],
) -> None:
    database: Database = await open_database(pool_min=1, pool_max=1)
    task = asyncio.ensure_future(work(database))

    async with asyncio.timeout(10):
        await eventually(lambda: _is_asleep(postgres))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.session(TENANT) as session:
            await add(session, 2)

    assert counters.values() == {1: 0, 2: 1}
    assert database.pool_in_use == 0


def _is_asleep(postgres: Postgres) -> bool:
    with psycopg.connect(postgres.superuser_url()) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        ).fetchone()
    return row is not None and row[0] > 0


async def test_fetches_json_as_postgresql_wrote_it(database: Database) -> None:
    query = "SELECT json_build_object('who', %(who)s::text, 'share', '100%%')::text"
    body = await database.fetch_json(TENANT, query, {"who": "Zoë"})
    assert body == '{"who" : "Zoë", "share" : "100%"}'.encode()


@pytest.mark.parametrize("kind", ["json", "jsonb", "text"])
async def test_fetches_json_of_any_type(database: Database, kind: str) -> None:
    assert await database.fetch_json(TENANT, f"SELECT '[1]'::{kind}", {}) == b"[1]"


async def test_fetches_none_for_null_and_for_no_row(database: Database) -> None:
    assert await database.fetch_json(TENANT, "SELECT NULL::text", {}) is None
    assert await database.fetch_json(TENANT, "SELECT 'x' WHERE false", {}) is None


async def test_fetching_stays_within_the_tenant(
    database: Database, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    query = "SELECT json_agg(id)::text FROM tenants"
    assert await database.fetch_json(tenant_id, query, {}) == f'["{tenant_id}"]'.encode()
    assert await database.fetch_json(other_tenant_id, query, {}) != f'["{tenant_id}"]'.encode()
    assert await database.fetch_json(uuid4(), query, {}) is None


async def test_fetching_cannot_write(database: Database, counters: Counters) -> None:
    with pytest.raises(InterruptedWorkError) as failure:
        await database.fetch_json(TENANT, "UPDATE scratch.counters SET value = 9 RETURNING '1'", {})
    assert isinstance(failure.value.__cause__, errors.ReadOnlySqlTransaction)
    assert counters.values()[1] == 0


@pytest.mark.parametrize("query", ["SELECT absent", "SELECT 1/0::text", "not SQL"])
async def test_a_failed_fetch_leaves_its_connection_clean(
    open_database: OpenDatabase, counters: Counters, query: str
) -> None:
    database: Database = await open_database(pool_max=1)
    with pytest.raises(psycopg.Error):
        await database.fetch_json(TENANT, query, {})

    async with database.session(TENANT) as session:
        await add(session, 1)
    assert await database.fetch_json(TENANT, "SELECT '1'", {}) == b"1"
    assert counters.values()[1] == 1


async def test_a_fetch_on_a_lost_connection_may_run_again(
    open_database: OpenDatabase, proxy: Proxy, postgres: Postgres
) -> None:
    database: Database = await open_database(url=proxy.url(postgres.app_url), pool_max=1)
    proxy.reset_at(b"json_build_object", after_answer=False)

    body = await retry_transient(
        lambda: database.fetch_json(TENANT, "SELECT json_build_object()::text", {})
    )

    assert body == b"{}"
