"""Connections to PostgreSQL: addresses with timeouts, a connection that does not wait for ever, and the pool."""

import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import ConnStatus, TransactionStatus
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool
from typing_extensions import override

from motovaultpro.core.settings import DatabaseSettings

T = TypeVar("T")

_UNCHECKED_IDLE_SECONDS = 1.0
_CHECK_SECONDS = 2.0
_SILENCE_SECONDS = 2.0
"""How much longer than the server's own statement timeout we wait for an answer."""
_RECONNECT_SECONDS = 5.0
"""Then the pool gives an attempt up; the next request makes a fresh one, without the waits that grew in an outage."""

# libpq's own timeouts, so that a host that is gone costs seconds and not the kernel's quarter of an hour.
_CONNECTION_DEFAULTS = {
    "connect_timeout": 3,
    "tcp_user_timeout": 5000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "application_name": "motovault",
}


def connection_string(
    url: str, **overrides: Any
) -> str:  # Any: libpq values are strings or numbers
    """The libpq connection string of a postgresql:// address, with our timeouts where it names none."""
    given = conninfo_to_dict(url.replace("postgresql+psycopg://", "postgresql://", 1))
    return make_conninfo(**{**_CONNECTION_DEFAULTS, **given, **overrides})


class PatientConnection(psycopg.AsyncConnection[TupleRow]):
    """Waits `patience` seconds for each answer, then closes itself.

    libpq's timeouts do not see a server that is frozen, or a proxy that lost it: the kernel there still acknowledges.
    """

    patience = 30.0
    made_at = 0.0
    used_at = 0.0

    @override
    async def wait(
        self,
        gen: PQGen[T],
        interval: float = 0.1,
        timeout: float | None = None,
    ) -> T:
        try:
            return await super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError:
            if timeout is None and self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise
        finally:
            self.used_at = time.monotonic()
            pool = getattr(self, "_pool", None)
            if self.pgconn.status == ConnStatus.BAD and isinstance(pool, ConnectionPool):
                await pool.distrust(self)

    @override
    async def close(self) -> None:
        # Why: psycopg's `close_returns` passes over a connection that broke, and its place in the pool stays empty for ever.
        pool = getattr(self, "_pool", None)
        if self.closed and isinstance(pool, ConnectionPool):
            await pool.putconn(self)
            self._pool = None
        else:
            await super().close()


class ConnectionPool(AsyncConnectionPool[PatientConnection]):
    """Where one connection broke, the others of its age are as good as broken: they are replaced together."""

    _distrusted_at = 0.0

    async def distrust(self, broken: PatientConnection) -> None:
        if broken.made_at > self._distrusted_at:
            self._distrusted_at = time.monotonic()
            await self.drain()


def connection_pool(settings: DatabaseSettings) -> ConnectionPool:
    """A closed pool of connections in autocommit mode, so that BEGIN can leave together with what follows."""

    async def configure(connection: PatientConnection) -> None:
        connection.patience = settings.statement_timeout_seconds + _SILENCE_SECONDS
        connection.made_at = connection.used_at = time.monotonic()

    return ConnectionPool(
        connection_string(settings.url.get_secret_value()),
        connection_class=PatientConnection,
        kwargs={"autocommit": True},
        min_size=settings.pool_min,
        max_size=settings.pool_max,
        max_lifetime=settings.pool_lifetime_seconds,
        timeout=settings.pool_wait_seconds,
        reconnect_timeout=_RECONNECT_SECONDS,
        configure=configure,
        check=_check_idle,
        # Why: SQLAlchemy closes what it took from `async_creator`; closing must hand the connection back.
        close_returns=True,
        open=False,
    )


async def _check_idle(connection: PatientConnection) -> None:
    """Ping a connection that has rested; one used a moment ago is taken as it is (a failure is retried anyway)."""
    if time.monotonic() - connection.used_at <= _UNCHECKED_IDLE_SECONDS:
        return
    patience, connection.patience = connection.patience, _CHECK_SECONDS
    try:
        await AsyncConnectionPool.check_connection(connection)
    finally:
        connection.patience = patience
