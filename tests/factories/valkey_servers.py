"""Valkey as a Sentinel, and as a cluster of one node."""

import dataclasses
import time
from contextlib import suppress
from pathlib import Path

from typing_extensions import override
from valkey import Valkey as Client
from valkey.exceptions import ResponseError

from motovaultpro.standalone.components.ports import LOOPBACK, free_port
from motovaultpro.standalone.components.process import Command
from motovaultpro.standalone.components.valkey import Valkey

DEADLINE_SECONDS = 10


class Sentinel(Valkey):
    """Watches one server, whose password is `password`, as `service`. Has no password itself, as is usual."""

    def __init__(self, directory: Path, watched: Valkey, *, service: str, password: str) -> None:
        super().__init__(directory)
        self._watched = watched
        self._service = service
        self._password_of_watched = password

    @property
    @override
    def url(self) -> str:
        return f"valkey://{LOOPBACK}:{self.port}"

    @override
    def prepare(self) -> None:
        super().prepare()
        self._configuration.write_text(
            f"bind {LOOPBACK}\nport {self.port}\n"
            f"sentinel monitor {self._service} {LOOPBACK} {self._watched.port} 1\n"
            f"sentinel auth-pass {self._service} {self._password_of_watched}\n"
        )

    @override
    def command(self) -> Command:
        command = super().command()
        return dataclasses.replace(command, argv=(*command.argv, "--sentinel"))


class ClusterNode(Valkey):
    """A cluster of one node, which has all slots."""

    @override
    def prepare(self) -> None:
        super().prepare()
        with self._configuration.open("a") as configuration:
            configuration.write(f"cluster-enabled yes\ncluster-port {free_port([self.port])}\n")

    @override
    def introduce(self) -> None:
        with Client.from_url(self.url) as client:
            with suppress(ResponseError):  # after a restart it has them
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            deadline = time.monotonic() + DEADLINE_SECONDS
            while "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO")):
                assert time.monotonic() < deadline
                time.sleep(0.02)
