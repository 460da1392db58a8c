"""Random damage: a result or a LiteDBError, never anything else.

That it ends in bounded time is by construction (each node, block and byte is visited once per
reading) and counted in test_damage.
"""

import contextlib
import io
import json
import uuid
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from motovaultpro.lubelogger.extended_json import to_extended_json
from motovaultpro.lubelogger.litedb import (
    Database,
    DateTimeLimit,
    Int64,
    KeyLimit,
    LiteDBError,
    ObjectId,
    open_backup,
    open_database,
)
from tests.factories.litedb_file import (
    PAGE_SIZE,
    Record,
    encrypt,
    log_between,
    make_file,
    patched,
)

EVERY_TYPE = {
    "_id": 1,
    "null": None,
    "bool": True,
    "long": Int64(1),
    "double": 1.5,
    "decimal": Decimal("-1.50"),
    "text": "Škoda",
    "binary": b"\0\1",
    "guid": uuid.UUID(int=1),
    "object_id": ObjectId(bytes(12)),
    "date": datetime(2024, 1, 1, tzinfo=UTC),
    "unset": DateTimeLimit.MIN,
    "min": KeyLimit.MIN,
    "list": [1, {"a": [2]}],
}
FILE = make_file(
    {
        "types": [EVERY_TYPE],
        "notes": [{"_id": number, "text": f"note {number}"} for number in range(20)],
        "large": [
            Record({"_id": "a", "text": "x" * 20_000}, blocks=[5, 50]),
            Record({"_id": "b"}, deleted=True),
            {"_id": "c", "text": "y" * 9000},
        ],
    },
    other_index=True,
)
LOG = log_between(make_file({}), FILE)
SECRET = encrypt(FILE, "secret", bytes(16))
SECRET_LOG = encrypt(LOG, "secret", bytes(range(16)))

WHERE_STRUCTURE_IS = st.one_of(
    st.integers(0, 40),  # page header
    st.integers(PAGE_SIZE - 100, PAGE_SIZE - 1),  # slot table
    st.integers(41, 400),  # first segments, list of indexes, list of collections
)
PLACES = st.one_of(
    st.integers(0, len(FILE) - 1),
    st.builds(
        lambda page, offset: page * PAGE_SIZE + offset,
        st.integers(0, len(FILE) // PAGE_SIZE),
        WHERE_STRUCTURE_IS,
    ),
)
DAMAGE = st.lists(
    st.tuples(PLACES, st.one_of(st.binary(min_size=1, max_size=5), st.just(bytes(PAGE_SIZE)))),
    min_size=1,
    max_size=8,
)


def damaged(data: bytes, damage: list[tuple[int, bytes]]) -> bytes:
    for place, raw in damage:
        data = patched(data, place % len(data), raw)
    return data


def read_all(data: bytes, *, log: bytes = b"", password: str | None = None) -> None:
    for salvage in (False, True):
        try:
            database = open_database(data, log=log, password=password, salvage=salvage)
        except LiteDBError:
            continue
        for collection in database.collections:
            read(database, collection, salvage=salvage)


def read(database: Database, collection: str, *, salvage: bool) -> None:
    # Without salvage damage is refused; with it, reading a collection raises nothing at all.
    with contextlib.nullcontext() if salvage else contextlib.suppress(LiteDBError):
        for document in database.read(collection):
            json.dumps(to_extended_json(document), allow_nan=False)


@settings(max_examples=100, deadline=None)
@given(DAMAGE)
def test_a_damaged_file_is_read_or_refused(damage: list[tuple[int, bytes]]) -> None:
    read_all(damaged(FILE, damage))


@settings(max_examples=100, deadline=None)
@given(DAMAGE, st.booleans())
def test_a_damaged_log_is_read_or_refused(damage: list[tuple[int, bytes]], data_too: bool) -> None:
    data = damaged(FILE, damage) if data_too else FILE
    read_all(data, log=damaged(LOG, damage))


@settings(max_examples=25, deadline=None)
@given(DAMAGE, st.booleans())
def test_a_damaged_password_file_is_read_or_refused(
    damage: list[tuple[int, bytes]], behind_the_password: bool
) -> None:
    if behind_the_password:
        data, log = encrypt(damaged(FILE, damage), "secret", bytes(16)), SECRET_LOG
    else:
        data, log = damaged(SECRET, damage), damaged(SECRET_LOG, damage)
    read_all(data, log=log[: len(log) - len(log) % 16], password="secret")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(FILE)))
@example(len(FILE))
def test_a_cut_file_is_read_or_refused(length: int) -> None:
    read_all(FILE[:length])
    read_all(FILE, log=LOG[:length])
    read_all(SECRET[:length], log=SECRET_LOG[:length], password="secret")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=3 * PAGE_SIZE))
def test_random_bytes_are_refused(data: bytes) -> None:
    read_all(data)
    read_all(data, password="secret")


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("images/a.png", b"image")
        members.writestr("data/cartracker.db", FILE)
        members.writestr("data/cartracker-log.db", LOG)
    return buffer.getvalue()


ARCHIVE = archive()


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    damage=st.lists(
        st.tuples(st.integers(0, len(ARCHIVE) - 1), st.binary(min_size=1, max_size=4)),
        min_size=1,
        max_size=6,
    )
)
def test_a_damaged_backup_is_read_or_refused(
    tmp_path: Path, damage: list[tuple[int, bytes]]
) -> None:
    file = tmp_path / "backup.zip"
    file.write_bytes(damaged(ARCHIVE, damage))
    try:
        database = open_backup(file, salvage=True)
    except LiteDBError:
        return
    for collection in database.collections:
        read(database, collection, salvage=True)
