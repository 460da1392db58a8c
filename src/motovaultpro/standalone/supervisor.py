"""Starts stages of services one after the other, keeps them running, and stops them in reverse."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from structlog.typing import FilteringBoundLogger

from motovaultpro.standalone.keeper import Keeper, Service
from motovaultpro.standalone.state import ServiceState


class Supervisor:
    """Supervisor(stages, on_change, log): `run` it in the main thread. A second stop signal kills at once.

    A stage is a list of services that start together, when every service of the stages before is ready.
    """

    def __init__(
        self,
        stages: Sequence[Sequence[Service]],
        *,
        on_change: Callable[[list[ServiceState]], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._log = log
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        self._on_change = on_change
        # A thread for each child waits for its end; probes use asyncio's own threads.
        self._threads = ThreadPoolExecutor(max_workers=sum(map(len, stages)))
        self._stages = [[self._keeper(service) for service in stage] for stage in stages]

    def states(self) -> list[ServiceState]:
        return [keeper.state for stage in self._stages for keeper in stage]

    def request_stop(self) -> None:
        if self._stop.is_set():
            self._force.set()
        self._stop.set()

    async def run(self, on_ready: Callable[[], Awaitable[None]]) -> None:
        """Until a stop is asked for by signal. Raises `ComponentError` if the start fails; all is stopped then too."""
        loop = asyncio.get_running_loop()
        signals = _stop_signals()
        for number in signals:
            loop.add_signal_handler(number, self.request_stop)
        starting = asyncio.create_task(self._start(on_ready))
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({starting, stop}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                await stop
        finally:
            starting.cancel()
            stop.cancel()
            await asyncio.gather(starting, stop, return_exceptions=True)
            await self._stop_all()
            self._threads.shutdown()
            for number in signals:
                loop.remove_signal_handler(number)

    async def _start(self, on_ready: Callable[[], Awaitable[None]]) -> None:
        for stage in self._stages:
            await asyncio.gather(*(keeper.start() for keeper in stage))
        await on_ready()

    async def _stop_all(self) -> None:
        """Stops every service, whatever goes wrong with one; raises what did at the end."""
        self._log.info("stopping")
        stops: list[asyncio.Task[None]] = []
        for stage in reversed(self._stages):
            tasks = {keeper: asyncio.create_task(keeper.stop(self._force)) for keeper in stage}
            stops.extend(tasks.values())
            held = [task for keeper, task in tasks.items() if keeper.service.holds_stop]
            await asyncio.gather(*held, return_exceptions=True)
        for stop in stops:
            await stop
        self._log.info("stopped")

    def _keeper(self, service: Service) -> Keeper:
        return Keeper(
            service,
            threads=self._threads,
            on_change=lambda: self._on_change(self.states()),
            log=self._log,
        )


def _stop_signals() -> list[signal.Signals]:
    """The closed terminal is one of them, unless whoever started us said otherwise (nohup)."""
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    return signals
