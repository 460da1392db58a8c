import pytest

from motovaultpro.lubelogger.litedb import (
    DamagedError,
    LogError,
    PasswordNeededError,
    WrongPasswordError,
    open_database,
)
from tests.factories.litedb_file import PAGE_SIZE, encrypt, log_between, make_file, patched

OLD = make_file({"notes": [{"_id": 1, "text": "old"}]})
NEW = make_file({"notes": [{"_id": 1, "text": "new"}]})
SECRET = encrypt(OLD, "pässword", bytes(range(16)))
SECRET_LOG = encrypt(log_between(OLD, NEW), "pässword", bytes(range(16, 32)))


def test_needs_a_password() -> None:
    with pytest.raises(PasswordNeededError, match="password-protected"):
        open_database(SECRET)


def test_refuses_a_wrong_password() -> None:
    for password in ("", "other", "\udcff"):
        with pytest.raises(WrongPasswordError, match="does not open"):
            open_database(SECRET, password=password)


def test_opens_with_the_password() -> None:
    database = open_database(SECRET, password="pässword")

    assert list(database.read("notes")) == [{"_id": 1, "text": "old"}]


def test_the_log_has_a_salt_of_its_own() -> None:
    database = open_database(SECRET, log=SECRET_LOG, password="pässword")

    assert list(database.read("notes")) == [{"_id": 1, "text": "new"}]


@pytest.mark.parametrize("log", [b"", SECRET_LOG[:PAGE_SIZE], SECRET_LOG[: PAGE_SIZE + 100]])
def test_a_log_without_pages_changes_nothing(log: bytes) -> None:
    database = open_database(SECRET, log=log, password="pässword")

    assert list(database.read("notes")) == [{"_id": 1, "text": "old"}]


def test_refuses_a_log_with_another_password() -> None:
    log = encrypt(log_between(OLD, NEW), "other", bytes(16))

    with pytest.raises(LogError, match="the password does not open the log"):
        open_database(SECRET, log=log, password="pässword")
    database = open_database(SECRET, log=log, password="pässword", salvage=True)
    assert list(database.read("notes")) == [{"_id": 1, "text": "old"}]


def test_pages_that_were_never_written_are_zero() -> None:
    gap = bytes(PAGE_SIZE)
    log = SECRET_LOG[:PAGE_SIZE] + gap + SECRET_LOG[PAGE_SIZE:] + gap

    database = open_database(SECRET, log=log, password="pässword")
    assert list(database.read("notes")) == [{"_id": 1, "text": "new"}]


def test_a_password_that_is_not_needed_is_ignored() -> None:
    assert open_database(OLD, password="any").collections == ["notes"]


def test_says_when_a_password_file_is_cut_off() -> None:
    with pytest.raises(DamagedError, match="cut off"):
        open_database(SECRET[: PAGE_SIZE + 5000], password="pässword")


def test_a_plain_file_whose_first_byte_changed_is_not_taken_for_a_password_file() -> None:
    assert open_database(patched(OLD, 0, b"\x01")).collections == ["notes"]
