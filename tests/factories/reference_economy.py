"""LubeLogger's fuel economy written straight from its rules, to hold the real one against.

Kept naive on purpose: one loop over the whole history, fractions instead of decimals, no state
that could be resumed. It knows no state of charge.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from motovaultpro.core.economy import FillUp

LITRES_PER_UK_GALLON = Fraction("4.546")  # LubeLogger's figure, shorter than the legal 4.54609


@dataclass(frozen=True)
class RefRow:
    """`economy` is rounded once, to 28 digits; 0 means that none is shown."""

    economy: Decimal
    delta: Decimal
    id: int


def reference(fill_ups: Iterable[FillUp], use_mpg: bool, use_uk_mpg: bool) -> list[RefRow]:
    """Rows in LubeLogger's order: date, then odometer, then id."""
    ordered = sorted(fill_ups, key=lambda record: (record.filled_on, record.odometer, record.id))
    rows = []
    accumulated_distance = Fraction(0)
    accumulated_fuel = Fraction(0)
    previous = Fraction(0)
    for index, record in enumerate(ordered):
        mileage = Fraction(record.odometer)
        fuel = Fraction(record.volume)
        if use_mpg and use_uk_mpg:
            fuel /= LITRES_PER_UK_GALLON
        economy = Fraction(0)
        delta = Fraction(0)
        if index > 0:
            delta = max(Fraction(0), mileage - previous)
            if record.is_missed:
                accumulated_distance = accumulated_fuel = Fraction(0)
            elif record.is_full and mileage != 0:
                if fuel > 0 and delta > 0:
                    economy = (accumulated_distance + delta) / (accumulated_fuel + fuel)
                    if not use_mpg:
                        economy = 100 / economy
                accumulated_distance = accumulated_fuel = Fraction(0)
            else:
                accumulated_distance += delta
                accumulated_fuel += fuel
        if mileage != 0:
            previous = mileage
        rows.append(RefRow(economy=_decimal(economy), delta=_decimal(delta), id=record.id))
    return rows


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)
