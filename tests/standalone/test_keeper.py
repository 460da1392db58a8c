import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import structlog

from motovaultpro.standalone import keeper as keeper_module
from motovaultpro.standalone.components.errors import ComponentError
from motovaultpro.standalone.components.process import Command
from motovaultpro.standalone.keeper import Keeper, Service
from motovaultpro.standalone.state import Phase
from tests.standalone.waiting import eventually


class _Journal(list[dict[str, object]]):
    """Collects the events of a keeper."""

    def logger(self) -> structlog.typing.FilteringBoundLogger:
        def keep(_: object, __: str, event: structlog.typing.EventDict) -> str:
            self.append(dict(event))
            raise structlog.DropEvent

        logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
            None,
            processors=[keep],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        )
        return logger

    def names(self) -> list[object]:
        return [event["event"] for event in self]


def _shell(directory: Path, script: str) -> Callable[[], Command]:
    command = Command(
        ("/bin/sh", "-c", script), log=directory / "log", directory=directory, stop_seconds=5
    )
    return lambda: command


@asynccontextmanager
async def _keep(service: Service, journal: _Journal) -> AsyncIterator[Keeper]:
    changed = asyncio.Event()
    with ThreadPoolExecutor(1) as threads:
        keeper = Keeper(service, threads=threads, on_change=changed.set, log=journal.logger())
        try:
            yield keeper
        finally:
            await keeper.stop(asyncio.Event())


async def _until(condition: Callable[[], object]) -> None:
    await asyncio.to_thread(eventually, condition)


async def _kill_and_await_restart(keeper: Keeper) -> None:
    restarts = keeper.state.restarts
    assert keeper.state.identity is not None
    psutil.Process(keeper.state.identity.pid).kill()
    await _until(lambda: keeper.state.restarts > restarts and keeper.state.phase is Phase.RUNNING)


async def test_starts_again_what_ends_with_a_growing_pause(tmp_path: Path) -> None:
    journal = _Journal()
    service = Service("mayfly", _shell(tmp_path, "exit 4"), is_ready=lambda: False)
    async with _keep(service, journal) as keeper:
        with pytest.raises(ComponentError, match="mayfly ended 3 times at its start"):
            await keeper.start()
    ends = [event for event in journal if event["event"] == "service_ended"]
    assert [end["restart_in_seconds"] for end in ends] == [0.2, 0.4]
    assert {end["exit_code"] for end in ends} == {4}


async def test_goes_on_for_ever_once_it_has_been_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(keeper_module, "LONGEST_PAUSE_SECONDS", 0.02)
    journal = _Journal()
    async with _keep(Service("worker", _shell(tmp_path, "exec sleep 60")), journal) as keeper:
        await keeper.start()
        for _ in range(5):
            await _kill_and_await_restart(keeper)
    ends = [event for event in journal if event["event"] == "service_ended"]
    assert [end["restart_in_seconds"] for end in ends] == [0.01, 0.02, 0.02, 0.02, 0.02]
    assert keeper.state.phase is Phase.STOPPED


async def test_a_stable_minute_forgives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "STABLE_SECONDS", 0.0)
    journal = _Journal()
    async with _keep(Service("worker", _shell(tmp_path, "exec sleep 60")), journal) as keeper:
        await keeper.start()
        for _ in range(2):
            await _kill_and_await_restart(keeper)
    ends = [event for event in journal if event["event"] == "service_ended"]
    assert [end["restart_in_seconds"] for end in ends] == [0.2, 0.2]


async def test_a_program_that_is_away_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    journal = _Journal()
    home = tmp_path / "home"

    def command() -> Command:
        return Command(("/bin/sleep", "60"), log=tmp_path / "log", directory=home)

    async with _keep(Service("worker", command), journal) as keeper:
        start = asyncio.create_task(keeper.start())
        await _until(lambda: "service_not_started" in journal.names())
        home.mkdir()
        await start
    assert journal.names()[-1] == "service_ready"


async def test_says_what_never_became_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "START_SECONDS", 0.2)
    service = Service(
        "deaf", _shell(tmp_path, "echo listening to nobody; sleep 60"), is_ready=lambda: False
    )
    async with _keep(service, _Journal()) as keeper:
        with pytest.raises(ComponentError, match=r"deaf is not ready after 0\.2 s"):
            await keeper.start()


async def test_introduces_itself_once(tmp_path: Path) -> None:
    introduced: list[int] = []
    service = Service(
        "worker",
        _shell(tmp_path, "exec sleep 60"),
        is_ready=lambda: True,
        introduce=lambda: introduced.append(1),
    )
    async with _keep(service, _Journal()) as keeper:
        await keeper.start()
        await _kill_and_await_restart(keeper)
    assert introduced == [1]


async def test_a_stop_may_come_while_it_waits_to_start_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _keep(Service("worker", _shell(tmp_path, "exec sleep 60")), _Journal()) as keeper:
        await keeper.start()
        monkeypatch.setattr(keeper_module, "LONGEST_PAUSE_SECONDS", 600.0)
        monkeypatch.setattr(keeper_module, "FIRST_PAUSE_SECONDS", 600.0)
        assert keeper.state.identity is not None
        psutil.Process(keeper.state.identity.pid).kill()
        await _until(lambda: keeper.state.phase is Phase.RESTARTING)
    assert keeper.state.phase is Phase.STOPPED


async def test_a_second_request_kills(tmp_path: Path) -> None:
    journal = _Journal()
    stubborn = "trap '' TERM; touch up; while :; do sleep 60; done"
    service = Service("stubborn", _shell(tmp_path, stubborn), is_ready=(tmp_path / "up").exists)
    force = asyncio.Event()
    async with _keep(service, journal) as keeper:
        await keeper.start()
        stop = asyncio.create_task(keeper.stop(force))
        force.set()
        await stop
    assert "service_killed" in journal.names()


async def test_a_one_shot_ends_in_done(tmp_path: Path) -> None:
    async with _keep(
        Service("migrate", _shell(tmp_path, "exit 0"), one_shot=True), _Journal()
    ) as keeper:
        await keeper.start()
    assert keeper.state.phase is Phase.DONE
