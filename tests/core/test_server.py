"""Starts the service as a process of its own: signals, sockets and exit codes are the matter."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

PROGRAM = Path(__file__).with_name("serving_app.py")
DEADLINE = 30.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        threading.Event().wait(0.01)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Service:
    def __init__(self, directory: Path, port: int | None = None, **server: float) -> None:
        self.gate = directory / "gate"
        self.log = directory / "log"
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.start = "works"
        self.settings = {
            "server": {"port": self.port, "metrics_port": 0, "ready_grace_seconds": 0, **server},
            "database": {"url": "postgresql://nowhere/x"},
            "storage": {"url": f"file://{directory}"},
            "security": {"secret_key": "x" * 32},
        }
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def run(self) -> None:
        with self.log.open("wb") as log:
            settings = json.dumps(self.settings)
            command = [sys.executable, str(PROGRAM), str(self.gate), self.start, settings]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def run_until_ready(self) -> None:
        self.run()
        wait_until(lambda: self.ready() == 200, "the service was ready")

    def ready(self) -> int | None:
        try:
            return httpx.get(f"{self.address}/health/ready", timeout=DEADLINE).status_code
        except httpx.TransportError:
            return None

    def call_slowly(self, pool: ThreadPoolExecutor) -> Future[httpx.Response]:
        answer = pool.submit(httpx.get, f"{self.address}/slow", timeout=DEADLINE)
        wait_until(self.gate.with_suffix(".entered").exists, "the slow request was in flight")
        return answer

    def signal(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def exit_code(self) -> int:
        assert self.process is not None
        return self.process.wait(DEADLINE)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture
def service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    with Service(tmp_path, **getattr(request, "param", {})) as service:
        yield service


@pytest.mark.parametrize("service", [{"ready_grace_seconds": 60}], indirect=True)
def test_a_stopping_service_still_serves_but_says_it_is_not_ready(
    service: Service, pool: ThreadPoolExecutor
) -> None:
    service.run_until_ready()
    answer = service.call_slowly(pool)
    service.signal()
    wait_until(lambda: service.ready() == 503, "readiness turned 503")
    assert httpx.get(f"{service.address}/health/live").status_code == 200
    assert not answer.done()
    service.gate.touch()
    assert answer.result().status_code == 200
    service.signal(signal.SIGINT)  # the second one skips the grace
    assert service.exit_code() == 0
    assert service.gate.with_suffix(".shut").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_is_answered_after_the_listener_closed(
    service: Service, pool: ThreadPoolExecutor, number: int
) -> None:
    service.run_until_ready()
    answer = service.call_slowly(pool)
    service.signal(number)
    wait_until(lambda: service.ready() is None, "the listener was closed")
    assert not answer.done()
    assert not service.gate.with_suffix(".shut").exists()
    service.gate.touch()
    assert answer.result().status_code == 200
    assert answer.result().json() == "done"
    assert service.exit_code() == 0
    assert service.events()[-1]["event"] == "service_stopped"


@pytest.mark.parametrize("service", [{"drain_seconds": 0.1}], indirect=True)
def test_a_request_that_never_ends_does_not_hold_up_the_stop(
    service: Service, pool: ThreadPoolExecutor
) -> None:
    service.run_until_ready()
    answer = service.call_slowly(pool)
    service.signal()
    assert service.exit_code() == 0
    assert answer.exception() is not None or answer.result().status_code >= 500
    assert service.gate.with_suffix(".shut").exists()
    assert "drain_timed_out" in [line["event"] for line in service.events()]


def test_every_line_on_standard_output_is_json_with_a_timestamp(service: Service) -> None:
    service.run_until_ready()
    service.signal()
    assert service.exit_code() == 0
    events = service.events()
    assert {"service_started", "service_stopping"} <= {line["event"] for line in events}
    assert all(line["timestamp"].endswith("Z") for line in events)


def test_a_taken_port_is_an_error_not_a_silent_share(service: Service, tmp_path: Path) -> None:
    service.run_until_ready()
    (tmp_path / "second").mkdir()
    with Service(tmp_path / "second", port=service.port) as second:
        second.run()
        assert second.exit_code() == 1
    assert "Address already in use" in second.log.read_text()


def test_a_service_that_cannot_start_exits_with_an_error(service: Service) -> None:
    service.start = "fails"
    service.run()
    assert service.exit_code() == 1
    assert service.events()[-1]["event"] == "service_failed"
    assert "the start failed" in service.events()[-1]["exception"]


@pytest.mark.parametrize("service", [{"max_body_bytes": 2048}], indirect=True)
def test_a_client_that_sends_too_much_gets_to_read_the_refusal(service: Service) -> None:
    service.run_until_ready()
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 8000000\r\n\r\n"
    # Many clients look at the answer only when all is sent.
    with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as connection:
        connection.sendall(head + b"x" * 8_000_000)
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"too_large"' in answer
