"""What one start of the stack consists of: services, their ports and secrets, and their order."""

import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from motovaultpro.core.clock import Clock
from motovaultpro.standalone.components import ports
from motovaultpro.standalone.components.certificate import ensure_certificate
from motovaultpro.standalone.components.postgres import Postgres
from motovaultpro.standalone.components.process import Command, launched
from motovaultpro.standalone.components.traefik import RATE_LIMIT, Traefik
from motovaultpro.standalone.components.valkey import Valkey
from motovaultpro.standalone.directory import DataDirectory
from motovaultpro.standalone.keeper import Service
from motovaultpro.standalone.runtime import service_environment

DEFAULT_PORT = 8080
DEFAULT_TLS_PORT = 8443
_STOP_SECONDS = 35  # a drain of 30, and some
_SETUP_LINK_SECONDS = 20
_CONNECTIONS_PER_PROCESS = 12  # a pool of 10, and one that listens
_SPARE_CONNECTIONS = 40
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - recognized, not bound
_OWN = (sys.executable, "-m", "motovaultpro.cli")


@dataclass(frozen=True)
class Programs:
    """What the services run. Each gets the stack's `MVP_*` variables; a backend serves MVP_SERVER__PORT,
    a worker its metrics on MVP_SERVER__METRICS_PORT."""

    migrate: tuple[str, ...] = (*_OWN, "migrate")
    backend: tuple[str, ...] = (*_OWN, "serve", "backend")
    worker: tuple[str, ...] = (*_OWN, "worker")
    setup_link: tuple[str, ...] = (*_OWN, "users", "setup-link")


@dataclass(frozen=True)
class StackOptions:
    """`port` None: 8080 if it is free, else any. `public_url` None: made from host and port."""

    host: str = ports.LOOPBACK
    port: int | None = None
    tls: bool = False
    public_url: str | None = None
    replicas: int = 1
    rate_limit: int = RATE_LIMIT
    postgres_binaries: Path | None = None
    programs: Programs = field(default_factory=Programs)


class Plan:
    """Chooses ports and writes the secret files when made; `stages` is what to start."""

    def __init__(self, directory: DataDirectory, options: StackOptions, clock: Clock) -> None:
        self._directory = directory
        self._options = options
        port = _public_port(options.port, DEFAULT_PORT, options.host)
        self._taken = [port]
        tls_port = _public_port(None, DEFAULT_TLS_PORT, options.host) if options.tls else 0
        self._taken.append(tls_port)
        self.public_url = options.public_url or _public_url(options.host, port, tls_port)
        self._environment = service_environment(directory, self.public_url)
        postgres, valkey = self._postgres(), self._valkey()
        backend_ports = [self._port() for _ in range(options.replicas)]
        self.traefik = Traefik(
            directory.traefik,
            backends=[f"http://{ports.LOOPBACK}:{number}" for number in backend_ports],
            host=options.host,
            port=port,
            tls_port=tls_port,
            rate_limit=options.rate_limit,
            certificate=self._certificate(clock) if options.tls else None,
            log=directory.log_file("traefik"),
        )
        self.stages: Sequence[Sequence[Service]] = (
            (Service.of("postgres", postgres), Service.of("valkey", valkey)),
            (self._migrate(),),
            (
                *(self._backend(n, number) for n, number in enumerate(backend_ports, 1)),
                self._worker(),
            ),
            # It lets requests in flight finish, for which the backends may not wait: they end the endless ones.
            (Service.of("traefik", self.traefik, holds_stop=False),),
        )

    def service_names(self) -> list[str]:
        return [service.name for stage in self.stages for service in stage]

    def setup_path(self) -> str | None:
        """The path of the one-time first-run link; None once an owner exists."""
        command = self._command("setup-link", self._options.programs.setup_link)
        try:
            result = subprocess.run(
                launched(command),
                check=False,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                cwd=command.directory,
                timeout=_SETUP_LINK_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return None
        return result.stdout.strip() or None if result.returncode == 0 else None

    def _postgres(self) -> Postgres:
        processes = self._options.replicas + 2
        postgres = Postgres(
            self._directory.postgres,
            port=self._port(),
            binaries=self._options.postgres_binaries,
            owner_password=self._directory.password("database__owner_url"),
            app_password=self._directory.password("database__url"),
            max_connections=_SPARE_CONNECTIONS + _CONNECTIONS_PER_PROCESS * processes,
            log=self._directory.log_file("postgres"),
        )
        self._directory.keep_secret("database__owner_url", postgres.owner_url)
        self._directory.keep_secret("database__url", postgres.app_url)
        return postgres

    def _valkey(self) -> Valkey:
        valkey = Valkey(
            self._directory.valkey,
            port=self._port(),
            password=self._directory.password("cache__url"),
            log=self._directory.log_file("valkey"),
        )
        self._directory.keep_secret("cache__url", valkey.url)
        self._directory.ensure_secret_key()
        return valkey

    def _certificate(self, clock: Clock) -> tuple[Path, Path]:
        hosts = () if self._options.host in _WILDCARDS else (self._options.host,)
        return ensure_certificate(self._directory.traefik / "tls", hosts, clock())

    def _migrate(self) -> Service:
        command = self._command("migrate", self._options.programs.migrate)
        return Service("migrate", lambda: command, one_shot=True)

    def _worker(self) -> Service:
        port = self._port()
        command = self._command(
            "worker",
            self._options.programs.worker,
            MVP_SERVER__HOST=ports.LOOPBACK,
            MVP_SERVER__METRICS_PORT=str(port),
        )
        return _http_service("worker", command, port, "/metrics")

    def _backend(self, replica: int, port: int) -> Service:
        # Longer than a round of Traefik's health checks, where there is another to take over.
        grace = 1.5 if self._options.replicas > 1 else 0.5
        command = self._command(
            f"backend-{replica}",
            self._options.programs.backend,
            MVP_SERVER__HOST=ports.LOOPBACK,
            MVP_SERVER__PORT=str(port),
            MVP_SERVER__METRICS_PORT=str(self._port()),
            MVP_SERVER__READY_GRACE_SECONDS=str(grace),
        )
        return _http_service(f"backend-{replica}", command, port, "/health/ready")

    def _command(self, name: str, argv: tuple[str, ...], **variables: str) -> Command:
        return Command(
            argv=argv,
            log=self._directory.log_file(name),
            directory=self._directory.root,
            environment=self._environment | {"MVP_OBSERVABILITY__LOG_FORMAT": "json"} | variables,
            inherit=True,
            stop_seconds=_STOP_SECONDS,
        )

    def _port(self) -> int:
        port = ports.free_port(self._taken)
        self._taken.append(port)
        return port


def answers(url: str) -> bool:
    """Whether it answers with success within two seconds."""
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _http_service(name: str, command: Command, port: int, path: str) -> Service:
    url = f"http://{ports.LOOPBACK}:{port}{path}"
    return Service(
        name,
        lambda: command,
        is_ready=partial(answers, url),
        port=lambda: port,
        health_url=url,
    )


def _public_port(wanted: int | None, usual: int, host: str) -> int:
    if wanted is None:
        return usual if ports.is_free(usual, host) else ports.free_port()
    ports.require_free(wanted, host)
    return wanted


def _public_url(host: str, port: int, tls_port: int) -> str:
    if host in _WILDCARDS:
        name = socket.gethostname()
    else:
        name = "localhost" if host == ports.LOOPBACK else host
    name = f"[{name}]" if ":" in name else name
    return f"https://{name}:{tls_port}" if tls_port else f"http://{name}:{port}"
