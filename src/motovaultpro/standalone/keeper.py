"""Keeps one service running: starts it, waits for its health, starts it again when it dies."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from structlog.typing import FilteringBoundLogger

from motovaultpro.standalone.components.component import Component
from motovaultpro.standalone.components.errors import ComponentError
from motovaultpro.standalone.components.process import Command, Process
from motovaultpro.standalone.state import Identity, Phase, ServiceState

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
STABLE_SECONDS = 60.0
START_ATTEMPTS = 3
START_SECONDS = 60.0
_PROBE_SECONDS, _SLOWEST_PROBE_SECONDS = 0.05, 1.0


def _nothing() -> None:
    return


@dataclass(frozen=True)
class Service:
    """What to run and how to know that it works. `prepare`, `is_ready` and `introduce` may block and run in a thread.

    - `prepare`: once, before the first start. `command`: asked at every start.
    - `is_ready`: None = running is enough. `introduce`: once, when first ready.
    - `one_shot`: runs to its end, which must be exit code 0.
    - `holds_stop`: whether the services it depends on wait for its end before they are asked to stop.
    """

    name: str
    command: Callable[[], Command]
    prepare: Callable[[], None] = _nothing
    is_ready: Callable[[], bool] | None = None
    introduce: Callable[[], None] = _nothing
    one_shot: bool = False
    holds_stop: bool = True
    port: Callable[[], int] | None = None
    health_url: str | None = None

    @classmethod
    def of(cls, name: str, component: Component, *, holds_stop: bool = True) -> "Service":
        return cls(
            name=name,
            command=component.command,
            prepare=component.prepare,
            is_ready=component.is_ready,
            introduce=component.introduce,
            holds_stop=holds_stop,
            port=lambda: component.port,
        )


class Keeper:
    """Runs a service until `stop`. `on_change` hears of every change of `state`."""

    def __init__(
        self,
        service: Service,
        *,
        threads: Executor,
        on_change: Callable[[], None],
        log: FilteringBoundLogger,
    ) -> None:
        self.service = service
        self.state = ServiceState(name=service.name, stop_signal=0, health_url=service.health_url)
        self._threads = threads
        self._on_change = on_change
        self._log = log.bind(service=service.name)
        self._process: Process | None = None
        self._exit: asyncio.Future[int | None] | None = None
        self._loop: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Returns when the service is ready, or has ended if it is a one-shot. Raises `ComponentError`."""
        began = time.monotonic()
        self._enter(Phase.STARTING)
        await asyncio.to_thread(self.service.prepare)
        if self.service.one_shot:
            await self._run_once()
        else:
            self._loop = asyncio.create_task(self._keep())
            ready = asyncio.create_task(self._ready.wait())
            either: set[asyncio.Future[Any]] = {self._loop, ready}  # their results do not matter
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            if self._loop.done():
                await self._loop
        self._log.info("service_ready", seconds=round(time.monotonic() - began, 2))

    async def stop(self, force: asyncio.Event) -> None:
        """Asks it to end; kills it when its time is over or `force` is set."""
        self._stopping.set()
        if self._process is not None and self._exit is not None and not self._exit.done():
            self._process.signal_stop()
            forced = asyncio.create_task(force.wait())
            either: set[asyncio.Future[Any]] = {self._exit, forced}  # their results do not matter
            seconds = self._process.command.stop_seconds
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            forced.cancel()
            if not self._exit.done():
                self._log.warning("service_killed")
                self._process.kill()
            await self._exit
        if self._loop is not None:
            await asyncio.gather(self._loop, return_exceptions=True)
        if self.state.phase is not Phase.DONE:
            self._enter(Phase.STOPPED)

    async def _run_once(self) -> None:
        process, exited = self._spawn()
        code = await exited
        if code != 0:
            raise ComponentError(
                f"{self.service.name} failed (exit code {code}).\n{process.log_tail()}"
            )
        self._enter(Phase.DONE)

    async def _keep(self) -> None:
        pause, failures = FIRST_PAUSE_SECONDS, 0
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._run()
            if self._stopping.is_set():
                return
            if not self._ready.is_set():
                failures += 1
                if failures == START_ATTEMPTS:
                    raise ComponentError(self._failure(f"ended {failures} times at its start"))
            if time.monotonic() - began >= STABLE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            self._log.warning("service_ended", exit_code=code, restart_in_seconds=pause)
            self.state.restarts += 1
            self._enter(Phase.RESTARTING)
            await _wait(self._stopping, pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _run(self) -> int | None:
        try:
            _, exited = self._spawn()
        except OSError as error:  # no memory, too many processes, a program that is being replaced
            self._log.error("service_not_started", error=str(error))
            return None
        await self._until_ready(exited)
        return await exited

    def _spawn(self) -> tuple[Process, asyncio.Future[int | None]]:
        """In the main thread, with whose end the child would end."""
        self._process = Process(self.service.command())
        self._process.start()
        self.state.stop_signal = int(self._process.command.stop_signal)
        self.state.identity = Identity(pid=self._process.pid or 0, created=self._process.created)
        self.state.port = self.service.port() if self.service.port else None
        self._enter(Phase.STARTING)
        self._exit = asyncio.get_running_loop().run_in_executor(self._threads, self._process.wait)
        return self._process, self._exit

    async def _until_ready(self, exited: asyncio.Future[int | None]) -> None:
        """Returns when the service is ready or has ended. The first time it has `START_SECONDS`; later, when what
        it depends on may be away, all the time it needs."""
        deadline = time.monotonic() + START_SECONDS
        pause = _PROBE_SECONDS
        is_ready = self.service.is_ready
        while not exited.done() and is_ready is not None and not await asyncio.to_thread(is_ready):
            if not self._ready.is_set() and time.monotonic() > deadline:
                raise ComponentError(self._failure(f"is not ready after {START_SECONDS:g} s"))
            await asyncio.wait({exited}, timeout=pause)
            pause = min(1.2 * pause, _SLOWEST_PROBE_SECONDS)
        if exited.done():
            return
        if not self._ready.is_set():
            await asyncio.to_thread(self.service.introduce)
            self._ready.set()
        else:
            self._log.info("service_ready")
        self._enter(Phase.RUNNING)

    def _enter(self, phase: Phase) -> None:
        self.state.phase = phase
        self._on_change()

    def _failure(self, what: str) -> str:
        tail = self._process.log_tail() if self._process else ""
        return f"{self.service.name} {what}.\n{tail}".strip()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
