"""The backend as a process of its own, as the supervisor starts it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from motovaultpro.core.settings import Settings
from motovaultpro.standalone.components.ports import LOOPBACK, free_port

START_SECONDS = 30


def environment(settings: Settings, port: int, metrics_port: int) -> dict[str, str]:
    """The variables of `settings` for a child process."""
    cache_url = settings.cache.url
    assert cache_url is not None
    return {
        "MVP_DATABASE__URL": settings.database.url.get_secret_value(),
        "MVP_CACHE__URL": cache_url.get_secret_value(),
        "MVP_STORAGE__URL": settings.storage.url,
        "MVP_SECURITY__SECRET_KEY": settings.security.secret_key.get_secret_value(),
        "MVP_SECURITY__SIGN_IN_RATE": "100000/minute",
        "MVP_SERVER__PORT": str(port),
        "MVP_SERVER__METRICS_PORT": str(metrics_port),
        "MVP_SERVER__READY_GRACE_SECONDS": "0",
    }


@pytest.fixture(scope="session")
def backend(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running backend."""
    port = free_port()
    log: Path = tmp_path_factory.mktemp("backend") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "motovaultpro.cli", "serve", "backend"],
            env=environment(settings, port, free_port()),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    address = f"http://{LOOPBACK}:{port}"
    try:
        transport = httpx.HTTPTransport(retries=0)
        with httpx.Client(transport=transport, base_url=address) as client:
            wait_until_ready(client, process, log)
        yield address
    finally:
        process.terminate()
        assert process.wait(START_SECONDS) == 0, log.read_text()[-4000:]
    assert '"level":"error"' not in log.read_text(), log.read_text()[-4000:]


def wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(START_SECONDS * 10):
        assert process.poll() is None, log.read_text()[-4000:]
        try:
            if client.get("/health/ready").is_success:
                return
        except httpx.TransportError:
            pass
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(log.read_text()[-4000:])
