"""The data directory of one stack: where everything is, its secrets, and who holds it."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import platformdirs

from motovaultpro.standalone.components.errors import ComponentError

# Another account, that of PostgreSQL, must be able to walk through when we are root.
_ROOT_MODE, _USER_MODE = 0o711, 0o700


class DirectoryBusyError(ComponentError):
    """Another supervisor holds the data directory."""


def default_directory() -> Path:
    """XDG's place for a user's data; for root, whose home no server account may enter, /var/lib."""
    if os.getuid() == 0:
        return Path("/var/lib/motovaultpro")
    return Path(platformdirs.user_data_dir("motovaultpro", appauthor=False))


class DataDirectory:
    """Paths below the data directory. `create` makes what is missing; nothing that exists changes its mode."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self.postgres = self.root / "postgres"
        self.valkey = self.root / "valkey"
        self.storage = self.root / "storage"
        self.traefik = self.root / "traefik"
        self.logs = self.root / "logs"
        self.secrets = self.root / "secrets"
        self.run = self.root / "run"
        self.state_file = self.run / "state.json"

    def create(self) -> None:
        try:
            if not self.root.exists():
                self.root.mkdir(parents=True)
                # Why not mkdir's own mode: a strict umask would shut out the account that runs PostgreSQL for root.
                self.root.chmod(_ROOT_MODE if os.getuid() == 0 else _USER_MODE)
            for part in (
                self.valkey,
                self.storage,
                self.traefik,
                self.logs,
                self.secrets,
                self.run,
            ):
                part.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ComponentError(
                f"The data directory cannot be made: {error}. Choose another with --data-dir."
            ) from error

    def log_file(self, service: str) -> Path:
        return self.logs / f"{service}.log"

    def keep_secret(self, name: str, value: str) -> None:
        """Writes a file that only we can read, never half of it."""
        write_private(self.secrets / name, value)

    def ensure_secret_key(self) -> None:
        """Made once: everything it sealed depends on it."""
        name = "security__secret_key"
        if not (self.secrets / name).exists():
            self.keep_secret(name, secrets.token_urlsafe(48))

    def password(self, name: str) -> str:
        """The password in the kept address `name`, a new one where there is none."""
        file = self.secrets / name
        known = urlsplit(file.read_text()).password if file.exists() else None
        return unquote(known) if known else secrets.token_urlsafe(32)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keeps every other supervisor out until we end, however we end. Raises `DirectoryBusyError`."""
        with (self.run / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read().strip() or "unknown"
                raise DirectoryBusyError(
                    f"MotoVaultPro already runs on {self.root} (process {holder}). "
                    "See it with `motovault status`, stop it with `motovault down`."
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield


def write_private(file: Path, text: str) -> None:
    partial = file.with_name(f".{file.name}.partial")
    partial.unlink(missing_ok=True)
    with open(partial, "x", opener=_private) as stream:
        stream.write(text)
    partial.replace(file)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
