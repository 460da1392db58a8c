"""Pages of a LiteDB file, with the log laid over them, and the segments on a page."""

from collections.abc import Iterator
from enum import IntEnum
from functools import cached_property
from typing import Final, NamedTuple

from typing_extensions import override

from motovaultpro.lubelogger.litedb.errors import DamagedError

PAGE_SIZE: Final = 8192
PAGE_HEADER_SIZE: Final = 32
SLOT_SIZE: Final = 4
NO_SLOT: Final = 255


class PageKind(IntEnum):
    EMPTY = 0
    HEADER = 1
    COLLECTION = 2
    INDEX = 3
    DATA = 4


class Address(NamedTuple):
    """Where a segment is: five bytes in the file."""

    page: int
    slot: int

    @classmethod
    def at(cls, data: bytes, offset: int) -> "Address":
        return cls(uint32(data, offset), data[offset + 4])

    @override
    def __str__(self) -> str:
        return f"page {self.page} slot {self.slot}"


NOWHERE: Final = Address(0xFFFFFFFF, 0xFF)


def uint32(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")


class Page:
    """One page. Nothing in it is believed before it is checked: LiteDB has no checksums."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @property
    def number(self) -> int:
        return uint32(self.raw, 0)

    @property
    def kind(self) -> int:
        return self.raw[4]

    @property
    def transaction(self) -> int:
        return uint32(self.raw, 14)

    @property
    def confirmed(self) -> bool:
        return self.raw[18] != 0

    @property
    def collection(self) -> int:
        """The number of the collection page that this page belongs to."""
        return uint32(self.raw, 19)

    def segments(self) -> Iterator[tuple[int, bytes]]:
        """Every valid segment with its slot; free and damaged slots are passed over."""
        for slot in range(self._slot_count):
            try:
                segment = self.segment(slot)
            except DamagedError:
                continue
            yield slot, segment

    def segment(self, slot: int) -> bytes:
        table = PAGE_SIZE - SLOT_SIZE * self._slot_count
        if slot >= self._slot_count or table < PAGE_HEADER_SIZE:
            raise DamagedError(f"page {self.number} has no slot {slot}")
        entry = PAGE_SIZE - SLOT_SIZE * (slot + 1)
        length = int.from_bytes(self.raw[entry : entry + 2], "little")
        start = int.from_bytes(self.raw[entry + 2 : entry + 4], "little")
        if start == 0:
            raise DamagedError(f"page {self.number} slot {slot} is free")
        if start < PAGE_HEADER_SIZE or length == 0 or start + length > table:
            raise DamagedError(f"page {self.number} slot {slot} points outside the page")
        return self.raw[start : start + length]

    @property
    def _slot_count(self) -> int:
        highest = self.raw[30]
        return 0 if highest == NO_SLOT else highest + 1


class PageFile:
    """The pages of a data file as of the last confirmed transaction.

    `data` is plain (decrypted), `overlay` the confirmed pages of the log. Pages after `last_page`
    do not count.
    """

    def __init__(self, data: bytes, overlay: dict[int, bytes], last_page: int) -> None:
        self._data = data
        self._overlay = overlay
        self._in_data = min(len(data) // PAGE_SIZE, last_page + 1)
        self._last_page = last_page

    def numbers(self) -> list[int]:
        """The pages there are, however many the header counts."""
        beyond = (number for number in self._overlay if self._in_data <= number <= self._last_page)
        return [*range(1, self._in_data), *sorted(beyond)]

    @cached_property
    def data_pages(self) -> dict[int, list[Page]]:
        """The readable data pages of each collection."""
        found: dict[int, list[Page]] = {}
        for number in self.numbers():
            try:
                page = self.page(number)
            except DamagedError:
                continue
            if page.kind == PageKind.DATA:
                found.setdefault(page.collection, []).append(page)
        return found

    def page(self, number: int) -> Page:
        if not 0 <= number <= self._last_page:
            raise DamagedError(f"there is no page {number}")
        page = Page(self._overlay.get(number) or self._stored(number))
        if page.number != number:
            raise DamagedError(f"page {number} says it is page {page.number}")
        return page

    def page_of(self, number: int, kind: PageKind, collection: int) -> Page:
        page = self.page(number)
        if page.kind != kind:
            raise DamagedError(f"page {number} is no {kind.name.lower()} page")
        if page.collection != collection:
            raise DamagedError(f"page {number} belongs to another collection")
        return page

    def _stored(self, number: int) -> bytes:
        if number >= self._in_data:
            raise DamagedError(f"page {number} is missing: the file ends before it")
        return self._data[number * PAGE_SIZE : (number + 1) * PAGE_SIZE]
