import pytest

from motovaultpro.lubelogger.litedb import (
    DamagedError,
    EmptyFileError,
    LiteDBError,
    NotLiteDBError,
    UnsupportedVersionError,
    ZipArchiveError,
    open_database,
)
from tests.factories.litedb_file import PAGE_SIZE, make_file, patched

SIGNATURE = b"** This is a LiteDB file **"
GOOD = make_file({"notes": [{"_id": 1}]})


def old_file(version: int) -> bytes:
    return (bytes(25) + SIGNATURE + bytes([version])).ljust(4096, b"\0")


@pytest.mark.parametrize("salvage", [False, True])
@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"", EmptyFileError, "empty: nothing was stored"),
        (old_file(7), UnsupportedVersionError, "LiteDB 4: open it once"),
        (old_file(6), UnsupportedVersionError, "LiteDB 3: open it once"),
        (old_file(5), UnsupportedVersionError, "4 or older"),
        (old_file(7)[:52], UnsupportedVersionError, "4 or older"),
        (patched(GOOD, 59, b"\x09"), UnsupportedVersionError, "newer than 5 .file version 9"),
        (b"SQLite format 3\0".ljust(8192, b"\0"), NotLiteDBError, "SQLite"),
        (b"PK\x03\x04" + bytes(100), ZipArchiveError, "zip archive"),
        (b"The quick brown fox", NotLiteDBError, "not a LiteDB file"),
        (bytes(range(256)) * 100, NotLiteDBError, "not a LiteDB file"),
        (bytes(3 * PAGE_SIZE), NotLiteDBError, "not a LiteDB file"),
        (b"\x01", NotLiteDBError, "not a LiteDB file"),
        (b"\x01" + bytes(range(1, 256)) * 100, NotLiteDBError, "not a LiteDB file"),
        (GOOD[:4096], DamagedError, "cut off: it has only 4096 bytes"),
        (GOOD[:40], NotLiteDBError, "not a LiteDB file"),
    ],
)
def test_says_in_one_line_what_a_file_is(
    data: bytes, error: type[LiteDBError], says: str, salvage: bool
) -> None:
    with pytest.raises(error, match=says) as caught:
        open_database(data, salvage=salvage)
    assert "\n" not in str(caught.value)
