import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from motovaultpro.lubelogger.litedb import Collation, Document, Int64, ObjectId, open_database
from tests.factories.litedb_file import (
    BLOCK_CAPACITY,
    PAGE_SIZE,
    Record,
    bson,
    make_file,
    patched,
)

# Any: records of every type.
Records = Iterable[Mapping[str, Any] | Record]


def read_back(records: Records, *, other_index: bool = False) -> list[Document]:
    data = make_file({"notes": records}, other_index=other_index)
    return list(open_database(data).read("notes"))


def document_of_size(size: int) -> dict[str, object]:
    filler = size - len(bson({"_id": 1, "text": ""}))
    return {"_id": 1, "text": "x" * filler}


def test_reads_collections_in_order_of_creation_and_records_in_order_of_id() -> None:
    database = open_database(
        make_file({"vehicles": [{"_id": 1}, {"_id": 2}], "empty": [], "a": [{"_id": 9}]})
    )

    assert database.collections == ["vehicles", "empty", "a"]
    assert {name: list(database.read(name)) for name in database.collections} == {
        "vehicles": [{"_id": 1}, {"_id": 2}],
        "empty": [],
        "a": [{"_id": 9}],
    }
    assert database.problems == []


def test_a_collection_can_be_read_twice() -> None:
    database = open_database(make_file({"notes": [{"_id": 1}]}))

    assert list(database.read("notes")) == list(database.read("notes")) == [{"_id": 1}]


def test_a_collection_that_is_not_there_has_no_records() -> None:
    assert list(open_database(make_file({"notes": []})).read("vehicles")) == []


def test_reads_what_the_header_says() -> None:
    data = patched(make_file({}), 76, (-7).to_bytes(4, "little", signed=True))
    database = open_database(data)

    assert database.collections == []
    assert database.created == datetime(2024, 1, 1, tzinfo=UTC)
    assert database.user_version == -7
    assert database.collation == Collation(lcid=1033, options=1)


def test_an_impossible_creation_date_is_unknown() -> None:
    assert open_database(make_file({}, created_ticks=2**63 - 1)).created is None
    assert open_database(make_file({}, created_ticks=-(10**12))).created is None


def test_a_rebuild_that_litedb_asks_for_is_a_problem_that_stops_nothing() -> None:
    database = open_database(patched(make_file({"notes": [{"_id": 1}]}), 191, b"\x01"))

    assert list(database.read("notes")) == [{"_id": 1}]
    assert [str(problem) for problem in database.problems] == [
        "LiteDB itself met damage in this file and asks for a rebuild"
    ]


def test_deleted_records_do_not_come_back() -> None:
    records: Records = [
        Record({"_id": 1}, deleted=True),
        {"_id": 2},
        Record({"_id": 3, "text": "x" * 10_000}, deleted=True),
        {"_id": 4},
        Record({"_id": 5}, deleted=True),
    ]

    assert read_back(records) == [{"_id": 2}, {"_id": 4}]


@pytest.mark.parametrize(
    "size",
    [
        BLOCK_CAPACITY - 1,
        BLOCK_CAPACITY,
        BLOCK_CAPACITY + 1,
        2 * BLOCK_CAPACITY - 1,
        2 * BLOCK_CAPACITY,
        2 * BLOCK_CAPACITY + 1,
        100_000,
    ],
)
def test_reads_documents_around_the_size_of_a_block(size: int) -> None:
    document = document_of_size(size)

    assert len(bson(document)) == size
    assert read_back([document]) == [document]


@pytest.mark.parametrize("border", range(20, 40))
def test_a_block_may_end_inside_a_number_or_a_character(border: int) -> None:
    document = {"_id": Int64(1), "text": "🚗ü🚗ü🚗ü"}

    assert read_back([Record(document, blocks=[border])]) == [document]


def test_reads_short_blocks_that_an_update_left() -> None:
    document = document_of_size(20_000)
    small = {"_id": 2, "text": "beside a continuation"}

    assert read_back([Record(document, blocks=[3, 1, 5000, 10]), small]) == [document, small]


@pytest.mark.parametrize(
    "identity",
    [
        Int64(2**40),
        "name",
        "ä" * 400,  # a key over 255 bytes
        uuid.uuid4(),
        ObjectId(bytes(12)),
        {"UserId": 1, "VehicleId": 2},
        [1, "a"],
    ],
    ids=lambda identity: type(identity).__name__,
)
def test_any_type_can_be_an_id(identity: object) -> None:
    assert read_back([{"_id": identity}]) == [{"_id": identity}]


def test_other_indexes_do_not_count() -> None:
    records = [{"_id": 1, "Tags": ["a", "b"]}, {"_id": 2, "Tags": ["a"]}]

    assert read_back(records, other_index=True) == records


def test_many_records_fill_many_pages() -> None:
    records = [{"_id": number, "text": "x" * (number % 300)} for number in range(3000)]

    assert read_back(records) == records


def test_pages_that_no_collection_uses_are_ignored() -> None:
    dropped = make_file({"dropped": [{"_id": 1}], "notes": [{"_id": 2}]})
    # What a drop leaves: pages of type 0 with their old content, and a header without the name.
    for page in (1, 2, 3):
        dropped = patched(dropped, page * PAGE_SIZE + 4, b"\0")
    names = bson({"notes": 4})
    emptied = patched(dropped, 192, names.ljust(100, b"\0"))

    for salvage in (False, True):
        database = open_database(emptied, salvage=salvage)
        assert {name: list(database.read(name)) for name in database.collections} == {
            "notes": [{"_id": 2}]
        }
        assert database.problems == []


def test_pages_after_the_last_one_and_an_incomplete_page_are_ignored() -> None:
    data = make_file({"notes": [{"_id": 1}]})

    assert list(open_database(data + bytes(3 * PAGE_SIZE) + b"torn").read("notes")) == [{"_id": 1}]
