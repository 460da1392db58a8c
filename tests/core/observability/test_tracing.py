import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from subprocess import run
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sqlalchemy import StaticPool, create_engine, text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs
from typing_extensions import override

from motovaultpro.core.http.middleware import RequestMiddleware
from motovaultpro.core.http.problems import install_error_handlers
from motovaultpro.core.observability import tracing
from motovaultpro.core.observability.context import outgoing_headers
from motovaultpro.core.observability.database import instrument_engine
from motovaultpro.core.settings import ObservabilitySettings, ServerSettings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Collector:
    """An OTLP/HTTP receiver in a thread."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.paths.append(self.path)
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            @override
            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def spans(self) -> dict[str, Span]:
        tracing.shutdown_tracing()  # sends what is buffered
        return {
            span.name: span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }


def attributes(span: Span) -> dict[str, Any]:
    return {
        item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes
    }


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    endpoint = f"http://127.0.0.1:{collector.server.server_port}"
    tracing.configure_tracing(ObservabilitySettings(otlp_endpoint=endpoint), service="backend")
    yield collector
    tracing.shutdown_tracing()
    collector.stop()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.add_middleware(RequestMiddleware, settings=ServerSettings(), is_upload=lambda _path: False)
    install_error_handlers(app)
    router = APIRouter(prefix="/vehicles")
    engine = create_engine("sqlite://", poolclass=StaticPool)
    instrument_engine(engine)

    @router.get("/{vehicle_id}")
    async def read(vehicle_id: int) -> dict[str, str]:
        with engine.connect() as connection:
            connection.execute(text("SELECT :id AS id FROM (SELECT 1)"), {"id": vehicle_id})
        return outgoing_headers()

    @router.get("/{vehicle_id}/broken")
    async def broken(vehicle_id: int) -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT * FROM absent_table"), {"id": vehicle_id})

    app.include_router(router, prefix="/api")
    app.add_api_route("/health", lambda: None)
    transport = httpx.ASGITransport(app)
    with capture_logs():
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client
    engine.dispose()


async def test_a_request_is_a_server_span_named_by_method_and_template(
    collector: Collector, client: httpx.AsyncClient
) -> None:
    await client.get("/api/vehicles/3?apiKey=hunter2")
    spans = collector.spans()
    span = spans["GET /api/vehicles/{vehicle_id}"]
    assert collector.paths == ["/v1/traces"]
    resource = collector.requests[0].resource_spans[0].resource
    assert {a.key: a.value.string_value for a in resource.attributes}["service.name"] == "backend"
    assert span.kind == Span.SPAN_KIND_SERVER
    assert not span.parent_span_id
    assert attributes(span) == {
        "http.request.method": "GET",
        "http.route": "/api/vehicles/{vehicle_id}",
        "http.response.status_code": 200,
        "url.path": "/api/vehicles/3",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "client.address": "127.0.0.1",
    }
    assert b"hunter2" not in collector.requests[0].SerializeToString()


async def test_statements_are_child_spans_without_values(
    collector: Collector, client: httpx.AsyncClient
) -> None:
    await client.get("/api/vehicles/3")
    spans = collector.spans()
    parent, child = spans["GET /api/vehicles/{vehicle_id}"], spans["SELECT"]
    assert child.parent_span_id == parent.span_id
    assert child.trace_id == parent.trace_id
    assert child.kind == Span.SPAN_KIND_CLIENT
    assert attributes(child)["db.system.name"] == "postgresql"
    assert attributes(child)["db.query.text"] == "SELECT ? AS id FROM (SELECT 1)"


async def test_the_trace_of_the_caller_goes_on_through_us(
    collector: Collector, client: httpx.AsyncClient
) -> None:
    answer = await client.get("/api/vehicles/3", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    span = collector.spans()["GET /api/vehicles/{vehicle_id}"]
    assert span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() == PARENT
    assert answer.json()["traceparent"] == f"00-{TRACE}-{span.span_id.hex()}-01"


async def test_the_caller_decides_that_a_trace_is_not_sampled(
    collector: Collector, client: httpx.AsyncClient
) -> None:
    await client.get("/api/vehicles/3", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    assert collector.spans() == {}


async def test_failures_are_marked(collector: Collector, client: httpx.AsyncClient) -> None:
    await client.get("/api/vehicles/3/broken")
    spans = collector.spans()
    server, statement = (
        spans["GET /api/vehicles/{vehicle_id}/broken"],
        spans["SELECT absent_table"],
    )
    assert attributes(server)["error.type"] == "500"
    assert attributes(statement)["error.type"] == "OperationalError"
    assert server.status.code == statement.status.code == 2


async def test_an_unknown_path_is_no_name(collector: Collector, client: httpx.AsyncClient) -> None:
    await client.get("/nowhere")
    assert list(collector.spans()) == ["GET"]


async def test_probes_are_not_traced(collector: Collector, client: httpx.AsyncClient) -> None:
    await client.get("/health")
    assert collector.spans() == {}


async def test_without_tracing_the_trace_is_passed_on_as_it_came(client: httpx.AsyncClient) -> None:
    traceparent = f"00-{TRACE}-{PARENT}-01"
    answer = await client.get("/api/vehicles/3", headers={"traceparent": traceparent})
    assert answer.json()["traceparent"] == traceparent


async def test_an_address_with_a_path_is_taken_as_it_is(client: httpx.AsyncClient) -> None:
    collector = Collector()
    endpoint = f"http://127.0.0.1:{collector.server.server_port}/otlp/traces"
    tracing.configure_tracing(ObservabilitySettings(otlp_endpoint=endpoint), service="backend")
    try:
        await client.get("/api/vehicles/3")
        collector.spans()
    finally:
        collector.stop()
    assert collector.paths == ["/otlp/traces"]


def test_the_sdk_is_not_imported_when_tracing_is_off() -> None:
    program = """
import sys
from motovaultpro.core.http.middleware import RequestMiddleware
from motovaultpro.core.observability import tracing
from motovaultpro.core.settings import ObservabilitySettings
tracing.configure_tracing(ObservabilitySettings(), service="x")
tracing.shutdown_tracing()
sys.exit(any(name.startswith("opentelemetry.sdk") for name in sys.modules))
"""
    assert run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_error_outside_a_request_is_a_root_span(collector: Collector) -> None:
    engine = create_engine("sqlite://")
    instrument_engine(engine)
    with pytest.raises(DBAPIError), engine.connect() as connection:
        connection.execute(text("SELECT * FROM absent_table"))
    engine.dispose()
    assert not collector.spans()["SELECT absent_table"].parent_span_id
