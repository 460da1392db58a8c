"""The records of one collection: by its index, by its data pages, and their bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from motovaultpro.lubelogger.litedb.errors import DamagedError
from motovaultpro.lubelogger.litedb.pages import (
    NOWHERE,
    PAGE_SIZE,
    Address,
    Page,
    PageFile,
    PageKind,
)

INDEX_COUNT_AT: Final = 96
SKIP_LIST: Final = 0
# Of an entry in the list of indexes, what follows its two texts: unique, head, tail, reserved,
# free page.
INDEX_ENTRY_END: Final = 1 + 5 + 5 + 1 + 4
MAX_LEVELS: Final = 32
NODE_FIXED_SIZE: Final = 12
NODE_LEVEL_SIZE: Final = 10
BLOCK_HEADER_SIZE: Final = 6
FIRST_BLOCK: Final = 0


@dataclass(frozen=True)
class Index:
    slot: int
    head: Address
    tail: Address


@dataclass(frozen=True)
class IndexNode:
    data: Address
    next: Address
    key: bytes

    @property
    def record(self) -> str:
        """The record as a person would name it."""
        match self.key[0]:
            case 2:
                return f"record {int.from_bytes(self.key[1:5], 'little', signed=True)}"
            case 6:
                return f"record {self.key[2:42].decode('utf-8', 'replace')!r}"
            case _:
                return f"the record at {self.data}"


class CollectionPages:
    """Finds the records of one collection; made anew for every reading.

    Every index node and every data block may be used once, so loops end and the work is bounded
    by the size of the file. All methods raise `DamagedError`.
    """

    def __init__(self, pages: PageFile, number: int) -> None:
        self._pages = pages
        self._number = number
        self._blocks_used: set[Address] = set()

    def indexed(self) -> Iterator[IndexNode]:
        """The records in the order of their `_id`, as the application sees them."""
        index = self._id_index()
        visited = {index.head}
        node = self._node(index, index.head)
        while node.next != index.tail:
            address = node.next
            if address in visited:
                raise DamagedError(f"the index runs in a circle at {address}")
            visited.add(address)
            node = self._node(index, address)
            yield node

    def stored(self) -> Iterator[Address]:
        """The first block of every record on the data pages, without help of the index."""
        for page in self._pages.data_pages.get(self._number, ()):
            for slot in _first_blocks(page):
                yield Address(page.number, slot)

    def document(self, first: Address) -> bytes:
        """The joined blocks of one record."""
        parts: list[bytes] = []
        address = first
        while True:
            if address in self._blocks_used:
                raise DamagedError(f"the block at {address} is used twice")
            block = self._segment(PageKind.DATA, address)
            if len(block) < BLOCK_HEADER_SIZE or (block[0] == FIRST_BLOCK) != (not parts):
                raise DamagedError(f"{address} holds no block of this record")
            self._blocks_used.add(address)
            parts.append(block[BLOCK_HEADER_SIZE:])
            address = Address.at(block, 1)
            if address == NOWHERE:
                return b"".join(parts)

    def _node(self, index: Index, address: Address) -> IndexNode:
        node = self._segment(PageKind.INDEX, address)
        levels = node[1] if len(node) > 1 else 0
        key_at = NODE_FIXED_SIZE + NODE_LEVEL_SIZE * levels
        if not 1 <= levels <= MAX_LEVELS or len(node) <= key_at or node[0] != index.slot:
            raise DamagedError(f"{address} holds no node of this index")
        return IndexNode(Address.at(node, 2), Address.at(node, 17), node[key_at:])

    def _segment(self, kind: PageKind, address: Address) -> bytes:
        return self._pages.page_of(address.page, kind, self._number).segment(address.slot)

    def _id_index(self) -> Index:
        raw = self._pages.page_of(self._number, PageKind.COLLECTION, self._number).raw
        at = INDEX_COUNT_AT + 1
        for _ in range(raw[INDEX_COUNT_AT]):
            name_end = raw.find(0, at + 2)
            expression_end = raw.find(0, name_end + 1)
            if min(name_end, expression_end) < 0 or expression_end + INDEX_ENTRY_END >= PAGE_SIZE:
                break
            if raw[at + 2 : name_end] == b"_id" and raw[at + 1] == SKIP_LIST:
                return Index(
                    slot=raw[at],
                    head=Address.at(raw, expression_end + 2),
                    tail=Address.at(raw, expression_end + 7),
                )
            at = expression_end + 1 + INDEX_ENTRY_END
        raise DamagedError(f"page {self._number} lists no index of _id")


def collections_with_records(pages: PageFile) -> set[int]:
    """Numbers of the collections that data pages with records claim to belong to."""
    return {
        number
        for number, data_pages in pages.data_pages.items()
        if any(any(True for _ in _first_blocks(page)) for page in data_pages)
    }


def _first_blocks(page: Page) -> Iterator[int]:
    return (slot for slot, block in page.segments() if block[0] == FIRST_BLOCK)
