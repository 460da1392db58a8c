import io
import json
import logging
import warnings
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import structlog
from typing_extensions import override

from motovaultpro.core.observability.context import identify, request_context
from motovaultpro.core.observability.logging import configure_logging, redact_text
from motovaultpro.core.settings import ObservabilitySettings

log = structlog.get_logger()


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def output() -> io.StringIO:
    stream = io.StringIO()
    configure_logging(ObservabilitySettings(), stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_writes_one_json_object_per_line_with_a_utc_timestamp(output: io.StringIO) -> None:
    log.info("fuel_logged", vehicle_id=3, volume=Decimal("41.20"), note="two\nlines")
    (line,) = lines(output)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "event": "fuel_logged",
        "vehicle_id": 3,
        "volume": "41.20",
        "note": "two\nlines",
    }


def test_the_standard_library_writes_the_same_shape(output: io.StringIO) -> None:
    logging.getLogger("some.library").warning("pool %s is full", "a", extra={"size": 3})
    (line,) = lines(output)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"level": "warning", "event": "pool a is full", "logger": "some.library"}


def test_warnings_are_log_lines(output: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old call", DeprecationWarning, stacklevel=1)
    (line,) = lines(output)
    assert "old call" in line["event"]


def test_lines_name_the_request_the_trace_and_the_actor(output: io.StringIO) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with request_context("abc", traceparent):
        identify(user=7, tenant="t-1")
        log.info("one")
        logging.getLogger("x").info("two")
    for line in lines(output):
        assert line["correlation_id"] == "abc"
        assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
        assert line["user"] == "7"
        assert line["tenant"] == "t-1"


def test_writes_nothing_below_its_level() -> None:
    stream = io.StringIO()
    configure_logging(ObservabilitySettings(log_level="warning"), stream)
    log.info("quiet")
    logging.getLogger("x").info("quiet")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    "key",
    ["password", "new_password", "apiKey", "x-api-key", "Authorization", "refresh_token",
     "client_secret", "Cookie", "private_key"],
)  # fmt: skip
def test_never_writes_the_value_of_a_secret_key(output: io.StringIO, key: str) -> None:
    log.info("event", **{key: "hunter2"}, nested={key: "hunter2", "list": [{key: b"hunter2"}]})
    assert "hunter2" not in output.getvalue()
    assert lines(output)[0][key] == "[redacted]"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("GET /api/vehicles?apiKey=hunter2&id=3", "GET /api/vehicles?apiKey=[redacted]&id=3"),
        ("/x?APIKEY=hunter2", "/x?APIKEY=[redacted]"),
        ("host=db password=hunter2 user=mv", "host=db password=[redacted] user=mv"),
        ('{"password": "hunter2", "n": 1}', '{"password": "[redacted]", "n": 1}'),
        ("postgresql://mv:hunter2@db:5432/x", "postgresql://mv:[redacted]@db:5432/x"),
        ("Authorization: Bearer hunter2", "Authorization: Bearer [redacted]"),
        ("jwt eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2ln!", "jwt [redacted]!"),
        ("nothing: to = see", "nothing: to = see"),
    ],
)
def test_blanks_secrets_inside_texts(text: str, left: str) -> None:
    assert redact_text(text) == left


def test_redacts_long_texts_in_linear_time() -> None:
    assert redact_text("=" + "a.b-" * 250_000).startswith("=a.b-")


def connect() -> None:
    raise ValueError("cannot connect to postgresql://mv:hunter2@db/x")


def test_tracebacks_are_written_without_the_secrets_in_them(output: io.StringIO) -> None:
    try:
        connect()
    except ValueError:
        log.exception("failed")
        logging.getLogger("x").exception("failed too")
    for line in lines(output):
        assert "ValueError: cannot connect" in line["exception"]
        assert line["level"] == "error"
    assert "hunter2" not in output.getvalue()


def test_redacts_objects_by_their_text(output: io.StringIO) -> None:
    class Address:
        @override
        def __str__(self) -> str:
            return "https://x/?apiKey=hunter2"

    log.info("call", url=Address(), error=ValueError("token=hunter2"), many=("token=hunter2",))
    assert "hunter2" not in output.getvalue()


def test_writes_what_json_has_no_form_for(output: io.StringIO) -> None:
    log.info("odd", surrogate="\ud800", huge=2**70)
    assert lines(output)[0]["huge"] == 2**70


def test_console_lines_are_for_people_and_as_discreet() -> None:
    stream = io.StringIO()
    configure_logging(ObservabilitySettings(log_format="console"), stream)
    log.info("fuel_logged", vehicle_id=3, password="hunter2")
    try:
        connect()
    except ValueError:
        log.exception("failed")
    text = stream.getvalue()
    assert "fuel_logged" in text
    assert "vehicle_id=3" in text
    assert "ValueError: cannot connect" in text
    assert "hunter2" not in text


def test_libraries_that_log_each_call_are_quiet(output: io.StringIO) -> None:
    logging.getLogger("httpx").info("HTTP Request: GET https://x/?apiKey=hunter2")
    assert output.getvalue() == ""


def test_writes_to_standard_output_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(ObservabilitySettings())
    log.info("here")
    assert json.loads(capsys.readouterr().out)["event"] == "here"
