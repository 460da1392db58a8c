import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from motovaultpro.core.settings import SettingsError, described, load_settings

NEEDED = {
    "MVP_DATABASE__URL": "postgresql://app@localhost/motovault",
    "MVP_STORAGE__URL": "file:///srv/files",
    "MVP_SECURITY__SECRET_KEY": "k" * 32,
}
Environment = Callable[..., None]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environment:
    """Sets what is given and what every process needs, and nothing else of ours."""

    def use(needed: dict[str, str] = NEEDED, **variables: str) -> None:
        for name in [name for name in os.environ if name.startswith("MVP_")]:  # noqa: TID251 - the test's own
            monkeypatch.delenv(name)
        for name, value in {
            **needed,
            "MVP_SECRETS_DIR": str(tmp_path / "none"),
            **variables,
        }.items():
            monkeypatch.setenv(name, value)

    return use


def problems() -> list[str]:
    with pytest.raises(SettingsError) as failure:
        load_settings()
    return failure.value.problems


def test_the_environment_comes_before_secret_files_before_the_toml_file(
    environment: Environment, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("port", "host"):
        (secrets / f"server__{name}").write_text("1" if name == "port" else "secret.example")
    toml = tmp_path / "motovault.toml"
    toml.write_text('[server]\nport = 2\nhost = "toml.example"\nmetrics_port = 3\n')
    environment(MVP_SERVER__PORT="4", MVP_SECRETS_DIR=str(secrets), MVP_CONFIG_FILE=str(toml))

    server = load_settings().server

    assert (server.port, server.host, server.metrics_port) == (4, "secret.example", 3)


def test_what_is_missing_is_named_by_its_variable(environment: Environment) -> None:
    environment({})

    assert sorted(problems()) == [
        "MVP_DATABASE__URL: Field required",
        "MVP_SECURITY__SECRET_KEY: Field required",
        "MVP_STORAGE__URL: Field required",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        (
            "MVP_SERVER__PORT",
            "70000",
            "MVP_SERVER__PORT: Input should be less than or equal to 65535",
        ),
        (
            "MVP_SECURITY__SECRET_KEY",
            "short",
            "MVP_SECURITY__SECRET_KEY: Value should have at least 32",
        ),
        (
            "MVP_DATABASE__POOL_MIN",
            "50",
            "MVP_DATABASE: Value error, pool_min must not be above pool_max",
        ),
        ("MVP_STORAGE__URL", "ftp://x", "MVP_STORAGE__URL: String should match pattern"),
        (
            "MVP_SERVER__PUBLIC_URL",
            "localhost",
            "MVP_SERVER__PUBLIC_URL: String should match pattern",
        ),
        ("MVP_SERVER__PROT", "80", "MVP_SERVER__PROT: Extra inputs are not permitted"),
        ("MVP_CONFIG_FILE", "/nowhere.toml", "MVP_CONFIG_FILE: there is no file /nowhere.toml"),
    ],
)
def test_what_is_wrong_is_named(
    environment: Environment, variable: str, value: str, problem: str
) -> None:
    environment(**{variable: value})

    (found,) = problems()

    assert found.startswith(problem)


def test_a_file_that_is_not_toml_is_named(environment: Environment, tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text("[server\n")
    environment(MVP_CONFIG_FILE=str(file))

    (found,) = problems()

    assert found.startswith(f"MVP_CONFIG_FILE: {file} is not TOML")


def test_secrets_are_hidden_where_settings_are_shown(environment: Environment) -> None:
    environment(MVP_DATABASE__URL="postgresql://app:hunter2@localhost/motovault")

    settings = load_settings()
    shown = {item.variable: item.value for item in described(settings)}

    assert "hunter2" not in repr(settings)
    assert "hunter2" not in "".join(shown.values())
    assert shown["MVP_SERVER__PORT"] == "8000"
    assert shown["MVP_CACHE__URL"] == "none"
    assert settings.security.session_idle == timedelta(minutes=30)


def test_every_setting_says_what_it_is_for() -> None:
    assert all(item.description for item in described())
