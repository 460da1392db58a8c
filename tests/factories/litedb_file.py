"""Small LiteDB 5 files, logs, password files and damage, made from Python values.

Index nodes have one level and one collection has one `_id` index; LiteDB accepts such files.
"""

import hashlib
import struct
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from motovaultpro.lubelogger.litedb import DateTimeLimit, Int64, KeyLimit, ObjectId

PAGE_SIZE = 8192
BLOCK_CAPACITY = 8150
NONE = 0xFFFFFFFF
NOWHERE = struct.pack("<IB", NONE, 255)
HEADER, COLLECTION, INDEX, DATA = 1, 2, 3, 4
CREATED_TICKS = 638_396_640_000_000_000  # 2024-01-01

Address = tuple[int, int]
Raw = bytes | bytearray


@dataclass
class Record:
    """A document stored in an unusual way."""

    document: Mapping[str, Any]
    raw: bytes | None = None  # stored instead of the document
    blocks: Sequence[int] = ()  # sizes of its first blocks; the rest is cut as usual
    deleted: bool = False  # its slots are free and no index node names it


def element(name: str, value: Any) -> bytes:  # Any: every type that BSON knows
    code, raw = _encode(value)
    return bytes([code]) + name.encode() + b"\0" + raw


def bson(elements: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> bytes:
    pairs = elements.items() if isinstance(elements, Mapping) else elements
    body = b"".join(element(name, value) for name, value in pairs)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _encode(value: Any) -> tuple[int, bytes]:  # noqa: C901, PLR0911, PLR0912 - one case per type
    match value:
        case None:
            return 0x0A, b""
        case bool():
            return 0x08, bytes([value])
        case Int64():
            return 0x12, struct.pack("<q", value)
        case int():
            return 0x10, struct.pack("<i", value)
        case float():
            return 0x01, struct.pack("<d", value)
        case str():
            return 0x02, struct.pack("<i", len(value.encode()) + 1) + value.encode() + b"\0"
        case Mapping():
            return 0x03, bson(value)
        case list():
            return 0x04, bson((str(index), item) for index, item in enumerate(value))
        case bytes():
            return 0x05, struct.pack("<iB", len(value), 0) + value
        case uuid.UUID():
            return 0x05, struct.pack("<iB", 16, 4) + value.bytes_le
        case ObjectId():
            return 0x07, value.raw
        case datetime():
            since = value - datetime(1970, 1, 1, tzinfo=UTC)
            return 0x09, struct.pack("<q", since // timedelta(milliseconds=1))
        case DateTimeLimit():
            return 0x09, struct.pack("<q", value.value)
        case Decimal():
            sign, digits, exponent = value.as_tuple()
            number = int("".join(map(str, digits)))
            flags = -int(exponent) << 16 | sign << 31
            return 0x13, number.to_bytes(12, "little") + struct.pack("<I", flags)
        case KeyLimit():
            return (0xFF if value is KeyLimit.MIN else 0x7F), b""
    raise TypeError(type(value))


def index_key(value: Any) -> bytes:  # noqa: PLR0911 - one case per type; Any: as many as an _id has
    match value:
        case Int64():
            return b"\x03" + struct.pack("<q", value)
        case int():
            return b"\x02" + struct.pack("<i", value)
        case str():
            raw = value.encode()
            return bytes([6 | len(raw) >> 8 << 6, len(raw) & 0xFF]) + raw
        case Mapping():
            return b"\x07" + bson(value)
        case list():
            return b"\x08" + bson((str(index), item) for index, item in enumerate(value))
        case ObjectId():
            return b"\x0a" + value.raw
        case uuid.UUID():
            return b"\x0b" + value.bytes_le
    raise TypeError(type(value))


def new_page(number: int, kind: int, collection: int = NONE) -> bytearray:
    page = bytearray(PAGE_SIZE)
    struct.pack_into("<IBII", page, 0, number, kind, NONE, NONE)
    struct.pack_into("<BIBI", page, 13, 255, NONE, 0, collection)
    struct.pack_into("<H", page, 28, 32)  # next free position
    page[30] = 255
    return page


def slot_at(slot: int) -> int:
    """Where a page keeps length and position of a slot."""
    return PAGE_SIZE - 4 * (slot + 1)


def segment_at(page: Raw, slot: int) -> int:
    return int.from_bytes(page[slot_at(slot) + 2 : slot_at(slot) + 4], "little")


def _slot_count(page: Raw) -> int:
    return 0 if page[30] == 255 else page[30] + 1


def _has_room(page: Raw, size: int) -> bool:
    free = slot_at(_slot_count(page)) - int.from_bytes(page[28:30], "little")
    return size <= free and _slot_count(page) < 254


def _add_segment(page: bytearray, segment: bytes) -> int:
    slot, start = _slot_count(page), int.from_bytes(page[28:30], "little")
    page[start : start + len(segment)] = segment
    struct.pack_into("<HH", page, slot_at(slot), len(segment), start)
    struct.pack_into("<H", page, 28, start + len(segment))
    page[23] += 1
    page[30] = slot
    return slot


def address(at: Address) -> bytes:
    return struct.pack("<IB", *at)


class _CollectionWriter:
    def __init__(self, pages: list[bytearray], *, other_index: bool) -> None:
        self._pages = pages
        self._other_index = other_index
        self.number = self._new(COLLECTION)
        self._index_page = self._data_page = 0
        self._nodes: list[tuple[Address, bytes, bytes]] = []

    def write(self, records: Iterable[Mapping[str, Any] | Record]) -> None:
        head = self._add_index_segment(bytes(333))
        tail = self._add_index_segment(bytes(333))
        for item in records:
            record = item if isinstance(item, Record) else Record(item)
            blocks = self._add_blocks(record)
            if record.deleted:
                for number, slot in blocks:
                    struct.pack_into("<HH", self._pages[number], slot_at(slot), 0, 0)
            else:
                key = index_key(record.document["_id"])
                node = self._add_index_segment(bytes(22) + key)
                self._nodes.append((node, address(blocks[0]), key))
            if self._other_index:
                for _ in range(2):
                    self._add_index_segment(b"\x01\x01" + address(blocks[0]) + bytes(25))
        self._link(head, tail)
        self._list_indexes(head, tail)

    def _new(self, kind: int) -> int:
        number = len(self._pages)
        own = number if kind == COLLECTION else self.number
        self._pages.append(new_page(number, kind, own))
        return number

    def _add_index_segment(self, segment: bytes) -> Address:
        if not self._index_page or not _has_room(self._pages[self._index_page], len(segment)):
            self._index_page = self._new(INDEX)
        return self._index_page, _add_segment(self._pages[self._index_page], segment)

    def _add_blocks(self, record: Record) -> list[Address]:
        rest = record.raw if record.raw is not None else bson(record.document)
        sizes = list(record.blocks)
        blocks: list[Address] = []
        while rest or not blocks:
            size = sizes.pop(0) if sizes else BLOCK_CAPACITY
            block = bytes([bool(blocks)]) + NOWHERE + rest[:size]
            rest = rest[size:]
            if not self._data_page or not _has_room(self._pages[self._data_page], len(block)):
                self._data_page = self._new(DATA)
            blocks.append((self._data_page, _add_segment(self._pages[self._data_page], block)))
        for (number, slot), following in pairwise(blocks):
            self._put(number, slot, 1, address(following))
        return blocks

    def _link(self, head: Address, tail: Address) -> None:
        chain = [head, *(node for node, _, _ in self._nodes), tail]
        empty = b"\0\x20" + NOWHERE * (2 + 2 * 32)
        self._put(*head, 0, empty + b"\0")
        self._put(*tail, 0, empty + b"\x0e")
        self._put(*head, 17, address(chain[1]))
        self._put(*tail, 12, address(chain[-2]))
        for place, (node, data, key) in enumerate(self._nodes, start=1):
            before, after = address(chain[place - 1]), address(chain[place + 1])
            self._put(*node, 0, b"\0\x01" + data + NOWHERE + before + after + key)

    def _list_indexes(self, head: Address, tail: Address) -> None:
        ends = b"\x01" + address(head) + address(tail) + b"\x01" + struct.pack("<I", NONE)
        entries = [b"\0\0_id\0$._id\0" + ends]
        if self._other_index:
            entries.insert(0, b"\x01\0Tags\0$.Tags[*]\0" + bytes(16))
        listed = bytes([len(entries)]) + b"".join(entries)
        self._pages[self.number][96 : 96 + len(listed)] = listed

    def _put(self, number: int, slot: int, offset: int, raw: bytes) -> None:
        start = segment_at(self._pages[number], slot) + offset
        self._pages[number][start : start + len(raw)] = raw


def make_file(
    collections: Mapping[str, Iterable[Mapping[str, Any] | Record]],
    *,
    created_ticks: int = CREATED_TICKS,
    other_index: bool = False,
) -> bytes:
    """A data file with these records; `_id`s must ascend."""
    header = new_page(0, HEADER)
    pages, numbers = [header], {}
    for name, records in collections.items():
        writer = _CollectionWriter(pages, other_index=other_index)
        writer.write(records)
        numbers[name] = writer.number
    header[32:59] = b"** This is a LiteDB file **"
    struct.pack_into("<BIIqiiiiBiq", header, 59, 8, NONE, len(pages) - 1, created_ticks,
                     3, 1033, 1, 60, 0, 1000, 2**63 - 1)  # fmt: skip
    listed = bson(numbers) if numbers else b""
    header[192 : 192 + len(listed)] = listed
    return b"".join(pages)


def patched(data: bytes, offset: int, raw: bytes) -> bytes:
    return data[:offset] + raw + data[offset + len(raw) :]


def page_of(data: bytes, number: int) -> bytes:
    return data[number * PAGE_SIZE : (number + 1) * PAGE_SIZE]


def page_numbers(data: bytes, kind: int) -> list[int]:
    return [n for n in range(len(data) // PAGE_SIZE) if data[n * PAGE_SIZE + 4] == kind]


def log_page(page: bytes, transaction: int, *, confirmed: bool = False) -> bytes:
    raw = bytearray(page)
    struct.pack_into("<IB", raw, 14, transaction, confirmed)
    return bytes(raw)


def log_between(
    before: bytes, after: bytes, transaction: int = 1, *, confirm: bool = True
) -> bytes:
    """The log of the transaction that turns one data file into another, header last."""
    changed = [n for n in range(len(after) // PAGE_SIZE) if page_of(before, n) != page_of(after, n)]
    order = sorted(changed, key=lambda number: (number == 0, number))
    return b"".join(
        log_page(page_of(after, number), transaction, confirmed=confirm and number == order[-1])
        for number in order
    )


def encrypt(data: bytes, password: str, salt: bytes) -> bytes:
    """A data file or log as LiteDB writes it with a password."""
    key = hashlib.pbkdf2_hmac("sha1", password.encode(), salt, 1000, dklen=32)
    # ECB is what the format uses.
    cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - see above
    check = cipher.encryptor().update(b"\x01" * 32)
    salt_page = (b"\x01" + salt).ljust(32, b"\0") + check
    return salt_page.ljust(PAGE_SIZE, b"\0") + cipher.encryptor().update(data)
