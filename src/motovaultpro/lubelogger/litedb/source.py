"""From a path, bytes or a LubeLogger backup to an open database. Nothing is ever written."""

import stat
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from motovaultpro.lubelogger.litedb.database import Database
from motovaultpro.lubelogger.litedb.encryption import decrypt, is_encrypted
from motovaultpro.lubelogger.litedb.errors import (
    DamagedError,
    LogError,
    NotLiteDBError,
    PasswordNeededError,
    Problem,
    UnreadableFileError,
)
from motovaultpro.lubelogger.litedb.header import (
    SIGNATURE,
    SIGNATURE_AT,
    ZIP_MAGIC,
    Header,
    has_numbered_pages,
    require_version_5,
)
from motovaultpro.lubelogger.litedb.log import read_log
from motovaultpro.lubelogger.litedb.pages import PAGE_SIZE, PageFile

T = TypeVar("T")

BACKUP_DATABASE: Final = "data/cartracker.db"
BACKUP_LOG: Final = "data/cartracker-log.db"
# The file is held in memory; LubeLogger keeps images outside it, so it has a few MB.
MAX_FILE_SIZE: Final = 512 * 1024**2
ATTEMPTS: Final = 10
PAUSE_SECONDS: Final = 0.05
ANY_PAGE: Final = 0xFFFFFFFE
# All that zipfile raises over a damaged, encrypted or exotic archive.
ZIP_ERRORS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
)


def open_database(
    source: Path | bytes,
    *,
    log: bytes | None = None,
    password: str | None = None,
    use_log: bool = True,
    salvage: bool = False,
) -> Database:
    """Open a LiteDB 5 file, or the bytes of one, for reading.

    With a path and no `log`, the log is `NAME-log.EXT` beside the file; both are read until they
    hold still, so that LubeLogger may be running. `use_log=False` gives the state before the log.
    A password is ignored where none is needed. `salvage` reads what is left of a damaged file
    (see `Database`).

    Raises `LiteDBError`, of which the subclasses in `errors` say what the matter is.
    """
    if not use_log:
        log = b""
    if isinstance(source, bytes):
        data, log = source, log or b""
    else:
        data, log = _read_files(source, log)
    return _open(data, log, password=password, salvage=salvage)


def open_backup(
    archive: Path, *, password: str | None = None, use_log: bool = True, salvage: bool = False
) -> Database:
    """Open the database inside a LubeLogger backup zip; raises as `open_database` does."""
    try:
        with zipfile.ZipFile(archive) as members:
            data = _read_member(members, BACKUP_DATABASE)
            # LubeLogger leaves the log out; a zip that someone made of the folder may have it.
            with_log = use_log and BACKUP_LOG in members.namelist()
            log = _read_member(members, BACKUP_LOG) if with_log else b""
    except KeyError as error:
        raise NotLiteDBError(f"this zip archive holds no {BACKUP_DATABASE}") from error
    except ZIP_ERRORS as error:
        raise UnreadableFileError(f"the zip archive cannot be read: {error}") from error
    return _open(data, log, password=password, salvage=salvage)


def _open(data: bytes, log: bytes, *, password: str | None, salvage: bool) -> Database:
    encrypted = is_encrypted(data) and data[SIGNATURE_AT] != SIGNATURE
    if encrypted:
        data = _decrypt(data, password)
    problems: list[Problem] = []
    try:
        require_version_5(data)
    except NotLiteDBError:
        if not salvage or len(data) < PAGE_SIZE or not has_numbered_pages(data):
            raise
        problems.append(Problem("the file header is damaged"))
    header_page = data[:PAGE_SIZE]
    try:
        overlay = read_log(log, header_page, password=password if encrypted else None)
    except LogError as error:
        if not salvage:
            raise
        problems.append(Problem(f"read without the log: {error}"))
        overlay = {}
    header = Header(overlay.get(0, header_page))
    # Why any page in salvage: the count may be what is damaged, and pages behind it are zero.
    pages = PageFile(data, overlay, ANY_PAGE if salvage else header.last_page)
    return Database(header, pages, salvage=salvage, problems=problems)


def _decrypt(data: bytes, password: str | None) -> bytes:
    if password is None:
        raise PasswordNeededError("the file is password-protected (or not a LiteDB file)")
    if len(data) < 2 * PAGE_SIZE:
        raise DamagedError(f"the LiteDB file is cut off: it has only {len(data)} bytes")
    return decrypt(data, password)


def _read_files(path: Path, given_log: bytes | None) -> tuple[bytes, bytes]:
    def state() -> tuple[int, int, bytes]:
        found = path.stat()
        return found.st_mtime_ns, found.st_size, _read_log(path) if given_log is None else given_log

    try:
        (_, _, log), data = read_when_still(state, lambda: _read(path))
    except OSError as error:
        raise UnreadableFileError(f"cannot be read: {error.strerror}") from error
    except ValueError as error:  # a path that no file can have
        raise UnreadableFileError(f"cannot be read: {error}") from error
    return data, log


def _read_log(path: Path) -> bytes:
    try:
        return _read(path.with_name(f"{path.stem}-log{path.suffix}"))
    except FileNotFoundError:  # LiteDB deletes it when it closes
        return b""
    except OSError as error:
        raise UnreadableFileError(f"its log cannot be read: {error.strerror}") from error


def read_when_still(state: Callable[[], T], read: Callable[[], bytes]) -> tuple[T, bytes]:
    """Read until the state before and after is the same; return it with what was read."""
    before = state()
    for _ in range(ATTEMPTS):
        data = read()
        after = state()
        if after == before:
            return after, data
        before = after
        time.sleep(PAUSE_SECONDS)
    raise UnreadableFileError("the file changes while it is read: stop LubeLogger for a moment")


def _read(path: Path) -> bytes:
    # Why before opening: a pipe would wait for a writer for ever.
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableFileError(f"{path.name or path} is not a regular file")
    _refuse_size(found.st_size)
    with path.open("rb") as file:
        start = file.read(len(ZIP_MAGIC))
        # A backup may hold gigabytes of images: known by its start, it need not be read.
        return start if start == ZIP_MAGIC else start + file.read(MAX_FILE_SIZE)


def _read_member(members: zipfile.ZipFile, name: str) -> bytes:
    # Why no others: LZMA reserves what memory a damaged header asks for; .NET writes these two.
    if members.getinfo(name).compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise UnreadableFileError("the zip archive is packed in a way that is not supported")
    with members.open(name) as member:
        data = member.read(MAX_FILE_SIZE + 1)
    _refuse_size(len(data))
    return data


def _refuse_size(size: int) -> None:
    if size > MAX_FILE_SIZE:
        raise UnreadableFileError(f"the file is larger than {MAX_FILE_SIZE // 1024**2} MiB")
