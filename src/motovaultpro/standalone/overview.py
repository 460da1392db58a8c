"""How a running stack is doing, service by service."""

from dataclasses import dataclass
from datetime import timedelta

import psutil

from motovaultpro.core.clock import Clock
from motovaultpro.standalone.plan import answers
from motovaultpro.standalone.state import Phase, ServiceState, StackState


@dataclass(frozen=True)
class Health:
    """One service. `memory_bytes` counts what it shares with its own children once."""

    name: str
    phase: str
    healthy: bool
    pid: int | None
    uptime: timedelta | None
    restarts: int
    port: int | None
    memory_bytes: int | None


def examine(state: StackState, clock: Clock) -> list[Health]:
    return [_health(service, clock) for service in state.services]


def _health(service: ServiceState, clock: Clock) -> Health:
    process = service.identity.process() if service.identity else None
    done = service.phase is Phase.DONE
    working = service.phase is Phase.RUNNING and process is not None
    if working and service.health_url is not None:
        working = answers(service.health_url)
    return Health(
        name=service.name,
        phase=service.phase
        if done or working or service.phase is not Phase.RUNNING
        else "unhealthy",
        healthy=done or working,
        pid=process.pid if process else None,
        uptime=_uptime(process, clock) if process else None,
        restarts=service.restarts,
        port=service.port,
        memory_bytes=_memory(process) if process else None,
    )


def _uptime(process: psutil.Process, clock: Clock) -> timedelta:
    return timedelta(seconds=max(0, int(clock().timestamp() - process.create_time())))


def _memory(leader: psutil.Process) -> int | None:
    try:
        return sum(_share(process) for process in (leader, *leader.children(recursive=True)))
    except psutil.Error:
        return None


def _share(process: psutil.Process) -> int:
    """Shared pages divided by their users, where the system counts that (Linux), else all of them."""
    full = process.memory_full_info()
    return int(getattr(full, "pss", full.rss))
