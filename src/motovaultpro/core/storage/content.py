"""What a file is, told by its first bytes. What the client says about it is never believed.

The file name's ending only chooses between kinds of harmless text, which look the same inside.
"""

import re
from pathlib import PurePath

import filetype

from motovaultpro.core.errors import AppError

SNIFF_BYTES = 8192

_UNKNOWN = "application/octet-stream"
_TEXT_ENDINGS = {
    ".css": "text/css",
    ".csv": "text/csv",
    ".ics": "text/calendar",
    ".js": "text/javascript",
    ".json": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".tsv": "text/tab-separated-values",
    ".vcf": "text/vcard",
}
_EXECUTABLE_MAGIC = (
    b"\x7fELF",
    b"\xfe\xed\xfa\xce",  # Mach-O, 32 and 64 bit, both byte orders
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",  # Mach-O for several processors, and Java classes
    b"#!",
)
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_CONTROL = re.compile(
    r"[\x00-\x08\x0e-\x1a\x1c-\x1f]"
)  # all but tab, line ends, form feed and escape
_SVG = re.compile(r"<(?:\w+:)?svg[\s>/]", re.IGNORECASE)
_HTML = re.compile(
    r"<(?:!doctype html|html|head|body|script|iframe|style|title|table|div|a|b|h1|p|br|img|form|object|embed|meta|link)"
    r"[\s>/]",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"<[a-z!?]", re.IGNORECASE)


class UnsupportedFileError(AppError):
    status = 415
    code = "unsupported_file"


def sniff(head: bytes, filename: str) -> str:
    """The media type of a file that begins with `head` (its first `SNIFF_BYTES`, or all of it).

    Raises `UnsupportedFileError` for programs and scripts.
    """
    if _is_executable(head):
        raise UnsupportedFileError(
            "Programs and scripts cannot be stored. Upload documents, pictures or archives."
        )
    if b"%PDF-" in head[:1024]:
        return "application/pdf"
    text = _unicode(head)
    if text is None:
        kind: str | None = filetype.guess_mime(head)
        if kind is not None:
            return kind
        # Old spreadsheets and editors write 8-bit text; every sequence of bytes is valid in it.
        text = head.decode("latin-1")
    return _UNKNOWN if _CONTROL.search(text) else _text_type(text, filename)


def _is_executable(head: bytes) -> bool:
    # Why: "MZ" alone may begin a text; the header of a Windows program always holds zero bytes.
    return head.startswith(_EXECUTABLE_MAGIC) or (head.startswith(b"MZ") and b"\x00" in head[:64])


def _unicode(head: bytes) -> str | None:
    """`head` as text if it is plain UTF-8 or marked UTF-16; a character cut off at its end is forgiven."""
    encoding = "utf-16" if head.startswith(_UTF16_MARKS) else "utf-8-sig"
    try:
        text = head.decode(encoding)
    except UnicodeDecodeError as error:
        if len(head) < SNIFF_BYTES or error.start < len(head) - 4:
            return None
        text = head[: error.start].decode(encoding)
    return None if _CONTROL.search(text) else text


def _text_type(text: str, filename: str) -> str:
    body = text.lstrip("\ufeff \t\r\n\f")
    if body.startswith("{\\rtf"):
        return "application/rtf"
    if _MARKUP.match(body):
        if _SVG.search(body):
            return "image/svg+xml"
        return "text/html" if _HTML.search(body) else "application/xml"
    if body.startswith("BEGIN:VCALENDAR"):
        return "text/calendar"
    ending = PurePath(filename).suffix.lower()
    if ending == ".json" and not body.startswith(("{", "[")):
        return "text/plain"
    return _TEXT_ENDINGS.get(ending, "text/plain")
