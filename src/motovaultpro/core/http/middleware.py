"""The one middleware: everything that is done to every request, in one pass."""

from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from motovaultpro.core.errors import AppError
from motovaultpro.core.http.bodies import (
    ClientGoneError,
    UnstorableTextError,
    check_body,
    is_structured,
    read_body,
    replay,
)
from motovaultpro.core.http.problems import Problem, of_app_error, problem_response
from motovaultpro.core.http.proxies import TrustedProxies
from motovaultpro.core.observability import tracing
from motovaultpro.core.observability.context import request_context
from motovaultpro.core.observability.metrics import ACTIVE_CONNECTIONS, UNMATCHED, record_request
from motovaultpro.core.settings import ServerSettings

log = structlog.get_logger()

_CLIENT_GONE = 499  # nginx's number for a client that left before its answer
_LOGGED_PATH = 512
_PROBES = "/health"
_SIGN_IN = "/api/auth/"
# What comes before signing in is small; to say what is wrong with a megabyte takes most of a second.
_SIGN_IN_BODY_BYTES = 16 * 1024

_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"referrer-policy", b"same-origin"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_UNEXPECTED = Problem(
    500,
    "internal_error",
    "Something went wrong on our side. Name the correlation id when you report it.",
)


class RequestMiddleware:
    """Correlation id, client address, body limit, security headers, metrics, span, access log, and the last `except`.

    Bodies are read whole, up to `settings.max_body_bytes` (16 KiB for a sign-in), and checked before the routes run. A path for which
    `is_upload` is true gets its body as a stream, unlimited and unchecked, unless that is JSON or an URL-encoded form.
    """

    def __init__(
        self, app: ASGIApp, *, settings: ServerSettings, is_upload: Callable[[str], bool]
    ) -> None:
        self._app = app
        self._proxies = TrustedProxies(settings.trusted_proxies)
        self._max_body_bytes = settings.max_body_bytes
        self._is_upload = is_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        self._proxies.apply(scope, headers)
        with request_context(
            _text(headers, b"x-correlation-id"), _text(headers, b"traceparent")
        ) as context:
            active = tracing.active()
            span = None
            if active is not None and not scope["path"].startswith(_PROBES):
                span = active.start_request(scope, context.traceparent)
                context.traceparent = span.traceparent
            answer = _Answer(scope, send, context.correlation_id)
            ACTIVE_CONNECTIONS.inc()
            try:
                await self._answer(scope, headers, receive, answer)
            finally:
                ACTIVE_CONNECTIONS.dec()
                route = _route_template(scope)
                seconds = perf_counter() - started
                record_request(scope["method"], route or UNMATCHED, answer.status, seconds)
                if span is not None:
                    span.end(route, answer.status)
                _log_access(scope, answer.status, seconds)

    async def _answer(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, answer: "_Answer"
    ) -> None:
        try:
            _check_address(scope)
            if b"content-length" in headers or b"transfer-encoding" in headers:
                receive = await self._checked_body(scope["path"], headers, receive)
            await self._app(scope, receive, answer.send)
        except ClientGoneError:
            return
        except Exception as error:
            if isinstance(error, AppError) and not answer.started:
                problem = of_app_error(error)
            else:
                path = scope["path"][:_LOGGED_PATH]
                log.exception("request_failed", method=scope["method"], path=path)
                problem = _UNEXPECTED
            if answer.started:
                raise  # the server cuts the connection, so that half an answer is not taken for a whole one
            await problem_response(scope["path"], problem)(scope, receive, answer.send)

    async def _checked_body(
        self, path: str, headers: dict[bytes, bytes], receive: Receive
    ) -> Receive:
        content_type = headers.get(b"content-type", b"")
        if self._is_upload(path) and not is_structured(content_type):
            return receive
        limit = self._max_body_bytes
        if path.startswith(_SIGN_IN):
            limit = min(limit, _SIGN_IN_BODY_BYTES)
        body = await read_body(receive, headers, limit)
        check_body(body, content_type)
        return replay(body, receive)


class _Answer:
    """Adds our headers to the answer on its way out, and remembers its status."""

    __slots__ = ("_headers", "_send", "status")

    def __init__(self, scope: Scope, send: Send, correlation_id: str) -> None:
        self.status = _CLIENT_GONE
        self._send = send
        self._headers = [*_SECURITY_HEADERS, (b"x-correlation-id", correlation_id.encode())]
        if scope["scheme"] == "https":
            self._headers.append(_HSTS)

    @property
    def started(self) -> bool:
        return self.status != _CLIENT_GONE

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = message.get("headers", ())
            names = {name for name, _ in given}
            message["headers"] = [*given, *(item for item in self._headers if item[0] not in names)]
        await self._send(message)


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _check_address(scope: Scope) -> None:
    path = scope["path"]
    if "\0" in path or b"%00" in scope["query_string"] or b"\0" in scope["query_string"]:
        raise UnstorableTextError("address")
    if not path.isascii():
        try:
            path.encode()
        except UnicodeEncodeError:
            raise UnstorableTextError("address") from None


def _route_template(scope: Scope) -> str | None:
    # FastAPI keeps the full template of an included router's route in its own corner of the scope.
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    template = getattr(route, "path_format", None)
    return None if template is None else scope.get("root_path", "") + template


def _log_access(scope: Scope, status: int, seconds: float) -> None:
    path: str = scope["path"]
    write = log.debug if path.startswith(_PROBES) and status < HTTPStatus.BAD_REQUEST else log.info
    write(
        "request",
        method=scope["method"],
        path=path[:_LOGGED_PATH],
        status=status,
        duration_ms=round(seconds * 1000, 3),
        client=scope["client"][0] if scope["client"] else None,
    )
