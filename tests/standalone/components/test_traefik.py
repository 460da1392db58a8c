import ssl
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import httpx
import psutil
import pytest
from typing_extensions import override

from motovaultpro.standalone.components.certificate import ensure_certificate
from motovaultpro.standalone.components.traefik import Traefik


class _Backend(BaseHTTPRequestHandler):
    """Answers with the headers it got; /auth/verify knows one cookie; /cut/ breaks off at its first request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    seen: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        self.seen[f"{self.command} {self.path}"] += 1
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/cut/") and self.seen[f"{self.command} {self.path}"] == 1:
            self.close_connection = True
            return
        known = "session=known" in self.headers.get("Cookie", "")
        self.send_response(200 if known or not self.path.startswith("/auth/verify") else 401)
        body = f"{self.headers}{'.' * 3000}".encode()
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name http.server looks for

    @override
    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def backend() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Backend) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def traefik(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traefik]:
    root = tmp_path_factory.mktemp("traefik")
    certificate = ensure_certificate(root / "tls", (), datetime.now(UTC))  # noqa: TID251 - TLS has its own clock
    with Traefik(root, backends=[backend], certificate=certificate) as server:
        yield server


@pytest.fixture
def client(traefik: Traefik) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=traefik.url) as client:
        yield client


def test_nobody_outside_says_who_is_signed_in(client: httpx.Client) -> None:
    claims = {"X-Auth-User": "mallory", "X_Auth_User": "mallory", "X-Auth-Tenant": "mallory"}
    assert "mallory" not in client.get("/api/dashboard", headers=claims).text


def test_answers_carry_the_secure_headers_and_no_hsts(client: httpx.Client) -> None:
    headers = client.get("/").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert "Strict-Transport-Security" not in headers


def test_compresses_for_who_accepts_it(client: httpx.Client) -> None:
    assert (
        client.get("/", headers={"Accept-Encoding": "gzip"}).headers["Content-Encoding"] == "gzip"
    )


def test_the_dashboard_is_for_whom_the_backend_verifies(client: httpx.Client) -> None:
    assert client.get("/traefik/dashboard/").status_code == 401
    known = client.get("/traefik/dashboard/", headers={"Cookie": "session=known"})
    assert known.status_code == 200
    assert "Traefik" in known.text


def test_repeats_a_read_that_broke_midway(client: httpx.Client) -> None:
    assert client.get("/cut/read").status_code == 200
    assert _Backend.seen["GET /cut/read"] == 2


def test_never_repeats_a_write_that_broke_midway(client: httpx.Client) -> None:
    assert client.post("/cut/write", content=b"one fill-up").status_code == 502
    assert _Backend.seen["POST /cut/write"] == 1


def test_limits_the_rate_of_one_address(backend: str, tmp_path: Path) -> None:
    with Traefik(tmp_path, backends=[backend], rate_limit=1) as strict:
        answers = Counter(httpx.get(f"{strict.url}/").status_code for _ in range(12))
    assert answers[200] >= 2
    assert answers[429] >= 5


def test_serves_https_with_its_own_certificate(traefik: Traefik) -> None:
    trust = ssl.create_default_context(cafile=traefik.directory / "tls" / "certificate.pem")
    for name in ("localhost", "127.0.0.1"):
        assert httpx.get(f"https://{name}:{traefik.tls_port}/", verify=trust).status_code == 200


def test_listens_on_the_loopback_interface_only(traefik: Traefik) -> None:
    listening = {
        connection.laddr
        for connection in psutil.Process(traefik.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    ports = (traefik.port, traefik.tls_port, traefik.management_port)
    assert listening == {("127.0.0.1", port) for port in ports}
