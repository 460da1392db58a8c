"""Runs the one-machine system in a data directory, from the lock to the last line of its logs."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO

import psutil
import structlog
from structlog.typing import FilteringBoundLogger

from motovaultpro.core.clock import Clock
from motovaultpro.standalone.directory import DataDirectory
from motovaultpro.standalone.leftovers import stop_leftovers
from motovaultpro.standalone.logs import LogLine, LogTail
from motovaultpro.standalone.plan import Plan, StackOptions
from motovaultpro.standalone.state import Identity, ServiceState, StackState, read_state
from motovaultpro.standalone.supervisor import Supervisor

JOURNAL = "motovault"
_LOG_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Ready:
    """What the banner says. `setup_path` is the one-time first-run link, None once an owner exists."""

    public_url: str
    url: str
    setup_path: str | None


def run_stack(
    directory: DataDirectory,
    options: StackOptions,
    clock: Clock,
    *,
    show: Callable[[LogLine], None],
    on_ready: Callable[[Ready], None],
) -> None:
    """Supervises until a stop signal; call it in the main thread. Raises `ComponentError`.

    `show` gets every line that the services and the supervisor (as `motovault`) log; `on_ready` is called once.
    """
    directory.create()
    with directory.hold():
        stopped = _tidy(directory)
        plan = Plan(directory, options, clock)
        with directory.log_file(JOURNAL).open("ab", buffering=0) as file:
            journal = _journal(file)
            if stopped:
                journal.warning("leftovers_stopped", services=stopped)
            asyncio.run(_supervise(directory, plan, clock, journal, show, on_ready))


def _tidy(directory: DataDirectory) -> list[str]:
    """Ends what a killed supervisor left, and forgets it."""
    state = read_state(directory)
    stopped = stop_leftovers(state) if state is not None else []
    directory.state_file.unlink(missing_ok=True)
    return stopped


async def _supervise(
    directory: DataDirectory,
    plan: Plan,
    clock: Clock,
    journal: FilteringBoundLogger,
    show: Callable[[LogLine], None],
    on_ready: Callable[[Ready], None],
) -> None:
    me = psutil.Process()
    identity = Identity(pid=me.pid, created=me.create_time())
    started_at = clock()

    def save(services: list[ServiceState]) -> None:
        StackState(
            supervisor=identity,
            started_at=started_at,
            url=plan.traefik.url,
            public_url=plan.public_url,
            services=services,
        ).save(directory.state_file)

    async def announce() -> None:
        setup_path = await asyncio.to_thread(plan.setup_path)
        seconds = round((clock() - started_at).total_seconds(), 1)
        journal.info("ready", url=plan.public_url, seconds=seconds)
        on_ready(Ready(plan.public_url, plan.traefik.url, setup_path))

    tail = LogTail({name: directory.log_file(name) for name in [JOURNAL, *plan.service_names()]})
    following = asyncio.create_task(_follow(tail, show))
    try:
        await Supervisor(plan.stages, on_change=save, log=journal).run(announce)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        _show_news(tail, show)
        directory.state_file.unlink(missing_ok=True)


async def _follow(tail: LogTail, show: Callable[[LogLine], None]) -> None:
    while True:
        _show_news(tail, show)
        with suppress(OSError):  # a full disk
            tail.rotate()
        await asyncio.sleep(_LOG_POLL_SECONDS)


def _show_news(tail: LogTail, show: Callable[[LogLine], None]) -> None:
    # Whoever read our output may be gone, such as the end of a pipe. That stops nothing: the files go on.
    with suppress(OSError):
        for line in tail.poll():
            show(line)


class _FileLogger:
    """Appends lines, unbuffered. What a full disk refuses is lost: it must not stop the supervisor."""

    def __init__(self, file: FileIO) -> None:
        self._file = file

    def msg(self, line: str) -> None:
        with suppress(OSError):
            self._file.write(f"{line}\n".encode())

    info = warning = error = msg


def _journal(file: FileIO) -> FilteringBoundLogger:
    """The supervisor's own log: a file like that of every service, so that all reach the screen one way."""
    logger: FilteringBoundLogger = structlog.wrap_logger(
        _FileLogger(file),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    return logger
