import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from motovaultpro.standalone.components.errors import ComponentError
from motovaultpro.standalone.components.process import Command, Process
from tests.standalone.waiting import eventually, gone

SHELL = "/bin/sh"


def _command(directory: Path, script: str) -> Command:
    return Command((SHELL, "-c", script), log=directory / "process.log", directory=directory)


def _output(command: Command) -> str:
    process = Process(command)
    process.start()
    assert process.wait(10) == 0
    return command.log.read_text()


def test_writes_both_streams_to_its_log_and_appends(tmp_path: Path) -> None:
    command = _command(tmp_path, "echo out; echo err >&2")
    assert _output(command) == "out\nerr\n"
    assert _output(command) == "out\nerr\nout\nerr\n"


def test_a_bare_environment_lets_nothing_of_ours_in(tmp_path: Path) -> None:
    command = replace(_command(tmp_path, "/usr/bin/env"), environment={"ADDED": "1"})
    names = {line.partition("=")[0] for line in _output(command).splitlines()}
    assert names - {"PWD", "_", "SHLVL", "OLDPWD"} == {"PATH", "LC_ALL", "TZ", "ADDED"}


def test_an_inherited_environment_gains_and_loses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MVP_KEPT", "1")
    monkeypatch.setenv("MVP_REMOVED", "1")
    changes = {"MVP_REMOVED": None, "MVP_ADDED": "with space"}
    command = replace(_command(tmp_path, "/usr/bin/env"), environment=changes, inherit=True)
    lines = _output(command).splitlines()
    assert {"MVP_KEPT=1", "MVP_ADDED=with space"} <= set(lines)
    assert not any(line.startswith("MVP_REMOVED") for line in lines)


def test_what_it_makes_is_private(tmp_path: Path) -> None:
    _output(_command(tmp_path, "touch made"))
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600


def test_kills_what_does_not_listen(tmp_path: Path) -> None:
    command = replace(
        _command(tmp_path, "trap '' TERM; echo up; while :; do sleep 60; done"), stop_seconds=0.1
    )
    process = Process(command)
    process.start()
    process.wait_ready(lambda: "up" in process.log_tail())
    assert process.stop() == -signal.SIGKILL
    assert not process.alive()


def test_a_dead_leader_takes_its_workers_along(tmp_path: Path) -> None:
    process = Process(_command(tmp_path, "sleep 60 & echo $!; wait"))
    process.start()
    process.wait_ready(lambda: bool(process.log_tail()))
    worker = psutil.Process(int(process.log_tail()))
    psutil.Process(process.pid).kill()
    assert process.wait(10) == -signal.SIGKILL
    eventually(lambda: gone(worker))


def test_says_why_a_start_failed(tmp_path: Path) -> None:
    process = Process(_command(tmp_path, "echo no such disk; exit 3"))
    process.start()
    with pytest.raises(ComponentError, match=r"sh ended at its start\.\nno such disk"):
        process.wait_ready(lambda: False)
    process.wait()


def test_the_end_of_a_long_log_begins_with_a_whole_line(tmp_path: Path) -> None:
    process = Process(_command(tmp_path, "for n in $(seq 1000); do echo line $n; done"))
    process.start()
    process.wait()
    lines = process.log_tail().splitlines()
    assert lines[-1] == "line 1000"
    assert 100 < len(lines) < 1000
    assert all(line.startswith("line ") for line in lines)


def test_gives_up_on_a_start_that_takes_too_long(tmp_path: Path) -> None:
    process = Process(_command(tmp_path, "sleep 60"))
    process.start()
    with pytest.raises(ComponentError, match=r"sh is not ready after 0\.1 s"):
        process.wait_ready(lambda: False, 0.1)
    assert process.wait(0) is None
    process.stop()


def test_knows_nothing_before_its_start(tmp_path: Path) -> None:
    process = Process(_command(tmp_path, "true"))
    assert (process.pid, process.alive(), process.stop(), process.log_tail()) == (
        None,
        False,
        None,
        "",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent's life")
def test_ends_with_whoever_started_it(tmp_path: Path) -> None:
    script = (
        "import signal, sys; from pathlib import Path\n"
        "from motovaultpro.standalone.components.process import Command, Process\n"
        "place = Path(sys.argv[1])\n"
        "process = Process(Command(('/bin/sleep', '60'), log=place / 'log', directory=place))\n"
        "process.start(); print(process.pid, flush=True); signal.pause()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        eventually(lambda: child.name() == "sleep")
        parent.kill()
    eventually(lambda: gone(child))
