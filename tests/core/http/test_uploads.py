import tracemalloc
from collections.abc import AsyncIterator, Iterable

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from motovaultpro.core.errors import AppError, InvalidError, TooLargeError
from motovaultpro.core.http.bodies import DISCARD_BYTES, ClientGoneError
from motovaultpro.core.http.uploads import MalformedFormError, Upload, form_files, received

KIB = 1024
MIB = 1024 * KIB
BOUNDARY = "----frontier"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def form(*parts: tuple[str, str | None, bytes]) -> bytes:
    """A form of (name, file name, data)."""
    body = b""
    for name, filename, data in parts:
        disposition = f'form-data; name="{name}"'
        if filename is not None:
            disposition += f'; filename="{filename}"'
        body += f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
        body += data + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


async def stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def read(upload: Upload) -> bytes:
    return b"".join([chunk async for chunk in upload.chunks])


async def files_of(chunks: Iterable[bytes], field: str = "file") -> list[tuple[str, bytes]]:
    files = form_files(stream(chunks), BOUNDARY.encode(), field)
    return [(upload.filename, await read(upload)) async for upload in files]


class Sent:
    """A request whose body comes in `chunks`; `messages` are those not read yet."""

    def __init__(self, chunks: Iterable[bytes], *, hangs_up: bool = False, **headers: str) -> None:
        self.messages: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
        ]
        end: Message = {"type": "http.request", "body": b"", "more_body": False}
        self.messages.append({"type": "http.disconnect"} if hangs_up else end)
        self.request = Request(
            {
                "type": "http",
                "method": "POST",
                "path": "/",
                "headers": [
                    (name.replace("_", "-").encode(), value.encode())
                    for name, value in headers.items()
                ],
            },
            self._receive,
        )

    async def _receive(self) -> Message:
        return self.messages.pop(0)

    async def file(self, filename: str | None = "a.txt", max_bytes: int = MIB) -> tuple[str, bytes]:
        async with received(
            self.request, field="file", filename=filename, max_bytes=max_bytes
        ) as upload:
            return upload.filename, await read(upload)


async def refused(sent: Sent, chunks_read: int) -> None:
    """An upload that its receiver refuses after some chunks."""
    async with received(sent.request, field="file", filename="f", max_bytes=200 * MIB) as upload:
        for _ in range(chunks_read):
            await anext(upload.chunks)
        raise AppError("no")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 64 * KIB])
async def test_reads_the_files_of_a_form_however_it_is_cut(size: int) -> None:
    body = form(
        ("note", None, b"not a file"),
        ("file", "one.txt", b"first\r\n--\r\n----front\r\n"),
        ("other", "x.txt", b"skipped"),
        ("file", "Rechnung Nr. 7 für Öl.pdf", b"\r\r\n\n"),
        ("file", "", b""),
    )
    assert await files_of(cut(body, size)) == [
        ("one.txt", b"first\r\n--\r\n----front\r\n"),
        ("Rechnung Nr. 7 für Öl.pdf", b"\r\r\n\n"),
        ("", b""),
    ]


@given(
    data=st.lists(
        st.sampled_from([b"\r", b"\n", b"-", b"\r\n--", BOUNDARY.encode()[:-1], b"x", b"\0"])
    ),
    size=st.integers(1, 40),
)
async def test_data_that_looks_like_a_boundary_arrives_as_it_was(
    data: list[bytes], size: int
) -> None:
    content = b"".join(data)
    assert await files_of(cut(form(("file", "f", content)), size)) == [("f", content)]


async def test_a_file_that_nobody_read_is_skipped() -> None:
    body = form(("file", "one", b"1" * 100), ("file", "two", b"2"))
    names = [u.filename async for u in form_files(stream(cut(body, 10)), BOUNDARY.encode(), "file")]
    assert names == ["one", "two"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        form(("file", "f", b"data"))[:-4],
        form(("file", "f", b"data"))[:40],
        f"--{BOUNDARY}\r\nbad header\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode(),
        f"--{BOUNDARY}\r\nA: {'x' * 10_000}\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode(),
    ],
)
async def test_refuses_a_broken_form(body: bytes) -> None:
    with pytest.raises(MalformedFormError):
        await files_of(cut(body, 16))


@pytest.mark.parametrize("boundary", [b"", b"x" * 10_000])
async def test_refuses_a_form_without_a_usable_boundary(boundary: bytes) -> None:
    with pytest.raises(MalformedFormError):
        await anext(form_files(stream([]), boundary, "file"))


@pytest.mark.parametrize("line", [b"x" * 1024, b"\r\n" * 512])
async def test_a_large_file_passes_in_little_memory(line: bytes) -> None:
    async def body() -> AsyncIterator[bytes]:
        start, end = form(("file", "f", b"")).split(b"\r\n\r\n\r\n")
        yield start + b"\r\n\r\n"
        for _ in range(16 * 16):
            yield line * 64
        yield b"\r\n" + end

    size, longest = 0, 0
    tracemalloc.start()
    try:
        async for upload in form_files(body(), BOUNDARY.encode(), "file"):
            async for chunk in upload.chunks:
                size, longest = size + len(chunk), max(longest, len(chunk))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == 16 * MIB
    assert longest <= 66 * KIB
    assert peak < MIB


async def test_takes_a_raw_body_under_the_given_name() -> None:
    sent = Sent([b"a" * 10, b"b" * 10], content_type="application/octet-stream")
    assert await sent.file("letters.txt") == ("letters.txt", b"a" * 10 + b"b" * 10)


async def test_takes_the_file_of_a_form_under_its_own_name() -> None:
    sent = Sent(cut(form(("file", "own.txt", b"data")), 9), content_type=FORM_TYPE)
    assert await sent.file("given.txt") == ("own.txt", b"data")


async def test_a_raw_body_needs_a_name() -> None:
    with pytest.raises(InvalidError) as caught:
        await Sent([b"data"]).file(None)
    assert [field.field for field in caught.value.fields] == ["filename"]


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [("document", "a.txt", b"data")],
        [("file", "a.txt", b"data"), ("file", "b.txt", b"data")],
    ],
)
async def test_a_form_needs_exactly_one_file(parts: list[tuple[str, str | None, bytes]]) -> None:
    body = form(*parts) if parts else form(("x", None, b""))
    with pytest.raises(InvalidError) as caught:
        await Sent(cut(body, 20), content_type=FORM_TYPE).file()
    assert [field.field for field in caught.value.fields] == ["file"]


async def test_refuses_a_declared_length_over_the_limit_before_reading() -> None:
    sent = Sent([b"x"], content_length=str(10 * MIB), expect="100-continue")
    with pytest.raises(TooLargeError):
        await sent.file()
    assert len(sent.messages) == 2


@pytest.mark.parametrize("content_type", ["application/octet-stream", FORM_TYPE])
async def test_refuses_a_body_that_grows_over_the_limit(content_type: str) -> None:
    body = form(("other", None, b"x" * 2 * MIB), ("file", "f", b"data"))
    with pytest.raises(TooLargeError):
        await Sent(cut(body, KIB), content_type=content_type).file()


async def test_reads_on_after_a_refusal_so_that_the_client_sees_it() -> None:
    sent = Sent([b"x" * KIB] * 100)
    with pytest.raises(AppError, match="no"):
        await refused(sent, 1)
    assert sent.messages == []


async def test_reads_on_only_so_far() -> None:
    sent = Sent([b"x" * MIB] * 100)
    with pytest.raises(AppError, match="no"):
        await refused(sent, 0)
    assert len(sent.messages) == 101 - DISCARD_BYTES // MIB


@pytest.mark.parametrize("content_type", ["application/octet-stream", FORM_TYPE])
async def test_a_client_that_hangs_up_is_gone(content_type: str) -> None:
    body = form(("file", "f", b"data" * KIB))[:-100]
    with pytest.raises(ClientGoneError):
        await Sent(cut(body, KIB), hangs_up=True, content_type=content_type).file()
