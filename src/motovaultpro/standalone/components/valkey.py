"""Valkey from its wheel: a cache that may forget everything at any moment."""

import secrets
from pathlib import Path
from urllib.parse import quote

from typing_extensions import override
from valkey import Valkey as Client
from valkey.exceptions import ValkeyError

from motovaultpro.standalone.components import binaries, ports
from motovaultpro.standalone.components.component import Component
from motovaultpro.standalone.components.process import Command


class Valkey(Component):
    """Valkey(directory, *, port=0, password=None, memory_megabytes=64, log=None)

    Loopback only, nothing on disk, the least recently used key leaves first. `port` 0 takes a free one,
    `password` is made if absent; `url` is the address with it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        password: str | None = None,
        memory_megabytes: int = 64,
        log: Path | None = None,
    ) -> None:
        super().__init__()
        self.directory = directory.resolve()
        self.port = port
        self.log = log or self.directory / "valkey.log"
        self._password = password or secrets.token_urlsafe(32)
        self._memory_megabytes = memory_megabytes

    @property
    def url(self) -> str:
        return f"valkey://:{quote(self._password, safe='')}@{ports.LOOPBACK}:{self.port}/0"

    @override
    def prepare(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = self.port or ports.free_port()
        # A file, because arguments are visible to everyone on the machine.
        self._configuration.touch(mode=0o600)
        self._configuration.write_text(
            f"bind {ports.LOOPBACK}\n"
            f"port {self.port}\n"
            f"requirepass {self._password}\n"
            f"maxmemory {self._memory_megabytes}mb\n"
            "maxmemory-policy allkeys-lru\n"
            'save ""\n'
            "appendonly no\n"
            "daemonize no\n"
        )

    @override
    def command(self) -> Command:
        return Command(
            argv=(str(binaries.find_valkey()), str(self._configuration)),
            log=self.log,
            directory=self.directory,
        )

    @override
    def is_ready(self) -> bool:
        with Client.from_url(self.url, socket_timeout=1, socket_connect_timeout=1) as client:
            try:
                return bool(client.ping())
            except ValkeyError:
                return False

    @property
    def _configuration(self) -> Path:
        return self.directory / "valkey.conf"
