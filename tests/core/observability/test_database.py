from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine, StaticPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from motovaultpro.core.observability.database import (
    _parse,
    instrument_engine,
    observed_statement,
)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    instrument_engine(engine)
    yield engine
    engine.dispose()


def count(operation: str, table: str, status: str = "ok") -> float:
    labels = {"operation": operation, "table": table, "status": status}
    return REGISTRY.get_sample_value("motovault_database_operations_total", labels) or 0


def timed(operation: str, table: str) -> float:
    labels = {"operation": operation, "table": table}
    name = "motovault_database_operation_duration_seconds_count"
    return REGISTRY.get_sample_value(name, labels) or 0


def test_counts_and_times_statements_by_operation_and_table(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE gauges (id int)"))
        connection.execute(text("INSERT INTO gauges VALUES (:id)"), [{"id": 1}, {"id": 2}])
        for _ in range(3):
            connection.execute(text("SELECT id FROM gauges"))
    assert count("insert", "gauges") == 1
    assert count("select", "gauges") == timed("select", "gauges") == 3


def test_counts_a_failed_statement_as_an_error(engine: Engine) -> None:
    with pytest.raises(DBAPIError), engine.connect() as connection:
        connection.execute(text("SELECT x FROM absentees"))
    assert count("select", "absentees", "error") == timed("select", "absentees") == 1
    assert count("select", "absentees") == 0


def test_a_failure_to_connect_is_no_statement(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/absent/x.db")
    instrument_engine(engine)
    with pytest.raises(DBAPIError):
        engine.connect()


def test_observes_statements_that_bypass_the_engine() -> None:
    with observed_statement("SELECT 1 FROM bypasses"):
        pass
    with pytest.raises(ZeroDivisionError), observed_statement("SELECT 1 FROM bypasses"):
        raise ZeroDivisionError
    assert count("select", "bypasses") == count("select", "bypasses", "error") == 1


@pytest.mark.parametrize(
    ("statement", "operation", "table"),
    [
        ("SELECT a.id FROM vehicles AS a JOIN tags ON true", "select", "vehicles"),
        ('  (SELECT * FROM "Vehicles")', "select", "vehicles"),
        ("SELECT * FROM public.vehicles", "select", "vehicles"),
        ("insert into fuel_records (id) values (%s) RETURNING id", "insert", "fuel_records"),
        ("UPDATE ONLY vehicles SET a = 1", "update", "vehicles"),
        ("DELETE FROM vehicles", "delete", "vehicles"),
        ("SELECT extract(year FROM r.day) FROM records r", "select", "records"),
        ("SELECT 1 WHERE a IS DISTINCT FROM b", "select", "none"),
        ("SELECT * FROM unnest(%s)", "select", "none"),
        ("SELECT * FROM (SELECT id FROM inner_table) x", "select", "inner_table"),
        ("WITH x AS (SELECT 1 FROM a) SELECT * FROM x", "select", "a"),
        ("WITH x AS (DELETE FROM outbox RETURNING id) SELECT * FROM x", "delete", "outbox"),
        ("BEGIN; SELECT set_config('app.tenant_id', 'x', true)", "begin", "none"),
        ("EXPLAIN SELECT 1", "other", "none"),
        ("", "other", "none"),
    ],
)
def test_names_a_statement(statement: str, operation: str, table: str) -> None:
    named = _parse(statement)
    assert (named.operation, named.table) == (operation, table)
