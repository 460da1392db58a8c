"""Servers that tests may kill and freeze, ways to them that may be cut, and a table of our own."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psutil
import psycopg
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from motovaultpro.core.cache import Cache, stale_scopes
from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.settings import Settings
from motovaultpro.migrations.runner import migrate
from motovaultpro.standalone.components.postgres import APP_ROLE, OWNER_ROLE, Postgres
from motovaultpro.standalone.components.valkey import Valkey
from tests.core.small_app import small_app
from tests.factories.proxy import Proxy, proxy_to

OpenDatabase = Callable[..., Any]  # Any: an async context manager of a Database, by keyword

# At its commit, a change of a counter to 1000 or more fails once as a serialization failure does.
SCRATCH = f"""
DROP SCHEMA IF EXISTS scratch CASCADE;
CREATE SCHEMA scratch;
CREATE TABLE scratch.counters (
    id integer PRIMARY KEY,
    value integer NOT NULL,
    serial integer CONSTRAINT counters_serial_key UNIQUE DEFERRABLE INITIALLY DEFERRED
);
CREATE SEQUENCE scratch.commits;
CREATE FUNCTION scratch.fail_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('scratch.commits') = 1 THEN
        RAISE EXCEPTION 'lost' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER fail_first AFTER INSERT OR UPDATE ON scratch.counters
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.value >= 1000) EXECUTE FUNCTION scratch.fail_first();
GRANT USAGE ON SEQUENCE scratch.commits TO {APP_ROLE};
GRANT USAGE ON SCHEMA scratch TO {APP_ROLE};
GRANT ALL ON scratch.counters TO {APP_ROLE};
"""


@pytest.fixture(scope="session")
def mortal_postgres(server_directory: Path) -> Iterator[Postgres]:
    """One that tests may kill and freeze; each leaves it running."""
    with Postgres(server_directory / "mortal-postgres", durable=False) as server:
        migrate(server.owner_url, app_role=APP_ROLE)
        yield server


@pytest.fixture
def mortal_valkey(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path / "valkey") as server:
        yield server


@contextmanager
def frozen(pid: int | None) -> Iterator[None]:
    """Stop a server and its children, as a machine that hangs does; its kernel still acknowledges."""
    assert pid is not None
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGCONT)


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


@pytest.fixture
async def proxy(postgres: Postgres) -> AsyncIterator[Proxy]:
    async with proxy_to(postgres.port) as made:
        yield made


@pytest.fixture
async def open_database(settings: Settings) -> AsyncIterator[OpenDatabase]:
    """`await open_database(url=..., pool_max=...)`: a pool of one's own, with settings changed unchecked."""
    async with AsyncExitStack() as stack:

        async def make(url: str | None = None, **changes: Any) -> Database:  # Any: of any setting
            if url is not None:
                changes["url"] = SecretStr(url)
            database = Database(settings.database.model_copy(update=changes))
            stack.push_async_callback(database.close)
            await database.open()
            return database

        yield make


@pytest.fixture
async def tenant_id(database: Database) -> UUID:
    return await new_tenant(database)


@pytest.fixture
async def other_tenant_id(database: Database) -> UUID:
    return await new_tenant(database)


async def new_tenant(database: Database) -> UUID:
    async with database.system_session() as session:
        made: UUID = (
            await session.execute(text("INSERT INTO tenants (name) VALUES ('Test') RETURNING id"))
        ).scalar_one()
    return made


@pytest.fixture(scope="session")
def _scratch(postgres: Postgres) -> None:
    with psycopg.connect(postgres.owner_url) as connection:
        connection.execute(SCRATCH)


class Counters:
    """Rows of `scratch.counters`, seen and changed from outside the application."""

    def __init__(self, url: str) -> None:
        self.url = url

    def values(self) -> dict[int, int]:
        with psycopg.connect(self.url) as connection:
            rows = connection.execute("SELECT id, value FROM scratch.counters").fetchall()
        return {int(row[0]): int(row[1]) for row in rows}

    def set(self, **values: int) -> None:
        """`set(_1=10)`: row 1 holds 10."""
        with psycopg.connect(self.url) as connection:
            connection.execute("TRUNCATE scratch.counters")
            connection.execute("ALTER SEQUENCE scratch.commits RESTART")
            for name, value in values.items():
                connection.execute(
                    "INSERT INTO scratch.counters VALUES (%s, %s)", (int(name[1:]), value)
                )


@pytest.fixture
def counters(postgres: Postgres, _scratch: None) -> Counters:
    made = Counters(postgres.owner_url)
    made.set(_1=0, _2=0)
    return made


@pytest.fixture
async def small(
    open_database: OpenDatabase, settings: Settings, counters: Counters
) -> AsyncIterator[FastAPI]:
    """The small application, with a database and a cache of its own."""
    assert counters.values() == {1: 0, 2: 0}
    database: Database = await open_database(pool_min=1)
    cache = Cache(None, l1_entries=100, listen_url=settings.database.url.get_secret_value())
    await cache.open()
    await cache.wait_until_listening()

    async def forget(session: AsyncSession) -> None:
        await cache.forget(stale_scopes(session))

    database.after_commit = forget
    yield small_app(database, cache)
    await cache.close()


@pytest.fixture
def client_of(small: FastAPI) -> Callable[..., httpx.AsyncClient]:
    """`client_of(tenant_id, user=2)`: a client that the small application believes."""

    def make(tenant_id: UUID, *, user: int = 1, app: FastAPI = small) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://test",
            headers={"x-tenant": str(tenant_id), "x-user": str(user)},
        )

    return make


@pytest.fixture
async def client(
    client_of: Callable[..., httpx.AsyncClient], tenant_id: UUID
) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(tenant_id) as opened:
        yield opened


@pytest.fixture(scope="session")
def migrated_template(postgres: Postgres) -> str:
    """Name of a database to copy; nobody is connected to it."""
    name = "migrated_template"
    postgres.create_database(name)
    migrate(postgres.url(OWNER_ROLE, name), app_role=APP_ROLE)
    return name


@pytest.fixture
def own_settings(
    postgres: Postgres, settings: Settings, migrated_template: str
) -> Iterator[Settings]:
    """Settings with a database that holds no other test's events and jobs."""
    name = f"own_{uuid4().hex}"
    postgres.create_database(name, template=migrated_template)
    url = SecretStr(postgres.url(APP_ROLE, name))
    own = settings.database.model_copy(update={"url": url})
    yield settings.model_copy(update={"database": own})
    postgres.drop_database(name)


@pytest.fixture
async def own_database(own_settings: Settings) -> AsyncIterator[Database]:
    database = Database(own_settings.database)
    await database.open()
    yield database
    await database.close()
