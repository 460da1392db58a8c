"""Fill-ups by hand and at random."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from motovaultpro.core.economy import FillUp

FIRST_DAY = date(2024, 1, 1)


def stop(day: int, odometer: str, volume: str, **changes: Any) -> FillUp:  # Any: FillUp's fields
    """A full tank; `changes` make it anything else. The day serves as id."""
    full_tank = FillUp(
        id=day,
        filled_on=FIRST_DAY + timedelta(days=day),
        odometer=Decimal(odometer),
        volume=Decimal(volume),
        is_full=True,
        is_missed=False,
    )
    return replace(full_tank, **changes)


def charge(day: int, odometer: str, kwh: str, start: int | None, end: int | None) -> FillUp:
    return stop(day, odometer, kwh, is_full=False, soc_start=start, soc_end=end)


percents = st.none() | st.integers(0, 100)


@st.composite
def fuel_stops(draw: st.DrawFn) -> FillUp:
    """Around a rising odometer, with equal days and readings, resets and missing values."""
    day = draw(st.integers(0, 9))
    known = draw(st.integers(0, 9)) > 0
    reading = max(0, day * 50 + draw(st.integers(-80, 120))) if known else 0
    return FillUp(
        id=0,
        filled_on=FIRST_DAY + timedelta(days=day),
        odometer=Decimal(reading) / 10,
        volume=Decimal(draw(st.just(0) | st.integers(1, 90_000))) / 1000,
        is_full=draw(st.booleans()),
        is_missed=draw(st.integers(0, 5)) == 0,
    )


@st.composite
def charges(draw: st.DrawFn) -> FillUp:
    return replace(draw(fuel_stops()), soc_start=draw(percents), soc_end=draw(percents))


def ordered(fill_ups: Iterable[FillUp]) -> list[FillUp]:
    return sorted(fill_ups, key=lambda fill_up: fill_up.position)


def numbered(fill_ups: Iterable[FillUp]) -> list[FillUp]:
    return [replace(fill_up, id=number) for number, fill_up in enumerate(fill_ups, 1)]


histories = st.lists(fuel_stops(), max_size=30).map(numbered)
