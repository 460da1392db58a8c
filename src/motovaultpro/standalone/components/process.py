"""A child process: dies with us, runs in its own session, writes to a log file and never to a pipe.

A server that writes into a pipe nobody reads stops at the first full buffer.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from motovaultpro.standalone import launch
from motovaultpro.standalone.components.accounts import Account
from motovaultpro.standalone.components.errors import ComponentError

_POLL_SECONDS = 0.03
_KILL_SECONDS = 5
_TAIL_BYTES = 4096
_BARE_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Command:
    """How to run a program.

    `environment` is added to a bare one, or with `inherit` to ours, where None removes a variable.
    """

    argv: tuple[str, ...]
    log: Path
    directory: Path
    environment: Mapping[str, str | None] = field(default_factory=dict)
    inherit: bool = False
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10


class Process:
    """Runs a command; after its end `start` runs it again.

    Start it from the main thread: Linux ends the child when the thread that forked it ends (see launch.py).
    """

    def __init__(self, command: Command) -> None:
        self.command = command
        self._child: subprocess.Popen[bytes] | None = None
        self.created: float = 0

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def start(self) -> None:
        command = self.command
        command.log.parent.mkdir(parents=True, exist_ok=True)
        with command.log.open("ab") as log:
            self._child = subprocess.Popen(
                launched(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=command.directory,
                start_new_session=True,
            )
        self.created = psutil.Process(self._child.pid).create_time()

    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit code, or None if it still runs after `seconds`. May be called in a thread."""
        if self._child is None:
            return None
        try:
            code = self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self.kill()
        return code

    def wait_ready(self, ready: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive():
                raise ComponentError(f"{self._name} ended at its start.\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ComponentError(
                    f"{self._name} is not ready after {seconds:g} s.\n{self.log_tail()}"
                )
            time.sleep(_POLL_SECONDS)

    def signal_stop(self) -> None:
        if self._child is not None:
            self._child.send_signal(self.command.stop_signal)

    def stop(self) -> int | None:
        """Asks, waits `stop_seconds`, then kills. Answers the exit code, None if it never ran."""
        self.signal_stop()
        code = self.wait(self.command.stop_seconds)
        if self._child is not None and code is None:
            self.kill()
            code = self.wait(_KILL_SECONDS)
        return code

    def kill(self) -> None:
        """The child and what it left in its session, such as the workers of a killed application server."""
        if self._child is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)

    def log_tail(self) -> str:
        """The last lines of the log, for a person."""
        with suppress(FileNotFoundError), self.command.log.open("rb") as log:
            start = max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES)
            log.seek(start)
            if start:
                log.readline()  # most likely the end of one
            return log.read().decode(errors="replace").strip()
        return ""

    @property
    def _name(self) -> str:
        return Path(self.command.argv[0]).name


def launched(command: Command) -> list[str]:
    """The whole argument list: the launcher, its order, and the command's own."""
    order = json.dumps(_order(command))
    return [sys.executable, "-I", "-S", launch.__file__, order, *command.argv]


def _order(command: Command) -> dict[str, object]:
    account = command.account
    environment = (
        command.environment if command.inherit else _BARE_ENVIRONMENT | dict(command.environment)
    )
    return {
        "parent": os.getpid(),
        "death_signal": int(command.stop_signal),
        "user": account.user if account else None,
        "group": account.group if account else None,
        "inherit": command.inherit,
        "environment": environment,
    }
