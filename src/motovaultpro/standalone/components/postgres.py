"""PostgreSQL from its wheel: a cluster of our own on the loopback interface."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString
from urllib.parse import quote

import psycopg
from psycopg import sql
from typing_extensions import override

from motovaultpro.standalone.components import accounts, binaries, ports
from motovaultpro.standalone.components.component import Component
from motovaultpro.standalone.components.errors import ComponentError
from motovaultpro.standalone.components.process import Command

SUPERUSER = "postgres"
OWNER_ROLE = "motovault_owner"
APP_ROLE = "motovault_app"
DATABASE = "motovault"
_MAP = "operator"
_SOCKET_PATH_LIMIT = 100  # the kernel's is 104 on macOS, 108 on Linux
_STOP_SECONDS = 30
_FAST: dict[str, str] = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class Postgres(Component):
    """Postgres(directory, *, port=0, binaries=None, durable=True, owner_password=None, app_password=None,
    max_connections=100, log=None)

    - `directory`: made if absent; holds `data/` (the cluster), the socket and, as root, a copy of the programs
      where the account that runs the server cannot reach the wheel.
    - `port`: 0 takes a free one. `durable=False` gives up crash safety for speed: tests only.
    - Passwords: made if absent, set on the roles at every start.

    `start()` leaves the database `motovault`, owned by `motovault_owner`, and the role `motovault_app`, which owns
    nothing. Both come in by password over TCP; the superuser only through the socket, only as the operating system's user
    that runs this or the server.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        binaries: Path | None = None,
        durable: bool = True,
        owner_password: str | None = None,
        app_password: str | None = None,
        max_connections: int = 100,
        log: Path | None = None,
    ) -> None:
        super().__init__()
        self.directory = directory.resolve()
        self.port = port
        self.log = log or self.directory / "postgres.log"
        self._binaries_override = binaries
        self._durable = durable
        self._max_connections = max_connections
        self._passwords = {
            OWNER_ROLE: owner_password or secrets.token_urlsafe(32),
            APP_ROLE: app_password or secrets.token_urlsafe(32),
        }
        self._data = self.directory / "data"
        self._account: accounts.Account | None = None
        self._programs = Path()
        self._sockets = self.directory
        self._own_sockets: Path | None = None

    @property
    def owner_url(self) -> str:
        return self.url(OWNER_ROLE)

    @property
    def app_url(self) -> str:
        return self.url(APP_ROLE)

    def url(self, role: str, database: str = DATABASE) -> str:
        """postgresql:// address for one of the two roles."""
        password = quote(self._passwords[role], safe="")
        return f"postgresql://{role}:{password}@{ports.LOOPBACK}:{self.port}/{database}"

    def superuser_url(self, database: str = SUPERUSER) -> str:
        """postgresql:// address through the socket."""
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self._sockets), safe='')}&port={self.port}"

    @override
    def prepare(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._account = accounts.server_account(self._data)
        if self._account is not None:
            accounts.require_reachable(self._account, self.directory.parent)
            os.chown(self.directory, self._account.user, self._account.group)
        self._programs = self._reachable_programs()
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        self._require_same_version()
        self._write_access_rules()
        self.port = self.port or ports.free_port()
        self._choose_socket_directory()

    @override
    def command(self) -> Command:
        settings = {
            "listen_addresses": ports.LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            "max_connections": str(self._max_connections),
            "log_line_prefix": "%m [%p] ",
            "timezone": "UTC",
            "log_timezone": "UTC",
        } | ({} if self._durable else _FAST)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Command(
            argv=(str(self._programs / "postgres"), "-D", str(self._data), *options),
            log=self.log,
            directory=self._data,
            account=self._account,
            stop_signal=signal.SIGINT,  # "fast": ends sessions instead of waiting for them
            stop_seconds=_STOP_SECONDS,
        )

    @override
    def is_ready(self) -> bool:
        try:
            with self._superuser():
                return True
        except psycopg.OperationalError:
            return False

    @override
    def introduce(self) -> None:
        with self._superuser() as connection:
            for role in (OWNER_ROLE, APP_ROLE):
                self._ensure_role(connection, role)
            if not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", DATABASE):
                connection.execute(_owned_database(DATABASE))

    @override
    def stop(self) -> int | None:
        code = super().stop()
        if self._own_sockets is not None:
            shutil.rmtree(self._own_sockets, ignore_errors=True)
            self._own_sockets = None
        return code

    def create_database(self, name: str, *, template: str = "template1") -> None:
        """A database owned by `motovault_owner`; `template` must have no open connections."""
        with self._superuser() as connection:
            connection.execute(
                _owned_database(name) + sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
            )

    def drop_database(self, name: str) -> None:
        """Ends its connections first."""
        with self._superuser() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    @contextmanager
    def _superuser(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(
            self.superuser_url(), autocommit=True, connect_timeout=2
        ) as connection:
            yield connection

    def _ensure_role(self, connection: psycopg.Connection, role: str) -> None:
        if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role):
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        # Hashed here, so that no statement, and no log, ever holds the password.
        sealed = connection.pgconn.encrypt_password(
            self._passwords[role].encode(), role.encode(), b"scram-sha-256"
        ).decode()
        connection.execute(
            sql.SQL(
                "ALTER ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD {}"
            ).format(sql.Identifier(role), sql.Literal(sealed))
        )

    def _reachable_programs(self) -> Path:
        found = binaries.find_postgres(self._binaries_override)
        if accounts.can(self._account, "x", found / "postgres"):
            return found
        return binaries.copy_postgres(found, self.directory)

    def _initialise(self) -> None:
        # A name of its own until it is whole: an interrupted initdb leaves nothing that looks like a cluster.
        partial = self.directory / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        command = [
            str(self._programs / "initdb"),
            *("--pgdata", str(partial), "--username", SUPERUSER, "--encoding", "UTF8"),
            *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *("--auth-local", "peer", "--auth-host", "scram-sha-256", "--data-checksums"),
            *(() if self._durable else ("--no-sync",)),
        ]
        account = self._account
        result = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            user=account.user if account else None,
            group=account.group if account else None,
            extra_groups=[] if account else None,
        )
        if result.returncode != 0:
            raise ComponentError(f"initdb failed.\n{result.stdout}{result.stderr}".strip())
        partial.rename(self._data)

    def _require_same_version(self) -> None:
        cluster = (self._data / "PG_VERSION").read_text().strip()
        answer = subprocess.run(
            [str(self._programs / "postgres"), "--version"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        program = answer.split()[2].partition(".")[0]
        if cluster != program:
            raise ComponentError(
                f"{self._data} was made by PostgreSQL {cluster}, but this is {program}. Install "
                f"{cluster} and name its directory in MVP_PG_BIN, or restore a backup into a new --data-dir."
            )

    def _write_access_rules(self) -> None:
        users = {accounts.own_name(), self._account.name if self._account else accounts.own_name()}
        identities = "".join(f"{_MAP} {user} {SUPERUSER}\n" for user in sorted(users))
        self._write("pg_ident.conf", identities)
        self._write(
            "pg_hba.conf",
            f"local all {SUPERUSER} peer map={_MAP}\n"
            f"host all {SUPERUSER} all reject\n"
            f"host all all {ports.LOOPBACK}/32 scram-sha-256\n",
        )

    def _write(self, name: str, text: str) -> None:
        file = self._data / name  # there since initdb, so its owner stays the account
        if file.read_text() != text:
            file.write_text(text)

    def _choose_socket_directory(self) -> None:
        self._sockets = self.directory
        if len(os.fsencode(self.directory / f".s.PGSQL.{self.port}")) <= _SOCKET_PATH_LIMIT:
            return
        self._own_sockets = self._sockets = Path(tempfile.mkdtemp(prefix="motovault-"))
        if self._account is not None:
            os.chown(self._sockets, self._account.user, self._account.group)


def _exists(connection: psycopg.Connection, query: LiteralString, name: str) -> bool:
    return connection.execute(query, (name,)).fetchone() is not None


def _owned_database(name: str) -> sql.Composed:
    return sql.SQL("CREATE DATABASE {} OWNER {}").format(
        sql.Identifier(name), sql.Identifier(OWNER_ROLE)
    )
