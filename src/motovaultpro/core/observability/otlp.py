"""Spans over OTLP/HTTP. Imported only when tracing is on."""

from urllib.parse import urlsplit

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

from motovaultpro import __version__

_SERVER_ERROR = 500
_propagator = TraceContextTextMapPropagator()


class OtlpTracing:
    """Makes spans with the attribute names of OpenTelemetry's HTTP and database conventions."""

    def __init__(self, endpoint: str, service: str) -> None:
        # Why: our own provider, not the global one: FastAPI and libraries that find a global provider add spans of
        # their own, with the query string and thus LubeLogger's apiKey in it.
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service, "service.version": __version__}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=_traces_url(endpoint)))
        )
        self._tracer = self._provider.get_tracer("motovaultpro", __version__)

    def start_request(self, scope: Scope, traceparent: str | None) -> "RequestSpan":
        parent = _propagator.extract({"traceparent": traceparent}) if traceparent else None
        span = self._tracer.start_span(
            scope["method"],
            context=parent or otel_context.Context(),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": scope["method"],
                "url.path": scope["path"],
                "url.scheme": scope["scheme"],
                "network.protocol.version": scope["http_version"],
                "client.address": scope["client"][0] if scope["client"] else "",
            },
        )
        return RequestSpan(span, scope["method"])

    def start_statement(self, operation: str, table: str, text: str) -> Span:
        """A child of the current span. `text` holds placeholders, never values."""
        attributes = {
            "db.system.name": "postgresql",
            "db.operation.name": operation.upper(),
            "db.query.text": text,
        }
        name = operation.upper()
        if table != "none":
            attributes["db.collection.name"] = table
            name = f"{name} {table}"
        return self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)

    def end_span(self, span: Span, error: BaseException | None) -> None:
        if error is not None:
            _mark_failed(span, type(error).__qualname__)
        span.end()

    def shutdown(self) -> None:
        self._provider.shutdown()


class RequestSpan:
    """The server span of one request; current from its making to `end`, which must run in the same task."""

    def __init__(self, span: Span, method: str) -> None:
        self._span = span
        self._method = method
        self._token = otel_context.attach(trace.set_span_in_context(span))
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        self.traceparent = carrier["traceparent"]

    def end(self, route: str | None, status: int) -> None:
        if route is not None:
            self._span.update_name(f"{self._method} {route}")
            self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if status >= _SERVER_ERROR:
            _mark_failed(self._span, str(status))
        self._span.end()
        otel_context.detach(self._token)


def _mark_failed(span: Span, error_type: str) -> None:
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))


def _traces_url(endpoint: str) -> str:
    """The address of the trace signal: collectors are configured by their base address."""
    if urlsplit(endpoint).path.strip("/"):
        return endpoint
    return endpoint.rstrip("/") + "/v1/traces"
