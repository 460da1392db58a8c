"""Settings: nested, typed, validated at start.

Precedence, first wins: environment (`MVP_SECTION__KEY`), secret files (`<MVP_SECRETS_DIR>/section__key`,
default `/run/secrets`), the TOML file named by `MVP_CONFIG_FILE`. `docs/operations/configuration.md` lists every key.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from typing_extensions import override

MIB = 1024 * 1024
MIN_SECRET_LENGTH = 32


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Section):
    host: str = Field("127.0.0.1", description="Address the service listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the service listens on.")
    metrics_port: int = Field(
        9100, ge=0, le=65535, description="Port of /metrics; never route it publicly."
    )
    public_url: str = Field(
        "http://localhost:8080",
        pattern=r"^https?://[^/]+$",
        description="Address people type, without a path. https makes cookies Secure.",
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
        description="Networks whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    )
    max_body_bytes: int = Field(MIB, ge=1024, description="Largest request body, uploads excepted.")
    drain_seconds: float = Field(
        30, ge=0, le=300, description="Longest wait for requests in flight at a stop."
    )
    ready_grace_seconds: float = Field(
        5,
        ge=0,
        le=120,
        description="Time between readiness turning 503 and the drain, for the balancer to notice.",
    )


class DatabaseSettings(_Section):
    url: SecretStr = Field(
        description="postgresql:// address with the application's role, which owns no table.",
        min_length=1,
    )
    owner_url: SecretStr | None = Field(
        None,
        description="postgresql:// address with the owning role; only `motovault migrate` needs it.",
    )
    listen_url: SecretStr | None = Field(
        None,
        description="Direct address for LISTEN where `url` goes through a transaction pool; default `url`.",
    )
    pool_min: int = Field(5, ge=1, le=100, description="Connections a process keeps open.")
    pool_max: int = Field(
        10, ge=1, le=100, description="Most connections a process opens; see max_connections."
    )
    pool_lifetime_seconds: int = Field(
        300, ge=10, description="A connection older than this is replaced."
    )
    pool_wait_seconds: float = Field(
        5, gt=0, description="Longest wait for a free connection, then 503."
    )
    statement_timeout_seconds: float = Field(15, gt=0, description="Longest run of one statement.")

    @model_validator(mode="after")
    def _limits_agree(self) -> "DatabaseSettings":
        if self.pool_min > self.pool_max:
            raise ValueError("pool_min must not be above pool_max")
        return self


class CacheSettings(_Section):
    url: SecretStr | None = Field(
        None,
        description="valkey://, valkey+sentinel:// or valkey+cluster:// address; none = in-process cache only.",
    )
    l1_entries: int = Field(10_000, ge=0, description="Entries of the in-process cache.")


class StorageSettings(_Section):
    url: str = Field(
        description="file:///absolute/directory or s3://bucket.",
        pattern=r"^(file:///.+|s3://[a-z0-9.\-]+)$",
    )
    secondary_url: str | None = Field(
        None,
        description="Where reads look for what `url` does not have, during a move.",
        pattern=r"^(file:///.+|s3://[a-z0-9.\-]+)$",
    )
    endpoint: str | None = Field(None, description="S3 endpoint, http(s)://host:port; none = AWS.")
    region: str = Field("us-east-1", description="S3 region.")
    access_key_id: SecretStr | None = Field(None, description="S3 access key id.")
    secret_access_key: SecretStr | None = Field(None, description="S3 secret access key.")
    patience_seconds: float = Field(
        15,
        gt=0,
        le=300,
        description="Longest wait for the store to take or give one part of 5 MiB.",
    )
    max_upload_bytes: int = Field(2048 * MIB, ge=1024, description="Largest upload.")
    spool_max_bytes: int = Field(
        10 * MIB, ge=0, description="Largest upload kept in PostgreSQL while the storage is down."
    )


class SecuritySettings(_Section):
    secret_key: SecretStr = Field(
        min_length=MIN_SECRET_LENGTH,
        description="At least 32 random characters; seals the token signing keys and keys in-memory hashes.",
    )
    session_idle: timedelta = Field(
        timedelta(minutes=30), description="A session unused for this long ends."
    )
    session_remember: timedelta = Field(
        timedelta(days=30), description='Idle time with "remember me".'
    )
    access_token_lifetime: timedelta = Field(
        timedelta(minutes=15), description="Life of a bearer token."
    )
    refresh_token_lifetime: timedelta = Field(
        timedelta(days=30), description="Life of a refresh token."
    )
    signing_key_lifetime: timedelta = Field(
        timedelta(days=30),
        description="A signing key is replaced after this, and verifies for as long as tokens live.",
    )
    reset_token_lifetime: timedelta = Field(
        timedelta(hours=1), description="Life of a password reset link."
    )
    sign_in_rate: str = Field(
        "10/minute",
        pattern=r"^\d+/(second|minute|hour)$",
        description="Sign-in attempts per address and name.",
    )


class ObservabilitySettings(_Section):
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level logged."
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="JSON lines, or text for people."
    )
    otlp_endpoint: str | None = Field(None, description="OTLP/HTTP address for traces; none = off.")


class WorkerSettings(_Section):
    concurrency: int = Field(4, ge=1, le=64, description="Jobs run at once by one worker.")
    max_attempts: int = Field(
        10, ge=1, description="Deliveries of an event before it is set aside."
    )


class Settings(BaseSettings):
    """All settings. `load_settings()` reads and checks them."""

    model_config = SettingsConfigDict(
        env_prefix="MVP_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        secrets_nested_delimiter="__",
        secrets_dir_missing="ok",
        secrets_prefix="",
    )

    environment: Literal["development", "production"] = Field(
        "production", description="development relaxes nothing but the log format and API explorer."
    )
    server: ServerSettings = Field(default_factory=ServerSettings)
    database: DatabaseSettings
    cache: CacheSettings = Field(default_factory=CacheSettings)
    storage: StorageSettings
    security: SecuritySettings
    observability: ObservabilitySettings = Field(default_factory=ObservabilitySettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            env_settings,
            NestedSecretsSettingsSource(
                file_secret_settings, secrets_dir=os.environ.get("MVP_SECRETS_DIR", "/run/secrets")
            ),
            TomlConfigSettingsSource(settings_cls, toml_file=_config_file()),
        )


def _config_file() -> Path | None:
    name = os.environ.get("MVP_CONFIG_FILE")
    return Path(name) if name else None


class SettingsError(Exception):
    """Settings are missing or unsafe; `problems` has one line for each, naming the variable to set."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_settings() -> Settings:
    """Read and check all settings. Raises `SettingsError`."""
    config_file = _config_file()
    if config_file is not None and not config_file.is_file():
        raise SettingsError([f"MVP_CONFIG_FILE: there is no file {config_file}"])
    try:
        return Settings()
    except TOMLDecodeError as error:
        raise SettingsError([f"MVP_CONFIG_FILE: {config_file} is not TOML: {error}"]) from None
    except ValidationError as error:
        raise SettingsError(
            [
                _problem(location, item["msg"])
                for item in error.errors()
                for location in _named(item["loc"], item["type"])
            ]
        ) from None


def _named(location: tuple[int | str, ...], kind: str) -> list[tuple[int | str, ...]]:
    """Where the problem is; of a section that is not there at all, the settings that it must have."""
    is_section = kind == "missing" and len(location) == 1
    field = Settings.model_fields.get(str(location[0])) if is_section else None
    section = None if field is None else field.annotation
    if not (isinstance(section, type) and issubclass(section, BaseModel)):
        return [location]
    return [(*location, name) for name, each in section.model_fields.items() if each.is_required()]


def _problem(location: tuple[int | str, ...], message: str) -> str:
    name = "MVP_" + "__".join(str(part).upper() for part in location)
    return f"{name}: {message}"


@dataclass(frozen=True)
class DescribedSetting:
    """One setting for people: its environment variable, what it is for, its default and its value."""

    variable: str
    description: str
    default: str
    value: str


def described(settings: Settings | None = None) -> list[DescribedSetting]:
    """Every setting; values of `settings`, secrets hidden. Without it values are empty (the documentation's table)."""
    return list(_described(Settings, settings, "MVP_"))


def _described(
    model: type[BaseModel], instance: BaseModel | None, prefix: str
) -> Iterator[DescribedSetting]:
    for name, field in model.model_fields.items():
        value = None if instance is None else getattr(instance, name)
        variable = f"{prefix}{name.upper()}"
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from _described(section, value, f"{variable}__")
            continue
        default = "required" if field.is_required() else _shown(field.default)
        yield DescribedSetting(variable, field.description or "", default, _shown(value))


def _shown(value: object) -> str:
    match value:
        case None:
            return "none"
        case tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)
