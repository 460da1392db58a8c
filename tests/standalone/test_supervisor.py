import asyncio
import logging
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import structlog

from motovaultpro.standalone.components.errors import ComponentError
from motovaultpro.standalone.components.process import Command
from motovaultpro.standalone.keeper import Service
from motovaultpro.standalone.state import Phase, ServiceState
from motovaultpro.standalone.supervisor import Supervisor
from tests.standalone.waiting import eventually

DIARY = "diary"


def _service(
    directory: Path, name: str, *, ending: str = "exit 0", holds_stop: bool = True
) -> Service:
    """Writes its name into the diary when it starts and when it is asked to stop."""
    script = (
        f"trap 'echo -{name} >> {DIARY}; {ending}' TERM; echo +{name} >> {DIARY}; "
        "while :; do sleep 0.02; done"
    )
    command = Command(("/bin/sh", "-c", script), log=directory / f"{name}.log", directory=directory)
    diary = directory / DIARY
    return Service(
        name,
        lambda: command,
        is_ready=lambda: diary.exists() and f"+{name}\n" in diary.read_text(),
        holds_stop=holds_stop,
    )


def _supervisor(
    stages: list[list[Service]],
    states: list[list[Phase]],
    events: list[structlog.typing.EventDict] | None = None,
) -> Supervisor:
    def note(services: list[ServiceState]) -> None:
        states.append([service.phase for service in services])

    capture = structlog.testing.LogCapture()
    capture.entries = events if events is not None else []
    log = structlog.wrap_logger(
        structlog.ReturnLogger(),
        processors=[capture],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    return Supervisor(stages, on_change=note, log=log)


async def _nothing() -> None:
    return


async def test_starts_stage_by_stage_and_stops_in_reverse(tmp_path: Path) -> None:
    states: list[list[Phase]] = []
    service = partial(_service, tmp_path)
    supervisor = _supervisor([[service("a")], [service("b"), service("c")], [service("d")]], states)

    async def stop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    await supervisor.run(stop)
    diary = (tmp_path / DIARY).read_text().split()
    assert diary[0] == "+a"
    assert set(diary[1:3]) == {"+b", "+c"}
    assert diary[3:5] == ["+d", "-d"]
    assert set(diary[5:7]) == {"-b", "-c"}
    assert diary[7:] == ["-a"]
    assert [Phase.RUNNING] * 4 in states
    assert states[-1] == [Phase.STOPPED] * 4


async def test_what_drains_need_not_hold_up_what_it_drains_into(tmp_path: Path) -> None:
    # The front ends only when the back has been asked to: a browser that listens to events.
    listening = f"while ! grep -q -- -back {DIARY}; do sleep 0.02; done; exit 0"
    front = _service(tmp_path, "front", ending=listening, holds_stop=False)
    events: list[structlog.typing.EventDict] = []
    supervisor = _supervisor([[_service(tmp_path, "back")], [front]], [], events)

    async def stop() -> None:
        supervisor.request_stop()

    await supervisor.run(stop)
    assert set((tmp_path / DIARY).read_text().split()) == {"+back", "+front", "-front", "-back"}
    assert "service_killed" not in [event["event"] for event in events]


async def test_a_failed_start_stops_what_had_started(tmp_path: Path) -> None:
    failing = Command(("/bin/sh", "-c", "exit 9"), log=tmp_path / "log", directory=tmp_path)
    broken = Service("broken", lambda: failing, one_shot=True)
    supervisor = _supervisor([[_service(tmp_path, "a")], [broken]], [])
    with pytest.raises(ComponentError, match=r"broken failed \(exit code 9\)"):
        await supervisor.run(_nothing)
    assert (tmp_path / DIARY).read_text().split() == ["+a", "-a"]


async def test_a_stop_may_come_before_all_has_started(tmp_path: Path) -> None:
    never = Command(("/bin/sleep", "60"), log=tmp_path / "log", directory=tmp_path)
    waiting = Service("waiting", lambda: never, is_ready=lambda: False)
    supervisor = _supervisor([[_service(tmp_path, "a")], [waiting]], [])
    running = asyncio.create_task(supervisor.run(_never_called))
    await _until(lambda: supervisor.states()[1].identity is not None)
    supervisor.request_stop()
    await running
    assert (tmp_path / DIARY).read_text().split() == ["+a", "-a"]


async def test_stops_everything_even_when_telling_about_it_fails(tmp_path: Path) -> None:
    def refuse(_: list[ServiceState]) -> None:
        diary = tmp_path / DIARY
        if diary.exists() and "+b" in diary.read_text():
            raise OSError("no space left")

    log = structlog.wrap_logger(
        structlog.ReturnLogger(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    stages = [[_service(tmp_path, "a")], [_service(tmp_path, "b")]]
    supervisor = Supervisor(stages, on_change=refuse, log=log)
    with pytest.raises(OSError, match="no space left"):
        await asyncio.wait_for(supervisor.run(_nothing), 20)
    assert set((tmp_path / DIARY).read_text().split()) == {"+a", "+b", "-b", "-a"}


async def test_outlives_the_terminal_if_told_so(tmp_path: Path) -> None:
    states: list[list[Phase]] = []
    supervisor = _supervisor([[_service(tmp_path, "a")]], states)

    async def hang_up() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        assert states[-1] == [Phase.RUNNING]
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        await supervisor.run(hang_up)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_a_second_request_waits_for_nobody(tmp_path: Path) -> None:
    supervisor = _supervisor([[_service(tmp_path, "deaf", ending=":")]], [])

    async def stop() -> None:
        supervisor.request_stop()
        supervisor.request_stop()

    await asyncio.wait_for(supervisor.run(stop), 8)


async def _never_called() -> None:
    raise AssertionError


async def _until(condition: Callable[[], object]) -> None:
    await asyncio.to_thread(eventually, condition)
