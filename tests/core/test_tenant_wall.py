"""The second wall: what SQL that forgets the tenant may see and do. Every table of the schema, also those to come, is tried."""

from collections.abc import Iterator
from typing import LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from motovaultpro.core.database import AsyncSession, Database, system_door
from motovaultpro.standalone.components.postgres import APP_ROLE, DATABASE, Postgres
from tests.core.conftest import OpenDatabase

OURS, THEIRS = uuid4(), uuid4()

# What must open before a tenant is known (sign-in) or across tenants (worker). A table of a feature does not belong here.
BEHIND_THE_SYSTEM_DOOR = {
    "api_keys",
    "event_receipts",
    "idempotency_keys",
    "memberships",
    "outbox",
    "sessions",
    "storage_spool",
}
# Rows of no tenant; without the system door, of nobody.
SYSTEM_ONLY = {"one_time_tokens", "signing_keys"}
WITHOUT_WALL = {
    "alembic_version",
    "procrastinate_events",
    "procrastinate_jobs",
    "procrastinate_periodic_defers",
    "procrastinate_workers",
}
SAMPLES: dict[str, object] = {
    "uuid": THEIRS,
    "bytea": b"x",
    "jsonb": "{}",
    "date": "2026-01-31",
    "timestamp with time zone": "2026-01-31T00:00:00Z",
    "boolean": True,
    "ARRAY": [],
    "text": "x",
    "character": "x",
}


@pytest.fixture
def superuser(postgres: Postgres) -> Iterator[psycopg.Connection]:
    """In a transaction that is rolled back."""
    with psycopg.connect(postgres.superuser_url(DATABASE)) as connection:
        yield connection
        connection.rollback()


def names(connection: psycopg.Connection, query: LiteralString) -> set[str]:
    return {str(row[0]) for row in connection.execute(query)}


def tenant_tables(connection: psycopg.Connection) -> list[str]:
    found = names(
        connection,
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attname = 'tenant_id'",
    )
    assert len(found) > 15
    return sorted(found)


def put_row_of_theirs(connection: psycopg.Connection, table: str) -> None:
    """A row of the other tenant, whatever the table's columns; what it refers to need not exist."""
    for (name,) in connection.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'",
        (table,),
    ).fetchall():
        connection.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
                sql.Identifier(table), sql.Identifier(name)
            )
        )
    columns = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = %s AND is_nullable = 'NO'"
        " AND column_default IS NULL AND is_identity = 'NO' AND is_generated = 'NEVER'",
        (table,),
    ).fetchall()
    connection.execute("SET LOCAL session_replication_role = replica")  # no keys, no triggers
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
            sql.SQL(", ").join(sql.Literal(SAMPLES.get(kind, 1)) for _, kind in columns),
        )
    )


def act_as(connection: psycopg.Connection, *, tenant: UUID | None, system: bool = False) -> None:
    """Go on as the application does in one of its transactions."""
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(APP_ROLE)))
    connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant or ""),))
    connection.execute("SELECT set_config('app.system', %s, true)", ("on" if system else "",))


def touched(connection: psycopg.Connection, table: str) -> tuple[int, int, int]:
    """Rows that statements without any condition see, change and delete."""
    name = sql.Identifier(table)
    seen = connection.execute(sql.SQL("SELECT * FROM {}").format(name)).rowcount
    changed = connection.execute(
        sql.SQL("UPDATE {} SET tenant_id = tenant_id").format(name)
    ).rowcount
    deleted = connection.execute(sql.SQL("DELETE FROM {}").format(name)).rowcount
    return seen, changed, deleted


def test_a_tenant_sees_changes_and_deletes_nothing_of_another(
    superuser: psycopg.Connection,
) -> None:
    for table in tenant_tables(superuser):
        put_row_of_theirs(superuser, table)
        superuser.execute("SAVEPOINT row")
        act_as(superuser, tenant=OURS)
        assert touched(superuser, table) == (0, 0, 0), table
        superuser.execute("ROLLBACK TO row")
        # The row was there: its own tenant reaches it.
        act_as(superuser, tenant=THEIRS)
        assert touched(superuser, table) == (1, 1, 1), table
        superuser.rollback()


def test_without_a_tenant_there_is_nothing(superuser: psycopg.Connection) -> None:
    for table in tenant_tables(superuser):
        put_row_of_theirs(superuser, table)
        act_as(superuser, tenant=None)
        assert touched(superuser, table) == (0, 0, 0), table
        superuser.rollback()


def test_a_row_for_another_tenant_is_refused(superuser: psycopg.Connection) -> None:
    for table in tenant_tables(superuser):
        insert = sql.SQL("INSERT INTO {} (tenant_id) VALUES (%s)").format(sql.Identifier(table))
        act_as(superuser, tenant=OURS)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            superuser.execute(insert, (THEIRS,))
        superuser.rollback()
        act_as(superuser, tenant=OURS)
        # Not the wall's no, but that of what the row lacks.
        with pytest.raises(psycopg.IntegrityError):
            superuser.execute(insert, (OURS,))
        superuser.rollback()


def test_a_row_cannot_be_given_to_another_tenant(superuser: psycopg.Connection) -> None:
    for table in tenant_tables(superuser):
        put_row_of_theirs(superuser, table)
        act_as(superuser, tenant=THEIRS)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            superuser.execute(
                sql.SQL("UPDATE {} SET tenant_id = %s").format(sql.Identifier(table)), (OURS,)
            )
        superuser.rollback()


def test_the_system_door_opens_what_it_must_and_nothing_else(
    superuser: psycopg.Connection,
) -> None:
    opened = set()
    for table in tenant_tables(superuser):
        put_row_of_theirs(superuser, table)
        act_as(superuser, tenant=None, system=True)
        if superuser.execute(sql.SQL("SELECT FROM {}").format(sql.Identifier(table))).rowcount:
            opened.add(table)
        superuser.rollback()
    assert opened == BEHIND_THE_SYSTEM_DOOR


def test_every_table_has_a_forced_wall_or_is_known_to_need_none(
    superuser: psycopg.Connection,
) -> None:
    open_tables = names(
        superuser,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p', 'v', 'm') AND NOT (relrowsecurity AND relforcerowsecurity)",
    )
    assert open_tables == WITHOUT_WALL
    assert names(
        superuser, "SELECT tablename FROM pg_policies WHERE policyname = 'tenant_wall'"
    ) == {*tenant_tables(superuser), *SYSTEM_ONLY, "tenants", "users"}
    assert not names(
        superuser, "SELECT policyname FROM pg_policies WHERE permissive <> 'PERMISSIVE'"
    )


def test_tables_of_the_system_are_shut_to_tenants(superuser: psycopg.Connection) -> None:
    for table in SYSTEM_ONLY:
        select = sql.SQL("SELECT FROM {}").format(sql.Identifier(table))
        put_row_of_theirs(superuser, table)
        superuser.execute("SAVEPOINT row")
        act_as(superuser, tenant=THEIRS)
        assert superuser.execute(select).rowcount == 0
        superuser.execute("ROLLBACK TO row")
        act_as(superuser, tenant=None, system=True)
        assert superuser.execute(select).rowcount >= 1
        superuser.rollback()


def test_a_tenant_sees_itself_and_its_members_only(superuser: psycopg.Connection) -> None:
    superuser.execute("INSERT INTO tenants (id, name) VALUES (%s, 'a'), (%s, 'b')", (OURS, THEIRS))
    superuser.execute(
        "INSERT INTO users (name) VALUES ('wall ours'), ('wall theirs'), ('wall nobody')"
    )
    superuser.execute(
        "INSERT INTO memberships (tenant_id, user_id, role) SELECT CASE name WHEN 'wall ours' THEN %s ELSE %s END, id, 'owner'"
        " FROM users WHERE name IN ('wall ours', 'wall theirs')",
        (OURS, THEIRS),
    )
    act_as(superuser, tenant=OURS)
    assert names(superuser, "SELECT id FROM tenants") == {str(OURS)}
    assert names(superuser, "SELECT name FROM users") == {"wall ours"}
    assert superuser.execute("UPDATE users SET name = 'wall new'").rowcount == 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        superuser.execute("INSERT INTO users (name) VALUES ('new')")


def test_the_application_owns_nothing_and_has_no_way_around(superuser: psycopg.Connection) -> None:
    role = superuser.execute(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, oid FROM pg_roles WHERE rolname = %s",
        (APP_ROLE,),
    ).fetchone()
    assert role is not None
    assert role[:4] == (False, False, False, False)
    owned = superuser.execute(
        "SELECT count(*) FROM pg_shdepend WHERE refobjid = %s AND deptype = 'o'", (role[4],)
    ).fetchone()
    assert owned == (0,)
    memberships = superuser.execute(
        "SELECT count(*) FROM pg_auth_members WHERE member = %s", (role[4],)
    ).fetchone()
    assert memberships == (0,)
    assert not names(
        superuser,
        "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace",
    )


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE vehicles DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE vehicles NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant_wall ON vehicles",
        "CREATE POLICY mine ON vehicles USING (true)",
        "TRUNCATE vehicles",
        "CREATE TABLE mine (id integer)",
        "SET ROLE motovault_owner",
        "SET SESSION AUTHORIZATION motovault_owner",
        "SET session_replication_role = replica",
        "SELECT pg_read_file('/etc/passwd')",
        "SET row_security = off; SELECT * FROM vehicles",
    ],
)
def test_the_application_cannot_take_the_wall_down(
    postgres: Postgres, statement: LiteralString
) -> None:
    with psycopg.connect(postgres.app_url) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)
        connection.rollback()


@pytest.mark.parametrize("hostile", ["", "x'; --", "' OR true"])
async def test_a_tenant_id_must_be_one(database: Database, hostile: str) -> None:
    async def unit() -> None:
        async with database.session(hostile):  # type: ignore[arg-type]  # what a bug might pass
            pass

    with pytest.raises(ValueError, match="badly formed"):
        await unit()


async def seen_tenants(session: AsyncSession) -> set[UUID]:
    return set(await session.scalars(text("SELECT id FROM tenants")))


async def test_nothing_leaks_through_the_pool(
    open_database: OpenDatabase, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    database: Database = await open_database(pool_min=1, pool_max=1)
    async with database.session(tenant_id) as session:
        assert await seen_tenants(session) == {tenant_id}
    async with database.system_session() as session:
        assert await seen_tenants(session) >= {tenant_id, other_tenant_id}
    assert await _bare(database) == (0, "", "")

    async with database.session(other_tenant_id) as session:
        assert await seen_tenants(session) == {other_tenant_id}
    await database.fetch_json(tenant_id, "SELECT '1'", {})
    assert await _bare(database) == (0, "", "")


async def test_a_failed_transaction_leaks_nothing_either(
    open_database: OpenDatabase, tenant_id: UUID
) -> None:
    database: Database = await open_database(pool_min=1, pool_max=1)

    async def unit() -> None:
        async with database.session(tenant_id) as session:
            await session.execute(text("SELECT absent"))

    with pytest.raises(DBAPIError):
        await unit()
    assert await _bare(database) == (0, "", "")


async def _bare(database: Database) -> tuple[int, str, str]:
    """What a transaction sees that forgets to say who it is for, on the pool's only connection."""
    async with database._pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT count(*), coalesce(current_setting('app.tenant_id', true), ''),"
            " coalesce(current_setting('app.system', true), '') FROM tenants"
        )
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0]), str(row[1]), str(row[2])


async def test_the_system_door_closes_behind_itself(
    database: Database, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    async with database.session(tenant_id) as session:
        async with system_door(session):
            async with system_door(session):
                assert other_tenant_id in await seen_tenants(session)
            assert other_tenant_id in await seen_tenants(session)
        assert await seen_tenants(session) == {tenant_id}


async def test_the_system_door_leaves_a_system_session_open(
    database: Database, other_tenant_id: UUID
) -> None:
    async with database.system_session() as session:
        async with system_door(session):
            pass
        assert other_tenant_id in await seen_tenants(session)
