"""What a running stack tells other commands: `run/state.json`."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from motovaultpro.standalone.components.errors import ComponentError
from motovaultpro.standalone.directory import DataDirectory, write_private

# psutil derives the start of a process from the wall clock, which may be corrected while it runs.
_SAME_START_SECONDS = 2
_POLL_SECONDS = 0.05


class NotRunningError(ComponentError):
    """No supervisor holds the data directory."""


class Phase(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    DONE = "done"
    STOPPED = "stopped"


class Identity(BaseModel):
    """A process, told apart from a later one with the same id by the second it started."""

    model_config = ConfigDict(frozen=True)

    pid: int
    created: float

    def process(self) -> psutil.Process | None:
        """The process if it is still that one and runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < _SAME_START_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def runs(self) -> bool:
        return self.process() is not None


class ServiceState(BaseModel):
    name: str
    phase: Phase = Phase.WAITING
    identity: Identity | None = None
    restarts: int = 0
    port: int | None = None
    health_url: str | None = None
    stop_signal: int


class StackState(BaseModel):
    supervisor: Identity
    started_at: datetime
    url: str
    public_url: str
    services: list[ServiceState]

    def save(self, file: Path) -> None:
        """As far as it can be: a full disk must neither stop a service nor keep one from being stopped."""
        with suppress(OSError):
            write_private(file, self.model_dump_json(indent=2))


def read_state(directory: DataDirectory) -> StackState | None:
    """The last written state, also of a stack that was killed; None where there is none or it is damaged."""
    try:
        return StackState.model_validate_json(directory.state_file.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def running_state(directory: DataDirectory) -> StackState:
    """The state of a stack whose supervisor lives. Raises `NotRunningError`."""
    state = read_state(directory)
    if state is None or not state.supervisor.runs():
        raise NotRunningError(
            f"MotoVaultPro does not run on {directory.root}. Start it with `motovault up`, or name the "
            "directory it runs on with --data-dir."
        )
    return state


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in time. For the end of processes that are not our children, which only polling tells."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
