import struct
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from math import inf, isnan, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motovaultpro.lubelogger.litedb import (
    DamagedError,
    DateTimeLimit,
    Int64,
    KeyLimit,
    ObjectId,
)
from motovaultpro.lubelogger.litedb.bson import (
    MAX_DEPTH,
    InvalidTextError,
    decode_document,
)
from tests.factories.litedb_file import bson, element

GUID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")


def document_of(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def decoded(value: Any) -> Any:  # Any: every type that BSON knows
    return decode_document(bson({"v": value}))["v"]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        2**31 - 1,
        -(2**31),
        Int64(2**63 - 1),
        Int64(-(2**63)),
        -0.0,
        5e-324,
        inf,
        "",
        "Škoda\0with a zero 🚗",
        b"",
        b"\0\xff",
        GUID,
        ObjectId(bytes(range(12))),
        datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(1, 1, 1, 0, 0, 0, 1000, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
        DateTimeLimit.MIN,
        DateTimeLimit.MAX,
        KeyLimit.MIN,
        KeyLimit.MAX,
        Decimal(2**96 - 1),
        Decimal(1 - 2**96),
        Decimal("0.0000000000000000000000000001"),
        Decimal("-1.50"),
        [],
        {},
        [1, [2, {"a": [None]}]],
        {"b": {"c": "d"}, "a": 1},
    ],
    ids=repr,
)
def test_reads_every_type_as_it_was_stored(value: Any) -> None:  # Any: as above
    result = decoded(value)

    assert result == value
    assert type(result) is type(value)


def test_keeps_the_scale_of_a_decimal() -> None:
    assert str(decoded(Decimal("1.50"))) == "1.50"
    assert str(decoded(Decimal("-0.00"))) == "-0.00"


def test_reads_nan() -> None:
    assert isnan(decoded(nan))


def test_guids_are_in_dotnet_byte_order() -> None:
    raw = bytes.fromhex("33221100554477668899aabbccddeeff")
    stored = b"\x05v\0" + struct.pack("<iB", 16, 4) + raw

    assert decode_document(document_of(stored)) == {"v": GUID}


def test_arrays_take_the_order_and_ignore_the_names() -> None:
    array = document_of(element("7", "first"), element("7", "second"))

    assert decode_document(document_of(b"\x04v\0" + array)) == {"v": ["first", "second"]}


def test_names_that_differ_in_case_are_one_field_with_the_last_value() -> None:
    stored = document_of(element("Übel", 1), element("Other", 2), element("üBEL", 3))

    assert list(decode_document(stored).items()) == [("Übel", 3), ("Other", 2)]


def test_sharp_s_is_not_two_letters() -> None:
    stored = document_of(element("straße", 1), element("STRASSE", 2))

    assert decode_document(stored) == {"straße": 1, "STRASSE": 2}


@pytest.mark.parametrize(
    ("damaged", "says"),
    [
        (b"", "beyond the end"),
        (struct.pack("<i", -5) + b"\0", "says it has -5"),
        (struct.pack("<i", 2**31 - 1) + b"\0", "says it has"),
        (document_of() + b"\0", "5 bytes fills 6"),
        (document_of(b"\x06v\0"), "unknown value type 0x06"),
        (struct.pack("<i", 8) + b"\x0anam", "name without an end"),
        (document_of(b"\x02v\0" + struct.pack("<i", 2**31 - 1)), "beyond the end"),
        (document_of(b"\x02v\0" + struct.pack("<i", -1)), "beyond the end"),
        (document_of(b"\x02v\0" + struct.pack("<i", 0)), "final zero"),
        (document_of(b"\x02v\0" + struct.pack("<i", 2) + b"ab"), "final zero"),
        (document_of(b"\x02v\0" + struct.pack("<i", 2) + b"\xff\0"), "not UTF-8"),
        (document_of(b"\x0a\xff\0"), "not UTF-8"),
        (document_of(b"\x05v\0" + struct.pack("<iB", 15, 4) + bytes(15)), "subtype 4 and 15"),
        (document_of(b"\x05v\0" + struct.pack("<iB", 1, 2) + bytes(1)), "subtype 2"),
        (document_of(b"\x09v\0" + struct.pack("<q", 253_402_300_800_001)), "away from 1970"),
        (document_of(b"\x09v\0" + struct.pack("<q", -(2**63))), "away from 1970"),
        (document_of(b"\x13v\0" + bytes(12) + struct.pack("<I", 29 << 16)), "impossible flags"),
        (document_of(b"\x13v\0" + bytes(12) + struct.pack("<I", 1)), "impossible flags"),
        (document_of(b"\x03v\0" + struct.pack("<i", 99) + b"\0"), "says it has 99"),
    ],
)
def test_refuses_what_cannot_be_true(damaged: bytes, says: str) -> None:
    with pytest.raises(DamagedError, match=says):
        decode_document(damaged)


def nested(levels: int) -> dict[str, Any]:  # Any: a document in a document
    document: dict[str, Any] = {}
    for _ in range(levels - 1):
        document = {"d": document}
    return document


def test_nesting_has_a_limit() -> None:
    assert decode_document(bson(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(DamagedError, match="nested deeper"):
        decode_document(bson(nested(MAX_DEPTH + 1)))


def test_siblings_do_not_count_as_nesting() -> None:
    assert decoded([{}] * (MAX_DEPTH * 2)) == [{}] * (MAX_DEPTH * 2)


def test_invalid_text_can_be_replaced() -> None:
    stored = document_of(b"\x02v\0" + struct.pack("<i", 4) + b"a\xffb\0")

    with pytest.raises(InvalidTextError):
        decode_document(stored)
    assert decode_document(stored, invalid_text="replace") == {"v": "a\ufffdb"}


@given(st.binary(max_size=200))
def test_random_bytes_are_a_document_or_damage(data: bytes) -> None:
    try:
        decode_document(struct.pack("<i", len(data) + 5) + data + b"\0")
    except DamagedError:
        return
