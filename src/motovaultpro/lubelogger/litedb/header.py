"""Page 0: what kind of file this is, and which collections it has."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from motovaultpro.lubelogger.litedb.bson import decode_document
from motovaultpro.lubelogger.litedb.errors import (
    DamagedError,
    EmptyFileError,
    NotLiteDBError,
    UnsupportedVersionError,
    ZipArchiveError,
)
from motovaultpro.lubelogger.litedb.pages import PAGE_SIZE, Page, PageKind, uint32

SIGNATURE: Final = b"** This is a LiteDB file **"
SIGNATURE_AT: Final = slice(32, 59)
IDENTITY: Final = slice(32, 60)  # signature and version
CREATED: Final = slice(68, 76)
VERSION_AT: Final = 59
VERSION_5: Final = 8
OLD_SIGNATURE_AT: Final = slice(25, 52)
OLD_VERSION_AT: Final = 52
OLD_VERSIONS: Final = {6: "3", 7: "4"}
COLLECTIONS_AT: Final = 192
ZIP_MAGIC: Final = b"PK\x03\x04"
SQLITE_MAGIC: Final = b"SQLite format 3\0"
FIRST_DAY: Final = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Collation:
    """How the database compares text: a Windows locale and .NET's CompareOptions."""

    lcid: int
    options: int


def require_version_5(data: bytes) -> None:
    """Refuse everything that is not an unencrypted LiteDB 5 file, saying what it is instead."""
    if not data:
        raise EmptyFileError("the file is empty: nothing was stored in it yet")
    if data.startswith(ZIP_MAGIC):
        raise ZipArchiveError("this is a zip archive, not a LiteDB file")
    if data.startswith(SQLITE_MAGIC):
        raise NotLiteDBError("this is an SQLite database, not a LiteDB file")
    if data[OLD_SIGNATURE_AT] == SIGNATURE:
        version = OLD_VERSIONS.get(data[OLD_VERSION_AT] if len(data) > OLD_VERSION_AT else 0)
        raise UnsupportedVersionError(
            f"this file is of LiteDB {version or '4 or older'}: "
            "open it once with a program that uses LiteDB 5 and the option upgrade=true"
        )
    if data[SIGNATURE_AT] != SIGNATURE:
        raise NotLiteDBError("this is not a LiteDB file")
    if len(data) < PAGE_SIZE:
        raise DamagedError(f"the LiteDB file is cut off: it has only {len(data)} bytes")
    if data[VERSION_AT] != VERSION_5:
        raise UnsupportedVersionError(
            f"this file is of a LiteDB newer than 5 (file version {data[VERSION_AT]}): "
            "not supported"
        )


def has_numbered_pages(data: bytes) -> bool:
    """Whether a file without a signature still looks like LiteDB 5 inside."""
    pages = [
        Page(data[offset : offset + PAGE_SIZE])
        for offset in range(PAGE_SIZE, len(data) - PAGE_SIZE + 1, PAGE_SIZE)
    ]
    good = [
        page
        for number, page in enumerate(pages, start=1)
        if page.number == number and PageKind.COLLECTION <= page.kind <= PageKind.DATA
    ]
    return len(good) * 2 > len(pages)


class Header:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    @property
    def last_page(self) -> int:
        return uint32(self._raw, 64)

    @property
    def created(self) -> datetime | None:
        """None where the file holds no possible date."""
        ticks = int.from_bytes(self._raw[CREATED], "little", signed=True)
        try:
            return FIRST_DAY + timedelta(microseconds=ticks // 10)
        except OverflowError:
            return None

    @property
    def user_version(self) -> int:
        return self._int32(76)

    @property
    def collation(self) -> Collation:
        return Collation(self._int32(80), self._int32(84))

    @property
    def rebuild_requested(self) -> bool:
        """The engine met damage and wants to rebuild the file when it opens it next."""
        return self._raw[191] != 0

    def collections(self) -> dict[str, int]:
        """Names with their collection page, in order of creation."""
        length = self._int32(COLLECTIONS_AT)
        if length == 0:
            return {}
        if not 0 < length <= PAGE_SIZE - COLLECTIONS_AT:
            raise DamagedError(f"page 0: a list of collections of {length} bytes")
        try:
            stored = decode_document(self._raw[COLLECTIONS_AT : COLLECTIONS_AT + length])
        except DamagedError as error:
            raise DamagedError(f"page 0: the list of collections: {error}") from error
        pages = {
            name: page for name, page in stored.items() if type(page) is int and name.isprintable()
        }
        if len(pages) < len(stored) or len(set(pages.values())) < len(stored):
            raise DamagedError("page 0: the list of collections has impossible entries")
        return pages

    def collections_left(self) -> dict[str, int]:
        """What can still be recognised in a damaged list of collections."""
        entries = re.findall(
            rb"\x10([A-Za-z_][\w$-]{0,120})\0(.{4})", self._raw[COLLECTIONS_AT:], re.DOTALL
        )
        return {name.decode("ascii"): uint32(page, 0) for name, page in entries}

    def _int32(self, offset: int) -> int:
        return int.from_bytes(self._raw[offset : offset + 4], "little", signed=True)
