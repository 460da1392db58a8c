import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from motovaultpro.standalone.directory import DataDirectory
from motovaultpro.standalone.runtime import stack_environment
from motovaultpro.standalone.state import (
    Identity,
    NotRunningError,
    ServiceState,
    StackState,
    read_state,
    running_state,
    wait_until,
)


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    made = DataDirectory(tmp_path / "data")
    made.create()
    return made


def _state(supervisor: Identity) -> StackState:
    return StackState(
        supervisor=supervisor,
        started_at=datetime(2026, 11, 21, tzinfo=UTC),
        url="http://127.0.0.1:8080",
        public_url="http://localhost:8080",
        services=[ServiceState(name="worker", stop_signal=signal.SIGTERM)],
    )


def _me() -> Identity:
    return Identity(pid=os.getpid(), created=psutil.Process().create_time())


def test_tells_a_running_stack_from_a_killed_one(directory: DataDirectory) -> None:
    state = _state(_me())
    state.save(directory.state_file)
    assert running_state(directory) == state
    _state(Identity(pid=os.getpid(), created=1)).save(directory.state_file)
    with pytest.raises(NotRunningError, match="motovault up"):
        running_state(directory)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "{broken"])
def test_a_damaged_state_is_none(directory: DataDirectory, text: str) -> None:
    directory.state_file.write_text(text)
    assert read_state(directory) is None


def test_a_disk_that_takes_nothing_disturbs_nobody(tmp_path: Path) -> None:
    _state(_me()).save(tmp_path / "absent" / "state.json")


def test_other_commands_get_the_settings_of_what_runs(directory: DataDirectory) -> None:
    for name in ("database__url", "database__owner_url", "cache__url", "security__secret_key"):
        directory.keep_secret(name, f"the {name}")
    _state(_me()).save(directory.state_file)
    environment = stack_environment(directory)
    assert environment["MVP_DATABASE__URL"] == "the database__url"
    assert environment["MVP_SECURITY__SECRET_KEY"] == "the security__secret_key"
    assert environment["MVP_SERVER__PUBLIC_URL"] == "http://localhost:8080"
    assert environment["MVP_STORAGE__URL"] == directory.storage.as_uri()


def test_other_commands_learn_that_nothing_runs(directory: DataDirectory) -> None:
    with pytest.raises(NotRunningError, match="--data-dir"):
        stack_environment(directory)


def test_waiting_ends_with_its_deadline() -> None:
    assert wait_until(lambda: True, 0)
    assert not wait_until(lambda: False, 0.1)
