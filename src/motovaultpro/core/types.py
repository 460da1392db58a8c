"""Constrained types of fields, with the limits of the columns behind them."""

import re
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from motovaultpro.core.units import is_currency

MAX_ID = 2**63 - 1

_EARLIEST = date(1900, 1, 1)
_LATEST = date(2200, 1, 1)
_MAX_TAGS = 50
_PLACES_OF_A_ZERO = 20
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    return text


def _single_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must be one line without control characters")
    return text


def _known_currency(code: str) -> str:
    if not is_currency(code):
        raise ValueError("must be an ISO 4217 code like EUR")
    return code


def _plain_zero(value: Decimal) -> Decimal:
    exponent = value.as_tuple().exponent
    if value or (isinstance(exponent, int) and -_PLACES_OF_A_ZERO <= exponent <= 0):
        return value
    return Decimal(0)


def _unique(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


Id = Annotated[int, Field(ge=1, le=MAX_ID)]
"""A bigint identity, in a path, query or body."""

PlainZero = AfterValidator(_plain_zero)
"""Makes 0 of `0E-1000000`, which pydantic counts as one digit and no column holds."""

Money = Annotated[
    Decimal, Field(ge=0, max_digits=14, decimal_places=4, allow_inf_nan=False), PlainZero
]
"""A cost, numeric(14,4). Never negative: a refund lowers the cost of what it refunds."""

Currency = Annotated[str, Field(min_length=3, max_length=3), AfterValidator(_known_currency)]

Quantity = Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=4, allow_inf_nan=False)]
"""A volume, energy or count, numeric(12,4)."""

Odometer = Annotated[
    Decimal, Field(ge=0, max_digits=12, decimal_places=1, allow_inf_nan=False), PlainZero
]
"""A reading in the vehicle's distance unit, numeric(12,1)."""

RecordDate = Annotated[date, Field(ge=_EARLIEST, le=_LATEST)]
"""The day something happened, as its owner names it: a plain date without a zone."""

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_single_line),
]
"""One line that names a thing."""

Line = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_single_line)
]
"""One line that may be empty."""

Notes = Annotated[str, StringConstraints(max_length=100_000), AfterValidator(_storable)]
"""Free text of any number of lines."""

Tag = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=50),
    AfterValidator(_single_line),
]
Tags = Annotated[list[Tag], Field(max_length=_MAX_TAGS), AfterValidator(_unique)]
"""Tags as a list: stripped, without repetitions."""
