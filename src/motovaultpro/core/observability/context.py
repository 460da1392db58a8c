"""Who and what the running request or job is about, for logs, problems and outgoing calls.

One mutable object in a context variable: what a dependency, a child task or a thread learns (the user, say) is also seen by
the access log line, which a context variable per value would not give.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(slots=True)
class RequestContext:
    correlation_id: str
    traceparent: str | None = None
    """W3C trace context of the current span, or as it was received when tracing is off."""
    user: str | None = None
    tenant: str | None = None

    @property
    def trace_id(self) -> str | None:
        return self.traceparent[3:35] if self.traceparent else None


_current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


@contextmanager
def request_context(
    correlation_id: str | None = None, traceparent: str | None = None
) -> Iterator[RequestContext]:
    """Enter a context. Ids that are absent or malformed (they come from outside) are made or dropped."""
    if correlation_id is None or _CORRELATION_ID.fullmatch(correlation_id) is None:
        correlation_id = secrets.token_hex(16)
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent) is None:
        traceparent = None
    context = RequestContext(correlation_id, traceparent)
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def current_context() -> RequestContext | None:
    return _current.get()


def identify(*, user: object, tenant: object) -> None:
    """Note the signed-in user and tenant (ids), for the log lines of this request."""
    context = _current.get()
    if context is not None:
        context.user = str(user)
        context.tenant = str(tenant)


def outgoing_headers() -> dict[str, str]:
    """Headers that carry the correlation id and the trace to a service we call."""
    context = _current.get()
    if context is None:
        return {}
    headers = {"X-Correlation-ID": context.correlation_id}
    if context.traceparent is not None:
        headers["traceparent"] = context.traceparent
    return headers
