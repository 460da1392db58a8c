"""Database access: one pool, one transaction per unit of work, the tenant set in it for row-level security.

Every transaction starts with BEGIN and `set_config('app.tenant_id', ..., is_local => true)` in one round trip, so nothing
outlives the transaction and a transaction pool (PgBouncer, CNPG Pooler) between us and PostgreSQL is safe.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import psycopg
import stamina
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolClosed, PoolTimeout
from sqlalchemy import BigInteger, Connection, NullPool, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session, SessionTransaction

from motovaultpro.core.connections import PatientConnection, connection_pool, connection_string
from motovaultpro.core.errors import UnavailableError
from motovaultpro.core.observability.database import observed_statement
from motovaultpro.core.settings import DatabaseSettings

__all__ = [
    "AsyncSession",
    "Base",
    "CommitUnknownError",
    "Database",
    "InterruptedWorkError",
    "connection_string",
    "is_transient",
    "retry_transient",
    "system_door",
]

T = TypeVar("T")

# 57P01-03: the server is stopping or starting; 25P03: it found us silent for too long. So are those of class 08.
_LOST_STATES = frozenset({"57P01", "57P02", "57P03", "25P03"})
# 25006: we reached a read-only node after a fail-over; 40001, 40P01: serialization failure and deadlock.
_UNDONE_STATES = frozenset({"25006", "40001", "40P01"})
_TOO_SLOW_STATE = "57014"
_ATTEMPTS = 3
_IDLE_IN_TRANSACTION = "120s"
"""A process that froze or was cut off must not hold its locks for longer."""

# Keys of a session's `info`.
_BEGIN = "begin"
_CONNECTION = "connection"


class Base(DeclarativeBase):
    """Parent of every model. Tables are made by migrations; models only mirror them."""

    # Why: an id is a bigint; sent as an integer, one beyond 2^31 is an error instead of "not found".
    type_annotation_map: ClassVar[dict[type, type]] = {int: BigInteger}


class CommitUnknownError(UnavailableError):
    """The connection broke during COMMIT: the change may or may not have been saved."""

    code = "outcome_unknown"


class InterruptedWorkError(UnavailableError):
    """The database was lost, or undid this unit of work in favour of another: nothing of it was saved."""


class Database:
    """The pool, and the sessions over it. Nothing connects before `open()`."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.pool_max = settings.pool_max
        self.after_commit: Callable[[AsyncSession], Awaitable[None]] | None = None
        """Awaited after every commit, before the caller goes on; the cache forgets here what the commit made stale."""
        self._statement_timeout = f"{int(settings.statement_timeout_seconds * 1000)}ms"
        self._pool = connection_pool(settings)
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+psycopg://",
            async_creator=self._pool.getconn,
            poolclass=NullPool,
            use_native_hstore=False,
            # Why: an error's text ends in logs, and parameters may be anything people type.
            hide_parameters=True,
        )

    async def open(self) -> None:
        """Start the pool in the background; a database that is away is seen by health, not here."""
        await self._pool.open()

    async def close(self) -> None:
        await self.engine.dispose()
        await self._pool.close()

    @property
    def pool_in_use(self) -> int:
        stats = self._pool.get_stats()
        return stats.get("pool_size", 0) - stats.get("pool_available", 0)

    @asynccontextmanager
    async def session(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        """One transaction that sees `tenant_id` only; commits at the end, rolls back on an exception."""
        async with self._transaction(_tenant_door(tenant_id)) as session:
            yield session

    @asynccontextmanager
    async def system_session(self) -> AsyncIterator[AsyncSession]:
        """One transaction that opens the tables needed before a tenant is known (sign-in) or across tenants (worker).

        Tables of the features stay shut to it: their policies know no such door.
        """
        async with self._transaction("set_config('app.system', 'on', true)") as session:
            yield session

    async def fetch_json(
        self, tenant_id: UUID, query: str, parameters: Mapping[str, Any]
    ) -> bytes | None:
        """Run one SELECT that builds JSON text itself and answer its bytes; None when there is no row, or NULL in it.

        The short way for hot reads: the same pool and tenant wall, without the ORM.
        """
        begin = f"BEGIN READ ONLY; SELECT {self._config(_tenant_door(tenant_id))}"
        with _outages():
            async with self._pool.connection() as connection:
                await connection.execute(begin.encode())
                with observed_statement(query):
                    cursor = await connection.execute(query.encode(), parameters)
                await connection.execute(b"COMMIT")
        # Why: the text as PostgreSQL sent it, neither decoded nor parsed.
        result = cursor.pgresult
        return result.get_value(0, 0) if result is not None and result.ntuples else None

    async def ping(self) -> None:
        """Raise unless the database answers."""
        with _outages():
            async with self._pool.connection() as connection:
                await connection.execute(b"SELECT 1")

    def _config(self, door: str) -> str:
        return (
            f"{door}, set_config('statement_timeout', '{self._statement_timeout}', true),"
            f" set_config('idle_in_transaction_session_timeout', '{_IDLE_IN_TRANSACTION}', true)"
        )

    @asynccontextmanager
    async def _transaction(self, door: str) -> AsyncIterator[AsyncSession]:
        session = AsyncSession(self.engine, expire_on_commit=False, autoflush=False)
        session.sync_session.info[_BEGIN] = f"BEGIN; SELECT {self._config(door)}"
        with _outages():
            async with session:
                yield session
                await _commit(session)
        if self.after_commit is not None:
            await self.after_commit(session)


@asynccontextmanager
async def system_door(session: AsyncSession) -> AsyncIterator[None]:
    """Opens inside a tenant's transaction what `Database.system_session` opens; harmless within one of those.

    For rows that no policy can place in the tenant: a user before the membership, one-time links, memberships elsewhere.
    An exception leaves it open, and must end the transaction.
    """
    opened = await session.execute(
        text("SELECT current_setting('app.system', true), set_config('app.system', 'on', true)")
    )
    before: str | None = opened.one()[0]
    yield
    await session.execute(
        text("SELECT set_config('app.system', :before, true)"), {"before": before or ""}
    )


@event.listens_for(Session, "after_begin")
def _begin(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    # Why: the DBAPI connection is in autocommit mode, so that BEGIN leaves with the tenant in one round trip.
    begin = session.info.get(_BEGIN)
    if begin is not None and not transaction.nested:
        connection.exec_driver_sql(begin)
        session.info[_CONNECTION] = connection.connection.driver_connection


async def _commit(session: AsyncSession) -> None:
    await session.flush()  # what fails here was certainly not committed
    connection: PatientConnection | None = session.sync_session.info.get(_CONNECTION)
    if connection and connection.pgconn.transaction_status == TransactionStatus.INERROR:
        # Why: to COMMIT, PostgreSQL would answer ROLLBACK, which no driver reports.
        raise RuntimeError("a failed statement was caught, but its transaction is lost")
    try:
        await session.commit()
    except DBAPIError as error:
        if _is_lost(error):
            raise CommitUnknownError(
                "The connection to the database broke while saving. Repeat with the same Idempotency-Key to be sure."
            ) from error
        raise


def _tenant_door(tenant_id: UUID) -> str:
    return f"set_config('app.tenant_id', '{UUID(str(tenant_id))}', true)"


@contextmanager
def _outages() -> Iterator[None]:
    """Make of what an absent, overloaded or interrupted database raises an error that answers 503."""
    try:
        yield
    except (DBAPIError, psycopg.Error) as error:
        if isinstance(_original(error), PoolTimeout | PoolClosed):
            raise UnavailableError(
                "No database connection is free. Try again in a moment.", retry_after=2
            ) from error
        if _state(error) == _TOO_SLOW_STATE:
            raise UnavailableError("The database took too long. Try again in a moment.") from error
        if is_transient(error):
            raise InterruptedWorkError(
                "The database was interrupted and saved nothing of this. Try again in a moment."
            ) from error
        raise


def _original(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _state(error: BaseException) -> str | None:
    return getattr(_original(error), "sqlstate", None)


def _is_lost(error: BaseException) -> bool:
    """Whether the connection broke."""
    state = _state(error)
    if state is not None:
        return state.startswith("08") or state in _LOST_STATES
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(_original(error), psycopg.OperationalError)


def is_transient(error: Exception) -> bool:
    """Whether running the whole unit of work again may succeed and cannot do it twice."""
    if isinstance(error, CommitUnknownError):
        return False
    return (
        isinstance(error, InterruptedWorkError)
        or _state(error) in _UNDONE_STATES
        or _is_lost(error)
    )


async def retry_transient(unit: Callable[[], Awaitable[T]]) -> T:
    """Run a unit of work, again from its start on a transient database error: at most three times, with jitter."""
    async for attempt in stamina.retry_context(
        on=is_transient,
        attempts=_ATTEMPTS,
        timeout=10,
        wait_initial=0.05,
        wait_max=1.0,
        wait_jitter=0.1,
    ):
        with attempt:
            return await unit()
    raise AssertionError  # unreachable: stamina raises the last error
