from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY

Logs = list[MutableMapping[str, Any]]


def counted(method: str, endpoint: str, status: int) -> float:
    labels = {"method": method, "endpoint": endpoint, "status_code": str(status)}
    return REGISTRY.get_sample_value("motovault_http_requests_total", labels) or 0


async def call(app: FastAPI, **overrides: Any) -> list[MutableMapping[str, Any]]:
    """Call the app as a server would, with a scope no client library would send."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/vehicles/3",
        "raw_path": b"",
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "headers": [],
        "client": ("203.0.113.9", 1),
        "server": ("test", 80),
        **overrides,
    }
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def test_answers_name_the_correlation_id_the_client_sent(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/vehicles/3", headers={"X-Correlation-ID": "phone-1"})
    assert answer.headers["x-correlation-id"] == "phone-1"


async def test_a_malformed_correlation_id_is_replaced(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/vehicles/3", headers={"X-Correlation-ID": "a b"})
    assert len(answer.headers["x-correlation-id"]) == 32


@pytest.mark.parametrize(
    "path", ["/api/vehicles/3", "/nowhere", "/failures/conflict", "/failures/unexpected"]
)
async def test_every_answer_has_the_security_headers(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "frame-ancestors 'none'"
    assert headers["referrer-policy"] == "same-origin"
    assert "x-correlation-id" in headers
    assert "strict-transport-security" not in headers


async def test_a_route_may_choose_a_stricter_header(client: httpx.AsyncClient) -> None:
    answer = await client.get("/failures/own-policy")
    assert answer.headers.get_list("referrer-policy") == ["no-referrer"]


async def test_https_is_pinned(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/vehicles/3", headers={"X-Forwarded-Proto": "https"})
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")


async def test_each_request_is_one_log_line_with_its_actor(
    client: httpx.AsyncClient, logs: Logs
) -> None:
    await client.get("/api/vehicles/3?apiKey=hunter2", headers={"X-Forwarded-For": "203.0.113.7"})
    (line,) = logs
    assert line.pop("duration_ms") > 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "path": "/api/vehicles/3",
        "status": 200,
        "client": "203.0.113.7",
    }


async def test_answered_probes_are_logged_at_debug_only(
    client: httpx.AsyncClient, logs: Logs
) -> None:
    await client.get("/health")
    await client.get("/health/absent")
    assert [line["log_level"] for line in logs] == ["debug", "info"]


async def test_requests_are_counted_by_the_full_route_template(client: httpx.AsyncClient) -> None:
    before = counted("GET", "/api/vehicles/{vehicle_id}", 200)
    await client.get("/api/vehicles/3")
    await client.get("/api/vehicles/4")
    assert counted("GET", "/api/vehicles/{vehicle_id}", 200) == before + 2


async def test_unknown_paths_share_one_series(client: httpx.AsyncClient) -> None:
    before = counted("GET", "unmatched", 404)
    for path in ("/wp-admin", "/.env"):
        await client.get(path)
    assert counted("GET", "unmatched", 404) == before + 2


async def test_no_request_is_active_in_the_end(client: httpx.AsyncClient) -> None:
    await client.get("/failures/unexpected")
    assert REGISTRY.get_sample_value("motovault_active_connections") == 0


async def test_an_unexpected_error_is_logged_whole_and_told_to_nobody(
    client: httpx.AsyncClient, logs: Logs
) -> None:
    answer = await client.get("/failures/unexpected", headers={"X-Correlation-ID": "abc"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["correlation_id"] == "abc"
    assert answer.json()["code"] == "internal_error"
    assert "hunter2" not in answer.text
    assert logs[0]["event"] == "request_failed"
    assert logs[0]["exc_info"] is True
    assert logs[1]["status"] == 500


async def test_an_answer_that_breaks_midway_is_cut_off(
    client: httpx.AsyncClient, logs: Logs
) -> None:
    with pytest.raises(RuntimeError, match="broke"):
        await client.get("/failures/midway")
    assert logs[0]["event"] == "request_failed"


@pytest.mark.parametrize("path", ["/api/vehicles/a%00b", "/api/vehicles/3?q=%00", "/%00"])
async def test_refuses_nul_in_the_address(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 400
    assert answer.json()["code"] == "unstorable_text"


async def test_refuses_an_undecodable_path(app: FastAPI) -> None:
    sent = await call(app, path="/api/vehicles/\udcff")
    assert sent[0]["status"] == 400


async def test_an_escaped_percent_sign_is_no_nul(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/vehicles/3?q=%2500")
    assert answer.json()["q"] == "%00"


async def test_accepts_addresses_beyond_ascii(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/vehicles/ü")).status_code == 422


async def test_a_client_that_leaves_while_sending_gets_no_answer(app: FastAPI, logs: Logs) -> None:
    headers = [(b"content-length", b"10")]
    assert await call(app, method="POST", path="/api/vehicles/raw", headers=headers) == []
    assert logs[-1]["status"] == 499


async def test_serves_without_a_known_peer(app: FastAPI) -> None:
    sent = await call(app, client=None)
    assert sent[0]["status"] == 200


async def test_other_protocols_pass_untouched(app: FastAPI) -> None:
    sent = await call(app, type="websocket", path="/api/nowhere")
    assert sent == [{"type": "websocket.close", "code": 1000, "reason": ""}]
