"""A file on its way in, as the raw body of a request or as a part of a multipart form: streamed either way."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from motovaultpro.core.errors import AppError, FieldError, InvalidError, TooLargeError
from motovaultpro.core.http.bodies import DISCARD_BYTES, ClientGoneError

_FORM = b"multipart/form-data"
_FORM_BYTES = 64 * 1024  # what a form may need around the file


class MalformedFormError(AppError):
    code = "malformed_form"


@dataclass(frozen=True, slots=True)
class Upload:
    """`filename` is what the client says, maybe empty. `chunks` can be read once."""

    filename: str
    chunks: AsyncIterator[bytes]


@asynccontextmanager
async def received(
    request: Request, *, field: str, filename: str | None, max_bytes: int
) -> AsyncIterator[Upload]:
    """The one file of a request: the part `field` of its form, or its body, which is then named by `filename`.

    Raises `MalformedFormError`, `InvalidError` (no file, or several) and `TooLargeError`, as may the chunks, which also
    raise `ClientGoneError`. When the block raises an `AppError`, what the client is still sending is read and dropped,
    up to a limit, so that it sees the answer.
    """
    body = _body(request, max_bytes)
    declared = request.headers.get("content-length", "")
    try:
        if declared.isdecimal() and int(declared) > max_bytes + _FORM_BYTES:
            raise _too_large(max_bytes)
        media_type, options = parse_options_header(request.headers.get("content-type"))
        if media_type == _FORM:
            yield await _only_file(form_files(body, options.get(b"boundary", b""), field), field)
        elif filename is None:
            raise InvalidError(
                "Name the file.", fields=[FieldError("filename", "is needed for a raw body")]
            )
        else:
            yield Upload(filename, body)
    except AppError:
        if "expect" not in request.headers:  # who asked first has not begun to send
            await _discard(body)
        raise


async def form_files(
    body: AsyncIterator[bytes], boundary: bytes, field: str
) -> AsyncIterator[Upload]:
    """The parts called `field`, in order; each is to be read before the next. Other parts are skipped."""
    form = _Form(body, boundary)
    item = await form.next()
    while item is not None:
        if isinstance(item, _Part) and item.name == field:
            upload = Upload(item.filename, form.data())
            yield upload
            async for _ in upload.chunks:
                pass
        item = await form.next()


async def _only_file(files: AsyncIterator[Upload], field: str) -> Upload:
    first = await anext(files, None)
    if first is None:
        raise InvalidError("There is no file.", fields=[FieldError(field, "is not in the form")])

    async def chunks() -> AsyncIterator[bytes]:
        async for chunk in first.chunks:
            yield chunk
        if await anext(files, None) is not None:
            raise InvalidError(
                "Send one file at a time.", fields=[FieldError(field, "is repeated")]
            )

    return Upload(first.filename, chunks())


async def _body(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > max_bytes + _FORM_BYTES:
                raise _too_large(max_bytes)
            yield chunk
    except ClientDisconnect as error:
        raise ClientGoneError from error


async def _discard(body: AsyncIterator[bytes]) -> None:
    size = 0
    async for chunk in body:
        size += len(chunk)
        if size >= DISCARD_BYTES:
            break


def _too_large(max_bytes: int) -> TooLargeError:
    return TooLargeError(f"The file is larger than {max_bytes} bytes.")


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    filename: str


class _Form:
    """Parts and their data in order of appearance, holding one chunk of the body at a time."""

    def __init__(self, body: AsyncIterator[bytes], boundary: bytes) -> None:
        if not boundary:
            raise MalformedFormError("The Content-Type of a form names its boundary.")
        self._body = body
        self._items: deque[_Part | bytes] = deque()
        self._ended = False
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise MalformedFormError(f"The form is malformed: {error}.") from error

    async def next(self) -> _Part | bytes | None:
        """The beginning of a part, or a piece of the data of the last one; None at the end."""
        while not self._items and not self._ended:
            chunk = await anext(self._body, None)
            if chunk is None:
                raise MalformedFormError("The form ends before its last boundary.")
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise MalformedFormError(f"The form is malformed: {error}.") from error
        return self._items.popleft() if self._items else None

    async def data(self) -> AsyncIterator[bytes]:
        """The data of the part that has just begun."""
        while (item := await self.next()) is not None:
            if isinstance(item, _Part):
                self._items.appendleft(item)
                return
            yield item

    def _on_part_begin(self) -> None:
        self._disposition = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._items.append(
            _Part(
                name=options.get(b"name", b"").decode(errors="replace"),
                filename=options.get(b"filename", b"").decode(errors="replace"),
            )
        )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._items.append(data[start:end])

    def _on_end(self) -> None:
        self._ended = True
