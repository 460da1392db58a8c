import pytest

from motovaultpro.lubelogger.litedb import Database, LogError, open_database
from tests.factories.litedb_file import (
    DATA,
    PAGE_SIZE,
    log_between,
    log_page,
    make_file,
    page_numbers,
    page_of,
    patched,
)

EMPTY = make_file({})
OLD = make_file({"notes": [{"_id": 1, "text": "old"}]})
NEW = make_file({"notes": [{"_id": 1, "text": "new"}], "added": [{"_id": 5}]})


def contents(database: Database) -> dict[str, list[object]]:
    return {name: list(database.read(name)) for name in database.collections}


OLD_CONTENTS = contents(open_database(OLD))
NEW_CONTENTS = contents(open_database(NEW))


def test_everything_may_be_in_the_log() -> None:
    assert len(EMPTY) == PAGE_SIZE
    assert contents(open_database(EMPTY, log=log_between(EMPTY, NEW))) == NEW_CONTENTS


def test_a_confirmed_header_adds_a_collection_and_changes_records() -> None:
    assert contents(open_database(OLD, log=log_between(OLD, NEW))) == NEW_CONTENTS


def test_without_its_log_a_file_has_its_older_state() -> None:
    log = log_between(OLD, NEW)

    assert contents(open_database(OLD)) == OLD_CONTENTS
    assert contents(open_database(OLD, log=b"")) == OLD_CONTENTS
    assert contents(open_database(OLD, log=log, use_log=False)) == OLD_CONTENTS


def test_transactions_that_were_never_confirmed_do_not_count() -> None:
    unconfirmed = log_between(OLD, make_file({"other": []}), transaction=7, confirm=False)
    confirmed = log_between(OLD, NEW, transaction=8)

    assert contents(open_database(OLD, log=unconfirmed)) == OLD_CONTENTS
    interleaved = b"".join(
        confirmed[offset : offset + PAGE_SIZE] + unconfirmed[offset : offset + PAGE_SIZE]
        for offset in range(0, len(confirmed), PAGE_SIZE)
    )
    assert contents(open_database(OLD, log=unconfirmed + interleaved)) == NEW_CONTENTS


def test_the_later_of_two_confirmed_transactions_wins() -> None:
    newest = make_file({"notes": [{"_id": 1, "text": "newest"}], "added": [{"_id": 5}]})
    log = log_between(OLD, NEW, transaction=1) + log_between(NEW, newest, transaction=2)

    assert contents(open_database(OLD, log=log)) == contents(open_database(newest))


def test_a_transaction_number_may_be_used_again() -> None:
    newest = make_file({"notes": [{"_id": 1, "text": "newest"}], "added": [{"_id": 5}]})
    log = log_between(OLD, NEW, transaction=1) + log_between(NEW, newest, transaction=2)
    again = log_page(page_of(newest, 0), 1, confirmed=True)

    assert contents(open_database(OLD, log=log + again)) == contents(open_database(newest))


def test_a_page_written_twice_in_a_transaction_counts_as_written_last() -> None:
    number = page_numbers(OLD, DATA)[0]
    first = log_page(page_of(OLD, number), 1)

    assert contents(open_database(OLD, log=first + log_between(OLD, NEW))) == NEW_CONTENTS


def test_a_torn_last_page_takes_its_whole_transaction_along() -> None:
    log = log_between(OLD, NEW)

    assert contents(open_database(OLD, log=log[:-1])) == OLD_CONTENTS


def test_zero_pages_in_the_log_are_passed_over() -> None:
    log = log_between(OLD, NEW)
    for gap in (bytes(PAGE_SIZE), bytes(16) + b"\xff" * (PAGE_SIZE - 16)):
        with_gap = log[:PAGE_SIZE] + gap + log[PAGE_SIZE:] + gap
        assert contents(open_database(OLD, log=with_gap)) == NEW_CONTENTS


def test_a_plain_log_may_begin_like_an_encrypted_one() -> None:
    log = log_between(EMPTY, NEW)

    assert log[0] == 1
    assert contents(open_database(EMPTY, log=log)) == NEW_CONTENTS


def test_applying_a_log_again_after_a_checkpoint_changes_nothing() -> None:
    assert contents(open_database(NEW, log=log_between(OLD, NEW))) == NEW_CONTENTS


def test_pages_that_the_header_counts_and_nobody_wrote_are_not_damage() -> None:
    counted = patched(OLD, 64, (99).to_bytes(4, "little"))

    assert contents(open_database(counted)) == OLD_CONTENTS


@pytest.mark.parametrize(
    ("offset", "raw"),
    [
        (0, b"\xff\xff\xff\x00"),  # a page number that the header does not count
        (4, b"\x05"),  # a type that does not exist
        (4, b"\x01"),  # a second header
    ],
)
def test_refuses_a_log_with_impossible_pages(offset: int, raw: bytes) -> None:
    log = patched(log_between(OLD, NEW), offset, raw)

    with pytest.raises(LogError, match="the log is damaged or of another database"):
        open_database(OLD, log=log)


def test_refuses_the_log_of_another_database() -> None:
    other = make_file({"notes": [{"_id": 1}]}, created_ticks=638_500_000_000_000_000)
    log = log_between(EMPTY, other)

    with pytest.raises(LogError, match="another database"):
        open_database(OLD, log=log)
    database = open_database(OLD, log=log, salvage=True)
    assert contents(database) == OLD_CONTENTS
    assert [str(problem) for problem in database.problems] == [
        "read without the log: the log belongs to another database"
    ]
