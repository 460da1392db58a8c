import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from motovaultpro.standalone.components.ports import free_port
from motovaultpro.standalone.directory import DataDirectory
from motovaultpro.standalone.state import Identity, ServiceState, StackState, read_state
from tests.standalone.cli_app import app
from tests.standalone.waiting import eventually


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("command", ["up", "status", "logs", "down", "doctor"])
def test_help_has_examples_and_the_data_directory(command: str) -> None:
    result = _run(command, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert f"motovault {command} " in result.output
    assert "--data-dir" in result.output


def test_status_of_nothing_is_3(tmp_path: Path) -> None:
    result = _run("status", "--data-dir", tmp_path)
    assert result.exit_code == 3
    assert "motovault up" in result.output


def test_down_of_nothing_is_fine(tmp_path: Path) -> None:
    result = _run("down", "--data-dir", tmp_path)
    assert result.exit_code == 0
    assert "Not running" in result.output


def test_logs_of_an_unknown_service_name_the_known(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "postgres.log").write_text("one\ntwo\nthree\n")
    unknown = _run("logs", "--data-dir", tmp_path, "oracle")
    assert unknown.exit_code == 1
    assert "There are: postgres." in unknown.output
    known = _run("logs", "--data-dir", tmp_path, "postgres", "-n", "2", "--log-format", "json")
    assert known.output.splitlines() == [
        '{"service": "postgres", "message": "two"}',
        '{"service": "postgres", "message": "three"}',
    ]


def test_doctor_is_1_when_something_must_be_done(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir(mode=0o755)
    result = _run("doctor", "--data-dir", tmp_path, "--port", str(free_port()))
    assert result.exit_code == 1
    assert "chmod go-rwx" in result.output


def test_up_fails_clearly_where_the_directory_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = _run("up", "--data-dir", tmp_path / "file")
    assert result.exit_code == 1
    assert "motovault: The data directory cannot be made" in result.output


def test_logs_follow_until_interrupted(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    log, output = tmp_path / "logs" / "worker.log", tmp_path / "output"
    log.write_text("old\n")
    command = "from tests.standalone.cli_app import app; app()"
    with output.open("w") as stream:
        follower = subprocess.Popen(
            [sys.executable, "-c", command, "logs", "-f", "--data-dir", str(tmp_path)],
            stdout=stream,
            # Why: a shell that runs the tests in the background has its children ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - before exec
        )
    eventually(lambda: "worker | old" in output.read_text())
    with log.open("a") as stream:
        stream.write("new\n")
    eventually(lambda: "worker | new" in output.read_text())
    follower.send_signal(signal.SIGINT)
    assert follower.wait(10) == 0


def test_down_cleans_up_after_a_killed_supervisor(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.create()
    dead = Identity(pid=1, created=1)
    state = StackState(
        supervisor=dead,
        started_at=datetime(2026, 11, 21, tzinfo=UTC),
        url="http://127.0.0.1:8080",
        public_url="http://localhost:8080",
        services=[ServiceState(name="worker", identity=dead, stop_signal=signal.SIGTERM)],
    )
    state.save(directory.state_file)
    result = _run("down", "--data-dir", tmp_path)
    assert result.exit_code == 0
    assert "had been killed. Cleaned up what it left: no process." in result.output
    assert read_state(directory) is None
