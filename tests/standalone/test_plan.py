import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from motovaultpro.core.clock import system_clock
from motovaultpro.standalone import plan as plan_module
from motovaultpro.standalone.components.errors import PortTakenError
from motovaultpro.standalone.components.ports import free_port
from motovaultpro.standalone.directory import DataDirectory
from motovaultpro.standalone.plan import Plan, Programs, StackOptions

Make = Callable[[StackOptions], Plan]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(plan_module, "DEFAULT_PORT", free_port())
    monkeypatch.setattr(plan_module, "DEFAULT_TLS_PORT", free_port())
    directory = DataDirectory(tmp_path / "data")
    directory.create()
    return lambda options: Plan(directory, options, system_clock)


def test_starts_what_others_need_first(make: Make) -> None:
    plan = make(StackOptions(replicas=2))
    assert [[service.name for service in stage] for stage in plan.stages] == [
        ["postgres", "valkey"],
        ["migrate"],
        ["backend-1", "backend-2", "worker"],
        ["traefik"],
    ]


@pytest.mark.parametrize(
    ("host", "public_url", "expected"),
    [
        ("127.0.0.1", None, "http://localhost:{port}"),
        ("0.0.0.0", None, f"http://{socket.gethostname()}:{{port}}"),  # noqa: S104 - that is the case
        ("127.0.0.2", None, "http://127.0.0.2:{port}"),
        ("127.0.0.1", "https://garage.example", "https://garage.example"),
    ],
)
def test_the_public_address(make: Make, host: str, public_url: str | None, expected: str) -> None:
    plan = make(StackOptions(host=host, public_url=public_url))
    assert plan.public_url == expected.format(port=plan_module.DEFAULT_PORT)


def test_with_tls_the_public_address_is_the_secure_one(make: Make, tmp_path: Path) -> None:
    plan = make(StackOptions(tls=True, host="127.0.0.2"))
    assert plan.public_url == f"https://127.0.0.2:{plan_module.DEFAULT_TLS_PORT}"
    assert (tmp_path / "data" / "traefik" / "tls" / "certificate.pem").exists()


def test_takes_any_port_where_the_usual_one_is_busy_but_never_instead_of_a_wish(make: Make) -> None:
    with socket.create_server(("127.0.0.1", plan_module.DEFAULT_PORT)):
        assert make(StackOptions()).traefik.port != plan_module.DEFAULT_PORT
        with pytest.raises(PortTakenError, match="--port"):
            make(StackOptions(port=plan_module.DEFAULT_PORT))
    assert make(StackOptions()).traefik.port == plan_module.DEFAULT_PORT


def test_passwords_and_key_outlive_a_start_and_addresses_follow_the_ports(
    make: Make, tmp_path: Path
) -> None:
    secrets = tmp_path / "data" / "secrets"

    def password_and_rest() -> dict[str, tuple[str, str]]:
        make(StackOptions())
        texts = {file.name: file.read_text() for file in secrets.iterdir()}
        return {name: (text.rpartition("@")[0], text) for name, text in texts.items()}

    first, second = password_and_rest(), password_and_rest()
    for name in ("database__url", "database__owner_url", "cache__url"):
        assert first[name][0] == second[name][0]
    assert first["database__url"] != second["database__url"]
    assert first["security__secret_key"] == second["security__secret_key"]


@pytest.mark.parametrize(
    ("program", "path"),
    [
        (("/bin/echo", "/setup?token=x"), "/setup?token=x"),
        (("/bin/true",), None),
        (("/bin/false",), None),
    ],
)
def test_the_first_run_link(make: Make, program: tuple[str, ...], path: str | None) -> None:
    options = StackOptions(programs=Programs(setup_link=program))
    assert make(options).setup_path() == path


def test_a_link_that_takes_too_long_is_left_out(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "_SETUP_LINK_SECONDS", 0.05)
    options = StackOptions(programs=Programs(setup_link=("/bin/sleep", "60")))
    assert make(options).setup_path() is None
