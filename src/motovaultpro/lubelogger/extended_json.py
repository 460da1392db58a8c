"""LiteDB documents in MongoDB's canonical Extended JSON v2, which has a form for every type."""

import base64
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import inf, isnan
from typing import Any, Final, TypeAlias

from motovaultpro.lubelogger.litedb import DateTimeLimit, Int64, KeyLimit, ObjectId, Value

ExtendedJSON: TypeAlias = str | bool | int | list["ExtendedJSON"] | dict[str, "ExtendedJSON"] | None
UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)


def to_extended_json(value: Value) -> ExtendedJSON:
    """Render a value for `json.dumps`.

    A Guid becomes `$binary` of subtype 04 with its bytes in RFC 9562 order (`uuid.bytes`), not in
    the .NET order of the file: that is what subtype 04 means to every other reader. .NET's
    DateTime.MinValue and MaxValue become the `$date` that is stored, years 1 and 10000.
    """
    return _FORMS[type(value)](value)


def _double(value: float) -> ExtendedJSON:
    names = {inf: "Infinity", -inf: "-Infinity"}
    text = "NaN" if isnan(value) else names.get(value, repr(value))
    return {"$numberDouble": text}


def _date(milliseconds: int) -> ExtendedJSON:
    return {"$date": {"$numberLong": str(milliseconds)}}


def _binary(value: bytes, subtype: str) -> ExtendedJSON:
    return {"$binary": {"base64": base64.b64encode(value).decode("ascii"), "subType": subtype}}


# Any: each form gets the type it stands beside, which a dict cannot express.
_FORMS: Final[dict[type, Callable[[Any], ExtendedJSON]]] = {
    type(None): lambda value: value,
    bool: lambda value: value,
    str: lambda value: value,
    int: lambda value: {"$numberInt": str(value)},
    Int64: lambda value: {"$numberLong": str(value)},
    float: _double,
    Decimal: lambda value: {"$numberDecimal": str(value)},
    bytes: lambda value: _binary(value, "00"),
    uuid.UUID: lambda value: _binary(value.bytes, "04"),
    ObjectId: lambda value: {"$oid": str(value)},
    datetime: lambda value: _date((value - UNIX_EPOCH) // MILLISECOND),
    DateTimeLimit: lambda value: _date(value.value),
    KeyLimit: lambda value: {"$minKey" if value is KeyLimit.MIN else "$maxKey": 1},
    list: lambda value: [to_extended_json(item) for item in value],
    dict: lambda value: {name: to_extended_json(item) for name, item in value.items()},
}
