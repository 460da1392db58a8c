from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from motovaultpro.core.types import Id, Money, Name, Notes, Odometer, Quantity, RecordDate, Tags


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (Id, "9223372036854775807", 2**63 - 1),
        (Money, "9999999999.9999", Decimal("9999999999.9999")),
        (Money, 0, Decimal(0)),
        (Quantity, "0.0001", Decimal("0.0001")),
        (Odometer, "99999999999.9", Decimal("99999999999.9")),
        (Name, "  Golf GTI ", "Golf GTI"),
        (Name, "No.\xa07 \U0001f468\u200d\U0001f467", "No.\xa07 \U0001f468\u200d\U0001f467"),
        (Notes, "a\n\tb", "a\n\tb"),
        (Tags, [" a ", "b", "a"], ["a", "b"]),
        (RecordDate, "1900-01-01", date(1900, 1, 1)),
        (RecordDate, "2200-01-01", date(2200, 1, 1)),
    ],
)
def test_takes_what_fits_the_column(kind: Any, given: Any, value: Any) -> None:
    assert TypeAdapter(kind).validate_python(given) == value


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Id, 0),
        (Id, 2**63),
        (Id, "9" * 5000),
        (Money, "-0.01"),
        (Money, "NaN"),
        (Money, float("inf")),
        (Money, "1E+20"),
        (Money, "10000000000"),
        (Money, "0.00001"),
        (Quantity, 0),
        (Quantity, "100000000"),
        (Odometer, "-1"),
        (Odometer, "0.11"),
        (Name, "   "),
        (Name, "x" * 201),
        (Name, "a\nb"),
        (Name, "a\0b"),
        (Name, "a\u2028b"),
        (Name, "\ud800"),
        (Notes, "a\0b"),
        (Notes, "x" * 100_001),
        (Tags, [str(number) for number in range(51)]),
        (Tags, [""]),
        (Tags, ["x" * 51]),
        (Tags, ["a\0"]),
        (Tags, "a"),
        (RecordDate, "1899-12-31"),
        (RecordDate, "2200-01-02"),
        (RecordDate, "2023-02-29"),
    ],
)
def test_refuses_what_does_not(kind: Any, given: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(given)
