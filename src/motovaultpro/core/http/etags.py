"""Conditional requests: strong entity tags from the bytes of the answer."""

import re
from collections.abc import Mapping
from hashlib import blake2b

from fastapi import Request, Response

from motovaultpro.core.errors import PreconditionFailedError

_TAG = re.compile(r'(?:W/)?"[^"]*"')
_CACHING = {
    # Kept by the browser, but asked about before each use; never by a shared cache.
    "Cache-Control": "private, no-cache",
    "Vary": "Authorization, Cookie, X-API-Key",
}
_OK = 200
_NOT_MODIFIED = 304


def etag(body: bytes) -> str:
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'


def json_response(
    request: Request,
    body: bytes | str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """JSON text with its ETag; 304 without a body when the client's copy is still right."""
    content = body.encode() if isinstance(body, str) else body
    tag = etag(content)
    all_headers = {**_CACHING, "ETag": tag, **(headers or {})}
    if status == _OK and request.method in {"GET", "HEAD"}:
        known = request.headers.getlist("if-none-match")
        if known and _lists(", ".join(known), tag, weak=True):
            return Response(None, _NOT_MODIFIED, all_headers)
    return Response(content, status, all_headers, media_type="application/json")


def check_if_match(request: Request, current_body: bytes | str) -> None:
    """Raise `PreconditionFailedError` when `If-Match` names another version than the current one (RFC 9110, 13.1.1)."""
    wanted = request.headers.getlist("if-match")
    content = current_body.encode() if isinstance(current_body, str) else current_body
    if wanted and not _lists(", ".join(wanted), etag(content), weak=False):
        raise PreconditionFailedError(
            "Somebody changed this in the meantime. Load it again, then repeat the change."
        )


def _lists(header: str, tag: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    tags = _TAG.findall(header)
    return tag in ((item.removeprefix("W/") for item in tags) if weak else tags)


class Precondition:
    """The `If-Match` of a request, for a service to hold against what it is about to change."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.is_given = "if-match" in request.headers

    def check(self, current_body: bytes) -> None:
        """Raise `PreconditionFailedError` unless the client has seen this version."""
        check_if_match(self._request, current_body)

    def answer(self, body: bytes) -> Response:
        """The changed representation with its new ETag."""
        return json_response(self._request, body)
