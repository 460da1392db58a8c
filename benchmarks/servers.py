"""The servers under measurement, each a process of its own, started as the one-machine system starts its services."""

import http.client
import re
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Self

import httpx
import psutil

from benchmarks.load import ROOT
from motovaultpro.standalone.components import ports
from motovaultpro.standalone.components.process import Command, Process

BACKEND = (sys.executable, "-m", "motovaultpro.cli", "serve", "backend")
YARDSTICK = (sys.executable, "-m", "benchmarks.yardstick")
ORIGIN = "http://localhost:8080"
_LEVEL_2_MISSES = re.compile(
    r'^motovault_cache_events_total\{event="miss",level="l2"\} (\S+)', re.MULTILINE
)


@dataclass(frozen=True)
class Surroundings:
    """What the servers work with; `directory` gets logs and files."""

    directory: Path
    database_url: str
    cache_url: str | None

    def environment(self, port: int, metrics_port: int) -> Mapping[str, str]:
        variables = {
            "MVP_DATABASE__URL": self.database_url,
            "MVP_STORAGE__URL": (self.directory / "storage").as_uri(),
            "MVP_SECURITY__SECRET_KEY": secrets.token_urlsafe(32),
            "MVP_SERVER__PORT": str(port),
            "MVP_SERVER__METRICS_PORT": str(metrics_port),
            "MVP_SERVER__PUBLIC_URL": ORIGIN,
            "MVP_SERVER__READY_GRACE_SECONDS": "0",
        }
        return (
            variables if self.cache_url is None else {**variables, "MVP_CACHE__URL": self.cache_url}
        )


class Server:
    """A service from its start to its end, as a context manager. `start_seconds` lasts from fork to ready."""

    def __init__(self, argv: tuple[str, ...], around: Surroundings, *, name: str) -> None:
        self.port = ports.free_port()
        self._metrics_port = ports.free_port([self.port])
        self._process = Process(
            Command(
                argv=argv,
                log=around.directory / f"{name}.log",
                directory=ROOT,
                environment=around.environment(self.port, self._metrics_port),
                stop_seconds=40,
            )
        )
        self.start_seconds = 0.0
        self.start_memory = 0

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://{ports.LOOPBACK}:{self.port}"

    def memory(self) -> int:
        """Resident bytes now, of all its processes."""
        root = psutil.Process(self.pid)
        return sum(process.memory_info().rss for process in (root, *root.children(recursive=True)))

    def cache_misses(self) -> int:
        """How often it found nothing in the shared cache so far; 0 for a server that has none."""
        page = httpx.get(f"http://{ports.LOOPBACK}:{self._metrics_port}/metrics", trust_env=False)
        found = _LEVEL_2_MISSES.search(page.text)
        return int(float(found[1])) if found else 0

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(ports.LOOPBACK, self.port, timeout=2)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()

    def __enter__(self) -> Self:
        started = perf_counter()
        self._process.start()
        try:
            self._process.wait_ready(self._is_ready)
        except BaseException:
            self._process.kill()
            raise
        self.start_seconds = perf_counter() - started
        self.start_memory = self.memory()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.stop()
