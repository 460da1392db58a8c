"""Every damage is an error without salvage, and what is left plus a word about the loss with it."""

import struct
from typing import Any

import pytest
from typing_extensions import override

from motovaultpro.lubelogger.litedb import DamagedError, Document, open_database
from tests.factories.litedb_file import (
    COLLECTION,
    DATA,
    INDEX,
    NOWHERE,
    PAGE_SIZE,
    Record,
    address,
    bson,
    element,
    make_file,
    page_numbers,
    page_of,
    patched,
    segment_at,
    slot_at,
)

RECORDS = [{"_id": number, "text": f"record {number}"} for number in range(1, 6)]
FILE = make_file({"notes": RECORDS, "others": [{"_id": "a"}]})
COLLECTION_PAGE, INDEX_PAGE, DATA_PAGE = (
    page_numbers(FILE, kind)[0] for kind in (COLLECTION, INDEX, DATA)
)
# Slots 0 and 1 of the index page are head and tail; record n has node slot n+1, block slot n-1.
NODE_OF_3, BLOCK_OF_3 = 4, 2


def patch_segment(data: bytes, at: tuple[int, int], offset: int, raw: bytes) -> bytes:
    page, slot = at
    start = page * PAGE_SIZE + segment_at(page_of(data, page), slot)
    return patched(data, start + offset, raw)


def patch_page(data: bytes, page: int, offset: int, raw: bytes) -> bytes:
    return patched(data, page * PAGE_SIZE + offset, raw)


def refusal(data: bytes, collection: str = "notes") -> str:
    with pytest.raises(DamagedError) as caught:
        list(open_database(data).read(collection))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def salvaged(data: bytes, collection: str = "notes") -> tuple[list[Document], list[str]]:
    database = open_database(data, salvage=True)
    records = list(database.read(collection))
    # Reading again finds the same and does not repeat the problems.
    assert list(database.read(collection)) == records
    return records, [str(problem) for problem in database.problems]


def without(*lost: int) -> list[dict[str, Any]]:  # Any: documents
    return [record for record in RECORDS if record["_id"] not in lost]


def test_salvage_of_a_healthy_file_has_no_problems() -> None:
    assert salvaged(FILE) == (RECORDS, [])


def test_damage_in_one_collection_leaves_the_others_readable() -> None:
    data = patch_page(FILE, DATA_PAGE, 0, bytes(PAGE_SIZE))

    assert refusal(data).startswith("notes: ")
    assert list(open_database(data).read("others")) == [{"_id": "a"}]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(
            patch_segment(FILE, (INDEX_PAGE, NODE_OF_3), 17, address((INDEX_PAGE, 2))),
            "runs in a circle",
            id="loop",
        ),
        pytest.param(
            patch_segment(FILE, (INDEX_PAGE, NODE_OF_3), 17, address((INDEX_PAGE, NODE_OF_3))),
            "runs in a circle",
            id="loop on itself",
        ),
        pytest.param(
            patch_segment(FILE, (INDEX_PAGE, NODE_OF_3), 17, NOWHERE),
            "no page 4294967295|page 4294967295 is missing",
            id="the index ends early",
        ),
        pytest.param(
            patch_segment(FILE, (INDEX_PAGE, NODE_OF_3), 17, address((DATA_PAGE, 0))),
            "is no index page",
            id="the index leads to data",
        ),
        pytest.param(
            patch_segment(FILE, (INDEX_PAGE, NODE_OF_3), 0, b"\x01"),
            "no node of this index",
            id="node of another index",
        ),
        pytest.param(
            patch_segment(FILE, (INDEX_PAGE, NODE_OF_3), 1, b"\x00"),
            "no node of this index",
            id="no levels",
        ),
        pytest.param(
            patch_segment(FILE, (INDEX_PAGE, NODE_OF_3), 1, b"\x20"),
            "no node of this index",
            id="more levels than bytes",
        ),
        pytest.param(
            patch_page(FILE, INDEX_PAGE, slot_at(NODE_OF_3), b"\0\0\0\0"),
            "slot 4 is free",
            id="node freed",
        ),
        pytest.param(
            patch_page(FILE, INDEX_PAGE, slot_at(NODE_OF_3), b"\xff\xff"),
            "points outside",
            id="slot too long",
        ),
        pytest.param(
            patch_page(
                FILE,
                INDEX_PAGE,
                slot_at(NODE_OF_3),
                struct.pack("<H", PAGE_SIZE - segment_at(page_of(FILE, INDEX_PAGE), NODE_OF_3)),
            ),
            "points outside",
            id="slot reaching into the slot table",
        ),
        pytest.param(
            patch_page(FILE, INDEX_PAGE, slot_at(NODE_OF_3) + 2, b"\x08\x00"),
            "points outside",
            id="slot in the page header",
        ),
        pytest.param(
            patch_page(FILE, INDEX_PAGE, 30, b"\xff"), "has no slot 0", id="page without slots"
        ),
        pytest.param(patch_page(FILE, INDEX_PAGE, 0, bytes(PAGE_SIZE)), "says it is", id="zeroed"),
        pytest.param(patch_page(FILE, INDEX_PAGE, 19, b"\x63"), "another collection", id="foreign"),
        pytest.param(
            patch_page(FILE, COLLECTION_PAGE, 96, b"\0"), "no index of _id", id="index not listed"
        ),
        pytest.param(
            patch_page(FILE, COLLECTION_PAGE, 96, b"\xff" + b"x" * 8095),
            "no index of _id",
            id="index list without end",
        ),
        pytest.param(
            patch_page(FILE, COLLECTION_PAGE, 98, b"\x01"), "no index of _id", id="index of no list"
        ),
        pytest.param(
            patch_page(FILE, COLLECTION_PAGE, 4, b"\0"), "is no collection page", id="wrong type"
        ),
    ],
)
def test_a_broken_index_loses_no_record(data: bytes, says: str) -> None:
    refused = refusal(data)
    records, problems = salvaged(data)

    assert refused.startswith("notes: ")
    assert any(word in refused for word in says.split("|"))
    assert sorted(records, key=lambda record: str(record["_id"])) == RECORDS
    assert problems[0].startswith("notes: the index is broken, searched all data pages instead: ")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(
            patch_segment(FILE, (DATA_PAGE, BLOCK_OF_3), 1, address((DATA_PAGE, BLOCK_OF_3))),
            "is used twice",
            id="loop",
        ),
        pytest.param(
            patch_segment(FILE, (DATA_PAGE, BLOCK_OF_3), 1, address((DATA_PAGE, 3))),
            "holds no block of this record",
            id="continued in another record",
        ),
        pytest.param(
            patch_segment(FILE, (DATA_PAGE, BLOCK_OF_3), 1, address((99, 0))),
            "page 99",
            id="continued nowhere",
        ),
        pytest.param(
            patch_segment(FILE, (DATA_PAGE, BLOCK_OF_3), 6, struct.pack("<i", 2**31 - 1)),
            "says it has 2147483647",
            id="impossible length",
        ),
        pytest.param(
            patch_segment(FILE, (DATA_PAGE, BLOCK_OF_3), 6, struct.pack("<i", -1)),
            "says it has -1",
            id="negative length",
        ),
        pytest.param(
            patch_segment(FILE, (DATA_PAGE, BLOCK_OF_3), 10, b"\x55"),
            "unknown value type 0x55",
            id="unknown type",
        ),
        pytest.param(
            patch_segment(FILE, (DATA_PAGE, BLOCK_OF_3), 12, b"X"),
            "a record without _id",
            id="no id",
        ),
        pytest.param(
            patch_page(FILE, DATA_PAGE, slot_at(BLOCK_OF_3), b"\x04\x00"),
            "holds no block of this record",
            id="block without room for its header",
        ),
    ],
)
def test_a_broken_record_is_lost_alone(data: bytes, says: str) -> None:
    records, problems = salvaged(data)

    assert says in refusal(data)
    assert records == without(3)
    assert [problem for problem in problems if problem.startswith("notes: record 3 is lost: ")]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(
            patch_page(FILE, DATA_PAGE, slot_at(BLOCK_OF_3), b"\0\0\0\0"),
            f"page {DATA_PAGE} slot 2 is free",
            id="slot freed",
        ),
        pytest.param(
            patch_segment(FILE, (DATA_PAGE, BLOCK_OF_3), 0, b"\x01"),
            f"page {DATA_PAGE} slot 2 holds no block of this record",
            id="not a first block",
        ),
    ],
)
def test_a_record_that_only_the_index_knows_is_lost(data: bytes, says: str) -> None:
    records, problems = salvaged(data)

    assert says in refusal(data)
    assert records == without(3)
    assert len(problems) == 1
    assert problems[0].startswith("notes: record 3 is lost: ")


def test_a_record_that_the_index_lost_is_found() -> None:
    data = patch_segment(FILE, (INDEX_PAGE, 3), 17, address((INDEX_PAGE, 5)))

    assert "the index names 4 records, the data pages hold 5" in refusal(data)
    assert salvaged(data) == (
        [*without(3), RECORDS[2]],
        ["notes: 1 records found outside the index"],
    )


def test_two_records_with_one_id_are_told() -> None:
    data = make_file({"notes": [RECORDS[0], Record({"_id": 2}, raw=bson({"_id": 1}))]})

    assert salvaged(data) == (
        [RECORDS[0]],
        ["notes: record 2 is left out: its _id was read before"],
    )


def test_one_record_named_twice_by_the_index_is_told() -> None:
    data = patch_segment(FILE, (INDEX_PAGE, NODE_OF_3), 2, address((DATA_PAGE, 1)))

    assert "the index names 5 records, the data pages hold 5: 1 are not in both" in refusal(data)
    records, problems = salvaged(data)
    assert records == [*without(3), RECORDS[2]]
    assert problems == ["notes: 1 records found outside the index"]


def test_invalid_text_is_shown_with_a_replacement() -> None:
    text = b"\x02text\0" + struct.pack("<i", 4) + b"a\xffb\0"
    body = element("_id", 1) + text
    raw = struct.pack("<i", len(body) + 5) + body + b"\0"
    data = make_file({"notes": [Record({"_id": 1}, raw=raw)]})

    assert "text that is not UTF-8" in refusal(data)
    assert salvaged(data) == (
        [{"_id": 1, "text": "a\ufffdb"}],
        ["notes: record 1 has text that is not UTF-8, shown as U+FFFD"],
    )


@pytest.mark.parametrize("identity", ["naïve", {"UserId": 1}], ids=["text", "document"])
def test_a_lost_record_is_named(identity: object) -> None:
    data = make_file({"notes": [Record({"_id": identity}, raw=b"\x05\0\0\0\x01")]})

    _, problems = salvaged(data)
    name = "record 'naïve'" if identity == "naïve" else "the record at page 3 slot 0"
    assert problems == [f"notes: {name} is lost: a field name without an end"]


def test_blocks_of_several_pages_may_loop_or_cross() -> None:
    large = [{"_id": number, "text": "x" * 20_000} for number in (1, 2)]
    data = make_file({"notes": large})
    pages = page_numbers(data, DATA)
    looped = patch_segment(data, (pages[2], 0), 1, address((pages[1], 0)))

    assert "is used twice" in refusal(looped)
    records, problems = salvaged(looped)
    assert records == [large[1]]
    assert problems == [
        f"notes: record 1 is lost: the block at page {pages[1]} slot 0 is used twice"
    ]


def test_what_remains_of_a_cut_file_is_read() -> None:
    records = [{"_id": number, "text": "x" * 900} for number in range(60)]
    data = make_file({"notes": records})

    for cut in range(PAGE_SIZE, len(data), 1000):
        part = data[:cut]
        left, problems = salvaged(part)
        assert refusal(part)
        assert problems
        assert [record for record in records if record in left] == sorted(
            left, key=lambda record: int(str(record["_id"]))
        )
    assert len(left) >= 50


def test_says_which_page_is_missing() -> None:
    data = FILE[: DATA_PAGE * PAGE_SIZE + 100]

    assert refusal(data) == (
        f"notes: record 1 (page {DATA_PAGE}): page {DATA_PAGE} is missing: the file ends before it"
    )
    _, problems = salvaged(data)
    assert f"notes: record 1 is lost: page {DATA_PAGE} is missing: the file ends before it" in (
        problems
    )


@pytest.mark.parametrize("number", [0, -1, 9999, 2**31 - 1, -(2**31)])
def test_a_collection_page_number_may_be_impossible(number: int) -> None:
    data = patched(FILE, 192, bson({"notes": number, "others": 4}))

    assert refusal(data).startswith("notes: ")
    assert list(open_database(data).read("others")) == [{"_id": "a"}]
    records, problems = salvaged(data, f"lost_{COLLECTION_PAGE}")
    assert records == RECORDS
    assert problems == ["lost_1: the name of the collection on page 1 is lost"]


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack("<i", -1),
        struct.pack("<i", 8001),
        struct.pack("<i", 20),
        bson({"notes": 1, "others": "4"})[:-1] + b"\x01",
        bson({"notes": 1, "others": 1}),
        bson({"no\ntes": 1, "others": 4}),
        bson({"notes": 1, "others": "4"}),
    ],
)
def test_a_damaged_list_of_collections_is_refused_and_read_as_far_as_possible(raw: bytes) -> None:
    data = patched(FILE, 192, raw)

    with pytest.raises(DamagedError, match="page 0"):
        open_database(data)
    database = open_database(data, salvage=True)
    assert "page 0: " in str(database.problems[0])
    everything = [record for name in database.collections for record in database.read(name)]
    assert {str(record["_id"]) for record in everything} == {"1", "2", "3", "4", "5", "a"}


@pytest.mark.parametrize("start", [0, 32])
def test_a_lost_header_loses_only_names(start: int) -> None:
    data = patched(FILE, start, bytes(PAGE_SIZE - start))
    database = open_database(data, salvage=True)

    assert database.collections == ["lost_1", "lost_4"]
    assert list(database.read("lost_1")) == RECORDS
    assert str(database.problems[0]) == "the file header is damaged"


def test_a_damaged_count_of_pages_loses_nothing_in_salvage() -> None:
    data = patched(FILE, 64, bytes(4))

    assert "there is no page 1" in refusal(data)
    assert salvaged(data) == (RECORDS, [])


class CountingBytes(bytes):
    """Counts how often a page is taken from the file."""

    taken = 0

    @override
    def __getitem__(self, key: Any) -> Any:  # Any: as bytes
        self.taken += 1
        return super().__getitem__(key)


@pytest.mark.parametrize("salvage", [False, True])
def test_the_work_on_a_tangled_file_is_bounded_by_its_size(salvage: bool) -> None:
    records = [{"_id": number, "text": "x" * 9000} for number in range(40)]
    data = make_file({"notes": records})
    # All blocks lead to one and the same continuation, which leads back to itself.
    first = page_numbers(data, DATA)[0]
    for page in page_numbers(data, DATA):
        for slot in range(page_of(data, page)[30] + 1):
            data = patch_segment(data, (page, slot), 1, address((first + 1, 0)))
    counting = CountingBytes(data)

    database = open_database(counting, salvage=salvage)
    try:
        list(database.read("notes"))
    except DamagedError:
        assert not salvage
    blocks_and_nodes = 40 * 2 + 40 + 2
    assert counting.taken < 4 * blocks_and_nodes + 4 * len(data) // PAGE_SIZE
