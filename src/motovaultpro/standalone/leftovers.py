"""Processes that a killed supervisor left behind. On Linux they end with it; this is the second line."""

import os
from contextlib import suppress

import psutil

from motovaultpro.standalone.state import ServiceState, StackState, wait_until

_STOP_SECONDS = 40
_KILL_SECONDS = 5


def find_leftovers(state: StackState) -> dict[str, list[psutil.Process]]:
    """Living processes of each service: the one we started, verified, and what it started in its session."""
    found = {service.name: _processes(service) for service in state.services}
    return {name: processes for name, processes in found.items() if processes}


def stop_leftovers(state: StackState) -> list[str]:
    """Ends them, first politely. Answers the names of the services that had any."""
    leftovers = find_leftovers(state)
    signals = {service.name: service.stop_signal for service in state.services}
    for name, processes in leftovers.items():
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signals[name])
    everything = [process for processes in leftovers.values() for process in processes]
    if not wait_until(lambda: not any(map(_lives, everything)), _STOP_SECONDS):
        for process in everything:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        wait_until(lambda: not any(map(_lives, everything)), _KILL_SECONDS)
    return list(leftovers)


def _lives(process: psutil.Process) -> bool:
    """A zombie, which may stay for as long as its new parent likes, holds nothing any more."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _processes(service: ServiceState) -> list[psutil.Process]:
    if service.identity is None:
        return []
    leader = service.identity.process()
    if leader is None and psutil.pid_exists(service.identity.pid):
        return []  # the number belongs to somebody else by now, and so would its session
    # The kernel gives a number to no new process while a session bears it, so these are ours.
    members = [
        process
        for process in psutil.process_iter()
        if process.pid != service.identity.pid and _session(process) == service.identity.pid
    ]
    return [process for process in (leader, *members) if process is not None and _lives(process)]


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except (ProcessLookupError, PermissionError):
        return None
