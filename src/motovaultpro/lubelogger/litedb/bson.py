"""LiteDB's BSON: MongoDB's, with a .NET decimal, .NET byte order in Guids and fewer types."""

import struct
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from motovaultpro.lubelogger.litedb.errors import DamagedError
from motovaultpro.lubelogger.litedb.values import (
    DateTimeLimit,
    Document,
    Int64,
    KeyLimit,
    ObjectId,
    Value,
)

# LiteDB's own mapper stops at 20; well below Python's recursion limit at three frames a level.
MAX_DEPTH: Final = 100
MAX_DECIMAL_SCALE: Final = 28
GUID_SUBTYPE: Final = 4
GUID_SIZE: Final = 16
UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class InvalidTextError(DamagedError):
    """A string that is not UTF-8."""


def decode_document(
    data: bytes, *, invalid_text: Literal["strict", "replace"] = "strict"
) -> Document:
    """Decode `data`, which must be exactly one document.

    Work and memory are linear in `len(data)`, whatever the lengths inside claim. Two field names
    that differ only in case are one field to LiteDB: the first spelling, the last value.

    Raises `InvalidTextError` for text that is not UTF-8, unless it is to be replaced by U+FFFD,
    and `DamagedError` for everything else.
    """
    decoder = _Decoder(data, invalid_text)
    document = decoder.document()
    if decoder.at != len(data):
        raise DamagedError(f"a document of {decoder.at} bytes fills {len(data)} bytes")
    return document


class _Decoder:
    def __init__(self, data: bytes, invalid_text: str) -> None:
        self.at = 0
        self._data = data
        self._invalid_text = invalid_text
        self._depth = 0

    def document(self) -> Document:
        document: Document = {}
        spelling: dict[str, str] = {}
        for name, value in self._elements():
            document[spelling.setdefault(_ignore_case(name), name)] = value
        return document

    def array(self) -> list[Value]:
        return [value for _, value in self._elements()]

    def _elements(self) -> Iterator[tuple[str, Value]]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise DamagedError(f"documents nested deeper than {MAX_DEPTH} levels")
        start = self.at
        length = self.int32()
        while code := self.take(1)[0]:
            name = self.name()
            reader = _READERS.get(code)
            if reader is None:
                raise DamagedError(f"unknown value type {code:#04x}")
            yield name, reader(self)
        if self.at - start != length:
            raise DamagedError(f"a document of {self.at - start} bytes says it has {length}")
        self._depth -= 1

    def take(self, count: int) -> bytes:
        end = self.at + count
        if count < 0 or end > len(self._data):
            raise DamagedError("a value goes beyond the end of its document")
        taken = self._data[self.at : end]
        self.at = end
        return taken

    def name(self) -> str:
        end = self._data.find(0, self.at)
        if end < 0:
            raise DamagedError("a field name without an end")
        name = self.text(self._data[self.at : end])
        self.at = end + 1
        return name

    def text(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8", self._invalid_text)
        except UnicodeDecodeError as error:
            raise InvalidTextError("text that is not UTF-8") from error

    def int32(self) -> int:
        return int.from_bytes(self.take(4), "little", signed=True)

    def int64(self) -> int:
        return int.from_bytes(self.take(8), "little", signed=True)

    def double(self) -> float:
        value: float = struct.unpack("<d", self.take(8))[0]
        return value

    def string(self) -> str:
        raw = self.take(self.int32())
        if raw[-1:] != b"\0":
            raise DamagedError("a string without its final zero")
        return self.text(raw[:-1])

    def binary(self) -> bytes | uuid.UUID:
        length = self.int32()
        subtype = self.take(1)[0]
        raw = self.take(length)
        if subtype == 0:
            return raw
        if subtype == GUID_SUBTYPE and length == GUID_SIZE:
            return uuid.UUID(bytes_le=raw)
        raise DamagedError(f"binary data of subtype {subtype} and {length} bytes")

    def date_time(self) -> datetime | DateTimeLimit:
        milliseconds = self.int64()
        if milliseconds in _DATE_TIME_LIMITS:
            return DateTimeLimit(milliseconds)
        try:
            return UNIX_EPOCH + timedelta(milliseconds=milliseconds)
        except OverflowError as error:
            raise DamagedError(f"a date {milliseconds} ms away from 1970") from error

    def decimal(self) -> Decimal:
        raw = self.take(16)
        digits = int.from_bytes(raw[:12], "little")
        flags = int.from_bytes(raw[12:], "little")
        scale = flags >> 16 & 0xFF
        if scale > MAX_DECIMAL_SCALE or flags & 0x7F00FFFF:
            raise DamagedError(f"a decimal with impossible flags {flags:#010x}")
        sign = "-" if flags >> 31 else ""
        return Decimal(f"{sign}{digits}E-{scale}")


_DATE_TIME_LIMITS: Final = frozenset(limit.value for limit in DateTimeLimit)
_READERS: Final[dict[int, Callable[[_Decoder], Value]]] = {
    0x01: _Decoder.double,
    0x02: _Decoder.string,
    0x03: _Decoder.document,
    0x04: _Decoder.array,
    0x05: _Decoder.binary,
    0x07: lambda decoder: ObjectId(decoder.take(12)),
    0x08: lambda decoder: decoder.take(1) != b"\0",
    0x09: _Decoder.date_time,
    0x0A: lambda _: None,
    0x10: _Decoder.int32,
    0x12: lambda decoder: Int64(decoder.int64()),
    0x13: _Decoder.decimal,
    0x7F: lambda _: KeyLimit.MAX,
    0xFF: lambda _: KeyLimit.MIN,
}


def _ignore_case(name: str) -> str:
    """.NET's OrdinalIgnoreCase: upper case letter by letter, so that "ß" is not "SS"."""
    if name.isascii():
        return name.upper()
    return "".join(upper if len(upper := char.upper()) == 1 else char for char in name)
