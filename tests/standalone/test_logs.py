import json
from pathlib import Path

import pytest

from motovaultpro.standalone.logs import LogLine, LogTail, as_json, as_text, last_lines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "backend.log"
    file.write_text("before\n")
    return file


def _append(file: Path, text: str) -> None:
    with file.open("a") as stream:
        stream.write(text)


def test_hands_out_whole_new_lines_only(log: Path) -> None:
    tail = LogTail({"backend": log})
    _append(log, "one\n\ntw")
    assert tail.poll() == [LogLine("backend", "one")]
    assert tail.poll() == []
    _append(log, "o\n")
    assert tail.poll() == [LogLine("backend", "two")]


def test_may_begin_at_the_beginning_and_waits_for_a_file(log: Path, tmp_path: Path) -> None:
    tail = LogTail({"backend": log, "worker": tmp_path / "worker.log"}, from_end=False)
    assert tail.poll() == [LogLine("backend", "before")]
    _append(tmp_path / "worker.log", "hello\n")
    assert tail.poll() == [LogLine("worker", "hello")]


def test_reads_a_shrunken_file_from_its_beginning(log: Path) -> None:
    tail = LogTail({"backend": log})
    log.write_text("new\n")
    assert tail.poll() == [LogLine("backend", "new")]


def test_bytes_that_are_no_text_do_no_harm(log: Path) -> None:
    tail = LogTail({"backend": log})
    with log.open("ab") as stream:
        stream.write(b"\xff\xfe caf\xc3\xa9\n")
    assert tail.poll() == [LogLine("backend", "\ufffd\ufffd café")]


def test_a_full_file_moves_aside_under_a_writer_that_keeps_it_open(log: Path) -> None:
    with log.open("a", buffering=1) as writer:
        tail = LogTail({"backend": log})
        writer.write("x" * 100 + "\n")
        tail.rotate(50)
        assert log.stat().st_size > 50, "what nobody has read yet stays"
        tail.poll()
        tail.rotate(50)
        writer.write("after\n")
        assert tail.poll() == [LogLine("backend", "after")]
    assert log.read_text() == "after\n"
    assert log.with_name("backend.log.1").read_text().startswith("before\nxxx")


def test_last_lines_of_a_file_and_of_none(log: Path, tmp_path: Path) -> None:
    _append(log, "one\n\ntwo\n")
    assert last_lines(log, 2) == ["one", "two"]
    assert last_lines(log, 0) == []
    assert last_lines(tmp_path / "absent.log", 5) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"event": "ready"}', {"service": "backend-1", "event": "ready"}),
        ("plain", {"service": "backend-1", "message": "plain"}),
        ("{broken", {"service": "backend-1", "message": "{broken"}),
    ],
)
def test_every_line_becomes_one_object(text: str, expected: dict[str, str]) -> None:
    assert json.loads(as_json(LogLine("backend-1", text))) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain [text]", "backend-1 | plain [text]"),
        (
            '{"timestamp": "12:00", "level": "info", "event": "ready", "port": 1}',
            "backend-1 | 12:00 info ready port=1",
        ),
        (
            '{"time": "12:00", "level": "warn", "message": "two\\nlines"}',
            "backend-1 | 12:00 warn two lines ",
        ),
    ],
)
def test_lines_for_people(text: str, expected: str) -> None:
    assert as_text(LogLine("backend-1", text), ["worker", "backend-1"]).plain == expected
