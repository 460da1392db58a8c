"""The write-ahead log: pages of transactions, of which only the confirmed ones count."""

from motovaultpro.lubelogger.litedb.encryption import decrypt
from motovaultpro.lubelogger.litedb.errors import LogError, WrongPasswordError
from motovaultpro.lubelogger.litedb.header import CREATED, IDENTITY, SIGNATURE, SIGNATURE_AT, Header
from motovaultpro.lubelogger.litedb.pages import PAGE_SIZE, Page, PageKind


def read_log(log: bytes, header_page: bytes, *, password: str | None) -> dict[int, bytes]:
    """The newest confirmed version of every page in a log; `password` if the data file has one.

    Raises `LogError` for a log that cannot be of the database with this header page: LiteDB
    would apply it blindly.
    """
    if password is not None:
        log = _decrypt(log, password)
    overlay = _confirmed_pages(log)
    if overlay:
        _check(overlay, header_page)
    return overlay


def _decrypt(log: bytes, password: str) -> bytes:
    if len(log) < 2 * PAGE_SIZE:
        return b""
    try:
        return decrypt(log, password)
    except WrongPasswordError as error:
        raise LogError("the password does not open the log") from error


def _confirmed_pages(log: bytes) -> dict[int, bytes]:
    """The newest confirmed version of every page."""
    pending: dict[int, dict[int, bytes]] = {}
    overlay: dict[int, bytes] = {}
    for offset in range(0, len(log) - PAGE_SIZE + 1, PAGE_SIZE):
        raw = log[offset : offset + PAGE_SIZE]
        if not any(raw[:16]):
            continue
        page = Page(raw)
        transaction = pending.setdefault(page.transaction, {})
        transaction[page.number] = raw
        if page.confirmed:
            overlay |= pending.pop(page.transaction)
    return overlay


def _check(overlay: dict[int, bytes], header_page: bytes) -> None:
    newest = overlay.get(0, header_page)
    if header_page[SIGNATURE_AT] != SIGNATURE:
        header_page = newest
    if newest[IDENTITY] != header_page[IDENTITY] or newest[CREATED] != header_page[CREATED]:
        raise LogError("the log belongs to another database")
    last_page = Header(newest).last_page
    for number, raw in overlay.items():
        kind = Page(raw).kind
        if number > last_page or kind > max(PageKind) or (kind == PageKind.HEADER) != (number == 0):
            raise LogError(
                f"the log is damaged or of another database (page {number}, type {kind})"
            )
