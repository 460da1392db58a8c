import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import psutil
import pytest

from motovaultpro.standalone import leftovers
from motovaultpro.standalone.state import Identity, ServiceState, StackState
from tests.standalone.waiting import eventually, gone

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def leader() -> Iterator[psutil.Process]:
    """A service in its own session, with a worker."""
    script = "sleep 600 & echo up; wait"
    with subprocess.Popen(
        ["/bin/sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = psutil.Process(child.pid)
        workers = process.children()
        yield process
        for each in (process, *workers):
            if not gone(each):
                each.kill()


def _state(leader: psutil.Process, created: float | None = None) -> StackState:
    identity = Identity(pid=leader.pid, created=created or leader.create_time())
    service = ServiceState(name="backend-1", identity=identity, stop_signal=signal.SIGTERM)
    never = ServiceState(name="traefik", stop_signal=signal.SIGTERM)
    dead = Identity(pid=leader.pid, created=1)
    return StackState(
        supervisor=dead, started_at=NOW, url="", public_url="", services=[service, never]
    )


def test_ends_a_service_and_its_workers(leader: psutil.Process) -> None:
    workers = leader.children()
    assert leftovers.stop_leftovers(_state(leader)) == ["backend-1"]
    assert all(map(gone, [leader, *workers]))


def test_ends_the_workers_of_a_dead_service(leader: psutil.Process) -> None:
    state, workers = _state(leader), leader.children()
    leader.kill()
    leader.wait()
    assert leftovers.stop_leftovers(state) == ["backend-1"]
    eventually(lambda: all(map(gone, workers)))
    assert leftovers.find_leftovers(state) == {}


def test_never_touches_a_stranger_with_the_same_number(leader: psutil.Process) -> None:
    assert leftovers.stop_leftovers(_state(leader, created=leader.create_time() - 60)) == []
    assert not gone(leader)


def test_kills_what_does_not_listen(
    leader: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_STOP_SECONDS", 0.2)
    leader.suspend()
    leftovers.stop_leftovers(_state(leader))
    assert gone(leader)
