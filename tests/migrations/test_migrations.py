import importlib
import pkgutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

import motovaultpro.features
from motovaultpro.core.database import Base
from motovaultpro.migrations.runner import ONE_AT_A_TIME, downgrade, head, migrate
from motovaultpro.standalone.components.postgres import APP_ROLE, OWNER_ROLE, Postgres

_numbers = count(1)

# Everything a migration makes, in words that can be compared.
SHAPE = """
    SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, coalesce(column_default, ''))
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT format('%s %s %s', tablename, policyname, qual) FROM pg_policies
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT format('%s %s', typname, typtype) FROM pg_type WHERE typnamespace = 'public'::regnamespace
    UNION ALL SELECT format('%s %s', relname, relacl) FROM pg_class WHERE relnamespace = 'public'::regnamespace
"""


@contextmanager
def empty_database(server: Postgres) -> Iterator[str]:
    """Address of a database of its own, for the owning role."""
    name = f"migrated_{next(_numbers)}"
    server.create_database(name)
    try:
        yield server.url(OWNER_ROLE, name)
    finally:
        server.drop_database(name)


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with empty_database(postgres) as address:
        yield address


def rows(url: str, query: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return sorted(str(row[0]) for row in connection.execute(query.encode()))


def revision(url: str) -> list[str]:
    return rows(url, "SELECT version_num FROM alembic_version")


def test_goes_up_from_nothing_down_to_the_first_and_up_again(url: str) -> None:
    migrate(url, app_role=APP_ROLE, revision="0001")
    first = rows(url, SHAPE)
    assert revision(url) == ["0001"]

    migrate(url, app_role=APP_ROLE)
    newest = rows(url, SHAPE)
    assert revision(url) == [head()]
    assert set(newest) > set(first)

    downgrade(url, app_role=APP_ROLE, revision="0001")
    assert rows(url, SHAPE) == first

    migrate(url, app_role=APP_ROLE)
    assert rows(url, SHAPE) == newest


def test_a_second_run_changes_nothing(url: str) -> None:
    migrate(url, app_role=APP_ROLE)
    before = rows(url, SHAPE)
    migrate(url, app_role=APP_ROLE)
    assert rows(url, SHAPE) == before


def test_the_first_migration_refuses_to_go_down(url: str) -> None:
    migrate(url, app_role=APP_ROLE, revision="0001")
    with pytest.raises(RuntimeError, match="drop the database"):
        downgrade(url, app_role=APP_ROLE, revision="base")


def test_replicas_that_start_together_migrate_once(url: str) -> None:
    program = "import sys; from motovaultpro.migrations.runner import migrate; migrate(sys.argv[1], app_role=sys.argv[2])"
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with psycopg.connect(url) as first:
        first.execute(f"SELECT pg_advisory_lock({ONE_AT_A_TIME})".encode())
        runs = [subprocess.Popen([sys.executable, "-c", program, url, APP_ROLE]) for _ in range(2)]
        deadline = time.monotonic() + 30
        while rows(url, waiting) != ["2"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    assert [run.wait(30) for run in runs] == [0, 0]
    assert revision(url) == [head()]


def test_gives_up_on_a_lock_instead_of_holding_everybody_up(url: str) -> None:
    migrate(url, app_role=APP_ROLE, revision="0001")
    with psycopg.connect(url) as writer:
        writer.execute("LOCK TABLE tenants IN ROW EXCLUSIVE MODE")
        started = time.monotonic()
        with pytest.raises(OperationalError, match="lock timeout"):
            migrate(url, app_role=APP_ROLE)
        assert time.monotonic() - started < 6
    assert revision(url) == ["0001"]

    migrate(url, app_role=APP_ROLE)
    assert revision(url) == [head()]


def test_models_have_the_columns_of_their_tables(postgres: Postgres) -> None:
    for module in pkgutil.walk_packages(
        motovaultpro.features.__path__, f"{motovaultpro.features.__name__}."
    ):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)
    tables = [
        table
        for mapper in Base.registry.mappers
        if mapper.class_.__module__.startswith("motovaultpro.")
        for table in mapper.tables
    ]
    assert tables
    columns = (
        "SELECT format('%s.%s %s', table_name, column_name, is_nullable = 'YES')"
        " FROM information_schema.columns WHERE table_schema = 'public'"
    )
    existing = set(rows(postgres.owner_url, columns))
    modelled = {
        f"{table.fullname}.{column.name} {'t' if column.nullable else 'f'}"
        for table in tables
        for column in table.columns
    }
    assert modelled - existing == set()


TENANT_TABLES = """
    SELECT relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
"""


def test_every_tenant_table_is_indexed_by_tenant(postgres: Postgres) -> None:
    indexed = rows(
        postgres.owner_url,
        "SELECT DISTINCT t.relname FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid"
        " JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]"
        " WHERE a.attname = 'tenant_id' AND i.indpred IS NULL",
    )
    tables = rows(postgres.owner_url, TENANT_TABLES)
    assert len(tables) > 15
    assert set(tables) - set(indexed) == set()


def test_every_tenant_table_names_its_tenant_and_has_a_forced_wall(postgres: Postgres) -> None:
    tables = set(rows(postgres.owner_url, TENANT_TABLES))
    required = rows(postgres.owner_url, f"{TENANT_TABLES} AND a.attnotnull")
    forced = rows(
        postgres.owner_url, f"{TENANT_TABLES} AND c.relrowsecurity AND c.relforcerowsecurity"
    )
    walled = rows(
        postgres.owner_url,
        "SELECT tablename FROM pg_policies WHERE qual LIKE '%tenant_id = %app.tenant_id%' AND cmd = 'ALL'",
    )
    assert tables == set(required) == set(forced) == set(walled) & tables


def test_every_foreign_key_is_indexed(postgres: Postgres) -> None:
    """Else each row deleted from the other table reads the whole of this one."""
    unindexed = rows(
        postgres.owner_url,
        """
        SELECT format('%s.%s', conrelid::regclass, conname) FROM pg_constraint k
         WHERE contype = 'f' AND connamespace = 'public'::regnamespace
           AND conrelid::regclass::text NOT LIKE 'procrastinate%'
           AND NOT EXISTS (
               SELECT FROM pg_index i WHERE i.indrelid = k.conrelid
                  -- its first two columns will do
                  AND (i.indkey::int2[])[0:least(cardinality(k.conkey), 2) - 1] <@ k.conkey
                  AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) LIKE '%IS NOT NULL%'))
        """,
    )
    assert unindexed == []
