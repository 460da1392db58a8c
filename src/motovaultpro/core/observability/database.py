"""Metrics and trace spans of SQL statements."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import Counter, Histogram
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

from motovaultpro.core.observability import tracing
from motovaultpro.core.observability.metrics import (
    DATABASE_OPERATION_DURATION,
    DATABASE_OPERATIONS,
)

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_RUNNING = "motovault_running_statement"
_OPERATIONS = frozenset(
    {"select", "insert", "update", "delete", "merge", "begin", "copy", "listen", "notify"}
)
_FIRST_WORD = re.compile(r"[\s(]*([A-Za-z]+)")
_WRITE_IN_CTE = re.compile(
    r"\b(insert|update|delete|merge)\s+(?:into|from|only|\w+\s+set)\b", re.IGNORECASE
)
# FROM is also a word inside some functions and of IS DISTINCT FROM: those are passed over first.
_TABLE = re.compile(
    r"""\b(?:(?:extract|substring|trim|overlay)\s*\([^()]*?\bfrom|distinct\s+from)\b
    | \b(?:from|into|update|join)\s+(?:only\s+)?"?([a-z_][a-z0-9_]*)"?(?:\."?([a-z_][a-z0-9_]*)"?)?(?![\w(])""",
    re.IGNORECASE | re.VERBOSE,
)


class _Statement(NamedTuple):
    operation: str
    table: str
    succeeded: Counter
    failed: Counter
    duration: Histogram


class _Running(NamedTuple):
    statement: _Statement
    span: "Span | None"
    started: float


def instrument_engine(engine: Engine) -> None:
    """Count, time and (when tracing is on) trace each statement. Of an async engine, give its `sync_engine`."""
    event.listen(engine, "before_cursor_execute", _before)
    event.listen(engine, "after_cursor_execute", _after)
    event.listen(engine, "handle_error", _failed)


@contextmanager
def observed_statement(text: str) -> Iterator[None]:
    """The same for a statement that bypasses the engine."""
    running = _start(text)
    try:
        yield
    except BaseException as error:
        _finish(running, error)
        raise
    _finish(running, None)


# The listeners' shapes are SQLAlchemy's; Any: cursor and parameters are the driver's.
def _before(
    connection: Connection, _cursor: Any, text: str, _parameters: Any, _context: Any, _many: bool
) -> None:
    connection.info[_RUNNING] = _start(text)


def _after(
    connection: Connection, _cursor: Any, _text: str, _parameters: Any, _context: Any, _many: bool
) -> None:
    _finish(connection.info.pop(_RUNNING), None)


def _failed(failure: ExceptionContext) -> None:
    # No connection: the error came from connecting; no entry: from something else than a statement.
    if failure.connection is not None and not failure.connection.invalidated:
        running = failure.connection.info.pop(_RUNNING, None)
        if running is not None:
            _finish(running, failure.original_exception)


def _start(text: str) -> _Running:
    statement = _parse(text)
    active = tracing.active()
    span = (
        None
        if active is None
        else active.start_statement(statement.operation, statement.table, text)
    )
    return _Running(statement, span, perf_counter())


def _finish(running: _Running, error: BaseException | None) -> None:
    statement, span, started = running
    statement.duration.observe(perf_counter() - started)
    (statement.succeeded if error is None else statement.failed).inc()
    active = tracing.active()
    if span is not None and active is not None:
        active.end_span(span, error)


@lru_cache(maxsize=2048)
def _parse(text: str) -> _Statement:
    """Name a statement for its metrics: a cheap look, kept per text, with a bounded set of answers."""
    operation, table = _operation(text), _table(text)
    return _Statement(
        operation,
        table,
        DATABASE_OPERATIONS.labels(operation, table, "ok"),
        DATABASE_OPERATIONS.labels(operation, table, "error"),
        DATABASE_OPERATION_DURATION.labels(operation, table),
    )


def _operation(text: str) -> str:
    first = _FIRST_WORD.match(text)
    word = first[1].lower() if first else ""
    if word == "with":
        write = _WRITE_IN_CTE.search(text)
        return write[1].lower() if write else "select"
    return word if word in _OPERATIONS else "other"


def _table(text: str) -> str:
    for match in _TABLE.finditer(text):
        if match[1]:
            return (match[2] or match[1]).lower()
    return "none"
