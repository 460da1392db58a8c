import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from math import inf, nan

import pytest

from motovaultpro.lubelogger.extended_json import to_extended_json
from motovaultpro.lubelogger.litedb import DateTimeLimit, Int64, KeyLimit, ObjectId, Value


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, None),
        (True, True),
        ("text", "text"),
        (-7, {"$numberInt": "-7"}),
        (Int64(2**63 - 1), {"$numberLong": "9223372036854775807"}),
        (1.0, {"$numberDouble": "1.0"}),
        (-0.0, {"$numberDouble": "-0.0"}),
        (1e300, {"$numberDouble": "1e+300"}),
        (nan, {"$numberDouble": "NaN"}),
        (inf, {"$numberDouble": "Infinity"}),
        (-inf, {"$numberDouble": "-Infinity"}),
        (Decimal("1.50"), {"$numberDecimal": "1.50"}),
        (Decimal("0.0000001"), {"$numberDecimal": "1E-7"}),
        (datetime(2024, 5, 1, tzinfo=UTC), {"$date": {"$numberLong": "1714521600000"}}),
        (
            datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
            {"$date": {"$numberLong": "-1"}},
        ),
        (DateTimeLimit.MIN, {"$date": {"$numberLong": "-62135596800000"}}),
        (DateTimeLimit.MAX, {"$date": {"$numberLong": "253402300800000"}}),
        (b"\x00\xff", {"$binary": {"base64": "AP8=", "subType": "00"}}),
        (
            uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"),
            {"$binary": {"base64": "ABEiM0RVZneImaq7zN3u/w==", "subType": "04"}},
        ),
        (ObjectId(bytes(range(12))), {"$oid": "000102030405060708090a0b"}),
        (KeyLimit.MIN, {"$minKey": 1}),
        (KeyLimit.MAX, {"$maxKey": 1}),
        ([1, ["a"]], [{"$numberInt": "1"}, ["a"]]),
        ({"b": {"a": 1}, "a": []}, {"b": {"a": {"$numberInt": "1"}}, "a": []}),
    ],
    ids=repr,
)
def test_every_type_has_its_canonical_form(value: Value, form: object) -> None:
    assert to_extended_json(value) == form
    assert json.loads(json.dumps(to_extended_json(value), allow_nan=False)) == form


def test_fields_keep_their_order() -> None:
    assert list(json.loads(json.dumps(to_extended_json({"b": 1, "a": 2})))) == ["b", "a"]
