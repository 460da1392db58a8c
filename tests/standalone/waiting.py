"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable

import psutil


def eventually(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.02)


def gone(process: psutil.Process) -> bool:
    """Ended, whether or not whoever inherited it has asked for its exit code."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
