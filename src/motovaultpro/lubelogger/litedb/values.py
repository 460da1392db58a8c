"""The Python types of LiteDB's values.

| LiteDB            | Python                                                              |
|-------------------|---------------------------------------------------------------------|
| Null, Boolean     | `None`, `bool`                                                      |
| Int32, Int64      | `int`, `Int64` (a subclass)                                         |
| Double, Decimal   | `float`, `decimal.Decimal` with its scale (1.50 stays 1.50)         |
| String, Binary    | `str`, `bytes`                                                      |
| Guid, ObjectId    | `uuid.UUID`, `ObjectId`                                             |
| DateTime          | aware `datetime` in UTC; its two extremes are `DateTimeLimit`       |
| Document, Array   | `dict` in stored order, `list`                                      |
| MinValue, MaxValue| `KeyLimit`                                                          |
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

from typing_extensions import override


class Int64(int):
    """Equal to the plain number, but known to have been stored in eight bytes."""

    __slots__ = ()


class DateTimeLimit(Enum):
    """.NET's DateTime.MinValue and MaxValue: "never set" and "for ever", not days.

    They are no `datetime`, so that an unset date cannot pass for the year 1; MAX, as it is
    stored, lies in the year 10000 and could not be one. The value is milliseconds since 1970.
    """

    MIN = -62_135_596_800_000
    MAX = 253_402_300_800_000


class KeyLimit(Enum):
    """The values that sort before and after all others."""

    MIN = "MinValue"
    MAX = "MaxValue"


@dataclass(frozen=True)
class ObjectId:
    raw: bytes

    @override
    def __str__(self) -> str:
        return self.raw.hex()


Value: TypeAlias = (
    bool
    | int
    | float
    | Decimal
    | str
    | bytes
    | uuid.UUID
    | ObjectId
    | datetime
    | DateTimeLimit
    | KeyLimit
    | list["Value"]
    | dict[str, "Value"]
    | None
)
Document: TypeAlias = dict[str, Value]
