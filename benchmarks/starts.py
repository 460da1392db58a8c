"""Start times: from the fork to the first healthy answer, or to the banner."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.load import ROOT
from benchmarks.servers import Server, Surroundings
from motovaultpro.standalone.components import ports
from motovaultpro.standalone.components.postgres import Postgres
from motovaultpro.standalone.components.process import Command, Process

_STACK_SECONDS = 180


@dataclass(frozen=True)
class FirstAndSecond:
    """Seconds: on an empty directory, and on what the first run left."""

    first: float
    second: float


def service_starts(argv: tuple[str, ...], around: Surroundings, *, times: int) -> Sequence[float]:
    seconds = []
    for number in range(times):
        with Server(argv, around, name=f"start-{number}") as server:
            seconds.append(server.start_seconds)
    return seconds


def stack_starts(directory: Path) -> FirstAndSecond:
    """`motovault up` in a directory of its own, twice."""
    # As root, PostgreSQL runs under an account that must be able to enter; `Process` starts with a tight umask.
    directory.mkdir(mode=0o755)
    return FirstAndSecond(_stack_start(directory, "first"), _stack_start(directory, "second"))


def timed_postgres(directory: Path) -> tuple[Postgres, FirstAndSecond]:
    """A running server that can be relied on, and how long it took; stop it in the end."""
    postgres = Postgres(directory)
    first = _postgres_start(postgres)
    postgres.stop()
    return postgres, FirstAndSecond(first, _postgres_start(postgres))


def _postgres_start(postgres: Postgres) -> float:
    started = perf_counter()
    postgres.start()
    return perf_counter() - started


def _stack_start(directory: Path, name: str) -> float:
    log = directory.with_name(f"up-{name}.log")
    options = ("--data-dir", str(directory), "--port", str(ports.free_port()))
    process = Process(
        Command(
            argv=(
                sys.executable,
                "-m",
                "motovaultpro.cli",
                "up",
                "--quiet",
                "--log-format",
                "json",
                *options,
            ),
            log=log,
            directory=ROOT,
            stop_signal=signal.SIGINT,
            stop_seconds=90,
        )
    )
    started = perf_counter()
    process.start()
    try:
        process.wait_ready(lambda: '"event": "banner"' in log.read_text(), _STACK_SECONDS)
        return perf_counter() - started
    finally:
        process.stop()
