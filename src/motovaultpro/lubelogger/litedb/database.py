from collections.abc import Iterator
from datetime import datetime

from motovaultpro.lubelogger.litedb.bson import InvalidTextError, decode_document
from motovaultpro.lubelogger.litedb.collection import (
    CollectionPages,
    IndexNode,
    collections_with_records,
)
from motovaultpro.lubelogger.litedb.errors import DamagedError, Problem
from motovaultpro.lubelogger.litedb.header import Collation, Header
from motovaultpro.lubelogger.litedb.pages import Address, PageFile
from motovaultpro.lubelogger.litedb.values import Document


class Database:
    """The records of a LiteDB 5 file as they were when it was opened; see `open_database`.

    Without salvage, `read` raises `DamagedError` naming collection and page, before its first
    record if the index and the data pages disagree. With salvage it never does: `problems` says
    what was lost, complete for a collection once `read` has gone through it.
    """

    def __init__(
        self, header: Header, pages: PageFile, *, salvage: bool, problems: list[Problem]
    ) -> None:
        self._header = header
        self._pages = pages
        self._salvage = salvage
        # A dict for its order: reading a collection twice must not double its problems.
        self._problems = dict.fromkeys(problems)
        if header.rebuild_requested:
            self._note("LiteDB itself met damage in this file and asks for a rebuild")
        self._collections = self._find_collections()

    @property
    def created(self) -> datetime | None:
        """None where the file holds no possible date."""
        return self._header.created

    @property
    def user_version(self) -> int:
        return self._header.user_version

    @property
    def collation(self) -> Collation:
        return self._header.collation

    @property
    def collections(self) -> list[str]:
        """In order of creation; what salvage finds without a name is called `lost_<page>`."""
        return list(self._collections)

    @property
    def problems(self) -> list[Problem]:
        return list(self._problems)

    def read(self, collection: str) -> Iterator[Document]:
        """The documents in the order of their `_id`, which each of them has.

        A collection that is not there has no documents: LubeLogger creates them at first use.
        """
        number = self._collections.get(collection)
        if number is None:
            return iter(())
        if self._salvage:
            return self._read_what_is_left(collection, CollectionPages(self._pages, number))
        return self._read(collection, CollectionPages(self._pages, number))

    def _read(self, collection: str, pages: CollectionPages) -> Iterator[Document]:
        try:
            for node in _agreed_nodes(pages):
                yield _decode(pages, node)
        except DamagedError as error:
            raise DamagedError(f"{collection}: {error}") from error

    def _read_what_is_left(self, collection: str, pages: CollectionPages) -> Iterator[Document]:
        returned: set[str] = set()
        for address, record in self._records_left(collection, pages).items():
            try:
                document = self._decode_what_is_left(collection, record, pages.document(address))
            except DamagedError as error:
                self._note(f"{record} is lost: {error}", collection)
                continue
            # Why repr: an _id may be a document or a list, which no set holds.
            identity = repr(document["_id"])
            if identity in returned:
                self._note(f"{record} is left out: its _id was read before", collection)
                continue
            returned.add(identity)
            yield document

    def _records_left(self, collection: str, pages: CollectionPages) -> dict[Address, str]:
        """Indexed records, then those that only the data pages know, each with a name for it."""
        records: dict[Address, str] = {}
        try:
            for node in pages.indexed():
                records[node.data] = node.record
        except DamagedError as error:
            self._note(f"the index is broken, searched all data pages instead: {error}", collection)
        indexed = len(records)
        for address in pages.stored():
            records.setdefault(address, f"the record at {address}")
        if len(records) > indexed:
            self._note(f"{len(records) - indexed} records found outside the index", collection)
        return records

    def _decode_what_is_left(self, collection: str, record: str, data: bytes) -> Document:
        try:
            return _with_id(decode_document(data))
        except InvalidTextError as error:
            document = _with_id(decode_document(data, invalid_text="replace"))
            self._note(f"{record} has {error}, shown as U+FFFD", collection)
            return document

    def _find_collections(self) -> dict[str, int]:
        if not self._salvage:
            return self._header.collections()
        try:
            collections = self._header.collections()
        except DamagedError as error:
            collections = self._header.collections_left()
            self._note(f"{error}; {len(collections)} names could be read")
        for number in sorted(collections_with_records(self._pages) - set(collections.values())):
            name = f"lost_{number}"
            self._note(f"the name of the collection on page {number} is lost", name)
            collections[name] = number
        return collections

    def _note(self, detail: str, collection: str | None = None) -> None:
        self._problems[Problem(detail, collection)] = None


def _agreed_nodes(pages: CollectionPages) -> list[IndexNode]:
    """The nodes of the index, whose records must be those on the data pages."""
    nodes = list(pages.indexed())
    indexed, stored = {node.data for node in nodes}, set(pages.stored())
    for node in nodes:
        if node.data not in stored:
            _decode(pages, node)  # says what is wrong with it
    if differing := stored ^ indexed:
        raise DamagedError(
            f"the index names {len(nodes)} records, the data pages hold {len(stored)}: "
            f"{len(differing)} are not in both, the first at {min(differing)}"
        )
    return nodes


def _decode(pages: CollectionPages, node: IndexNode) -> Document:
    try:
        return _with_id(decode_document(pages.document(node.data)))
    except DamagedError as error:
        raise DamagedError(f"{node.record} (page {node.data.page}): {error}") from error


def _with_id(document: Document) -> Document:
    if "_id" not in document:
        raise DamagedError("a record without _id")
    return document
