"""Request bodies: read whole up to a limit and checked for text that PostgreSQL cannot store, before a route sees them."""

import re

from starlette.types import Message, Receive

from motovaultpro.core.errors import AppError, TooLargeError

# A client that is still sending may not look at an early answer: this much is read and dropped before saying 413.
DISCARD_BYTES = 16 * 1024 * 1024

_FORM = b"application/x-www-form-urlencoded"

# JSON text with nothing but escapes that name a character: no \u0000, and surrogates only as pairs. An escaped backslash
# (`\\u0000`) is consumed as such. Possessive, so linear on any input; a backslash at the very end is the parser's problem.
_SOUND_JSON = re.compile(
    rb"""(?: [^\\]++
           | \\ [^u]
           | \\u (?! 0000 | [dD][89a-fA-F] )
           | \\u [dD][89abAB][0-9a-fA-F]{2} \\u [dD][c-fC-F][0-9a-fA-F]{2}
           | \\ \Z
         )*+""",
    re.VERBOSE | re.DOTALL,
)


class MalformedJsonError(AppError):
    code = "malformed_json"


class UnstorableTextError(AppError):
    """Text that no text column can hold."""

    code = "unstorable_text"

    def __init__(self, where: str) -> None:
        super().__init__(f"The {where} contains a NUL character or half a surrogate pair.")


class ClientGoneError(Exception):
    """The client hung up before its request was complete."""


async def read_body(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes:
    """The whole body. Raises `TooLargeError` past `limit` bytes, `ClientGoneError` on a disconnect."""
    declared = headers.get(b"content-length", b"")
    size, too_large = 0, declared.isdigit() and int(declared) > limit
    chunks: list[bytes] = []
    more = not (too_large and b"expect" in headers)  # who asked first does not send it
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        too_large = too_large or size > limit
        if too_large:
            chunks.clear()
            more = more and size < DISCARD_BYTES
        else:
            chunks.append(chunk)
    if too_large:
        raise TooLargeError(f"The request body is larger than {limit} bytes.")
    return b"".join(chunks)


def is_structured(content_type: bytes) -> bool:
    """Whether the body is JSON or an URL-encoded form: read whole by nature, never a file."""
    kind = content_type.lower()
    return b"json" in kind or kind.startswith(_FORM)


def check_body(body: bytes, content_type: bytes) -> None:
    """Raise for a JSON or form body with unstorable text, and for JSON in another encoding than UTF-8."""
    kind = content_type.lower()
    if b"json" in kind:
        _check_json(body)
    elif kind.startswith((_FORM, b"multipart/")) and (
        b"\0" in body or (kind.startswith(_FORM) and b"%00" in body)
    ):
        raise UnstorableTextError("form")


def _check_json(body: bytes) -> None:
    # Why: a raw NUL is not JSON in UTF-8, and the sign of UTF-16, which the parser would take and this check would not see.
    if b"\0" in body or not _is_utf8(body):
        raise MalformedJsonError("The body is not JSON in UTF-8.")
    if b"\\u" in body and _SOUND_JSON.fullmatch(body) is None:
        raise UnstorableTextError("body")


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that yields the body read before, then what the server has to say."""
    pending: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def replayed() -> Message:
        nonlocal pending
        if pending is not None:
            message, pending = pending, None
            return message
        return await receive()

    return replayed
