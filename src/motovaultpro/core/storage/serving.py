"""Answering with somebody's file: headers that keep a browser from running it, and ranges (RFC 9110, 14)."""

import re
from pathlib import PurePosixPath
from urllib.parse import quote

from motovaultpro.core.errors import AppError

_INLINE = frozenset(
    {
        "application/pdf",
        "image/avif",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "text/plain",
    }
)
# Whatever a browser might run. Served as bytes without a type, whoever asks and however.
_ACTIVE = re.compile(r"html|xml$|svg|javascript|ecmascript|text/css|flash|x-msdownload|executable")
# Control characters end header lines; the rest turns the reading direction, so that "fdp.exe" shows as "exe.pdf".
_UNSAFE_IN_NAMES = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LONGEST_NAME = 150
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,100})-([0-9]{0,100})[ \t]*", re.IGNORECASE)


class RangeNotSatisfiableError(AppError):
    status = 416
    code = "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(
            f"The file has {size} bytes; ask for a range within.",
            headers={"Content-Range": f"bytes */{size}"},
        )


def served_type(content_type: str) -> str:
    """The type we dare to name in an answer."""
    return "application/octet-stream" if _ACTIVE.search(content_type) else content_type


def disposition(filename: str, *, inline: bool = False) -> str:
    """The Content-Disposition field (RFC 6266) with the name in ASCII and, where it differs, in full (RFC 8187)."""
    name = _UNSAFE_IN_NAMES.sub("", PurePosixPath(filename.replace("\\", "/")).name)
    if len(name) > _LONGEST_NAME:
        ending = PurePosixPath(name).suffix[:20]
        name = name[: _LONGEST_NAME - len(ending)] + ending
    name = name.strip(" .") or "file"
    ascii_name = re.sub(r'[^ -~]|["%]', "_", name)
    field = f'{"inline" if inline else "attachment"}; filename="{ascii_name}"'
    return field if ascii_name == name else f"{field}; filename*=UTF-8''{quote(name, safe='')}"


def download_headers(
    *, content_type: str, filename: str, size: int, sha256: str, inline: bool
) -> dict[str, str]:
    """All headers of an answer that carries the whole file; `inline` is granted to a short list of types only.

    For a part (206) replace Content-Length and add Content-Range.
    """
    inline = inline and content_type in _INLINE
    shown = served_type(content_type)
    # Why: Safari shows an empty page for a sandboxed PDF, and a PDF viewer runs outside our origin anyway.
    policy = (
        "frame-ancestors 'self'"
        if inline and content_type == "application/pdf"
        else "default-src 'none'; sandbox"
    )
    return {
        "Content-Type": f"{shown}; charset=utf-8" if shown.startswith("text/") else shown,
        "Content-Length": str(size),
        "Content-Disposition": disposition(filename, inline=inline),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": policy,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "private, max-age=31536000, immutable",
        "ETag": f'"{sha256}"',
        "Accept-Ranges": "bytes",
    }


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The asked part as (start, end), end exclusive; None = the whole file.

    Several ranges, other units and malformed values get the whole file, as RFC 9110 allows. Raises
    `RangeNotSatisfiableError` for a part beyond the end.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        if int(last) == 0:
            raise RangeNotSatisfiableError(size)
        return max(0, size - int(last)), size
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeNotSatisfiableError(size)
    return start, min(size, int(last) + 1) if last else size
