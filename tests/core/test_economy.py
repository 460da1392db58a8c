from dataclasses import dataclass, field, replace
from decimal import Context, Decimal, Inexact, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motovaultpro.core.economy import Derived, FillUp, derive
from motovaultpro.core.units import economy_in
from tests.factories.fill_ups import charge, histories, ordered, stop
from tests.factories.reference_economy import reference


def segments(*fill_ups: FillUp) -> list[tuple[Decimal | None, Decimal | None]]:
    return [(row.segment_distance, row.segment_volume) for row in derive(fill_ups)]


def segment(distance: str, volume: str) -> tuple[Decimal, Decimal]:
    return (Decimal(distance), Decimal(volume))


NONE = (None, None)


def test_a_full_tank_closes_a_segment_from_the_last_one() -> None:
    first, second = stop(0, "1000", "40"), stop(9, "1500", "35")
    assert derive([first, second]) == [
        Derived(Decimal(0)),
        Derived(Decimal(500), Decimal(500), Decimal(35)),
    ]


def test_partial_tanks_count_towards_the_next_full_one() -> None:
    assert segments(
        stop(0, "1000", "40"),
        stop(1, "1200", "10.5", is_full=False),
        stop(2, "1300", "4.25", is_full=False),
        stop(3, "1600", "30"),
        stop(4, "1700", "7"),
    ) == [NONE, NONE, NONE, segment("600", "44.75"), segment("100", "7")]


def test_a_first_partial_tank_sets_the_start_and_its_fuel_is_not_counted() -> None:
    assert segments(stop(0, "1000", "40", is_full=False), stop(1, "1100", "8")) == [
        NONE,
        segment("100", "8"),
    ]


def test_a_missed_fill_up_shows_its_distance_and_discards_what_had_accumulated() -> None:
    rows = derive(
        [
            stop(0, "1000", "40"),
            stop(1, "1200", "10", is_full=False),
            stop(2, "2000", "30", is_missed=True),
            stop(3, "2100", "7"),
        ]
    )
    assert rows[2] == Derived(Decimal(800))
    assert rows[3] == Derived(Decimal(100), Decimal(100), Decimal(7))


def test_a_fill_up_without_odometer_is_partial_even_when_full() -> None:
    rows = derive([stop(0, "1000", "40"), stop(1, "0", "20"), stop(2, "1600", "25")])
    assert rows[1:] == [Derived(Decimal(0)), Derived(Decimal(600), Decimal(600), Decimal(45))]


def test_a_missed_fill_up_without_odometer_keeps_the_last_reading() -> None:
    rows = derive([stop(0, "1000", "40"), stop(1, "0", "20", is_missed=True), stop(2, "1600", "9")])
    assert rows[2] == Derived(Decimal(600), Decimal(600), Decimal(9))


def test_a_first_fill_up_without_odometer_gives_the_second_the_whole_reading() -> None:
    assert derive([stop(0, "0", "40"), stop(1, "1600", "50")])[1] == Derived(
        Decimal(1600), Decimal(1600), Decimal(50)
    )


def test_a_falling_odometer_counts_as_no_distance_and_becomes_the_new_reading() -> None:
    assert derive([stop(0, "90000", "40"), stop(1, "100", "30"), stop(2, "500", "30")]) == [
        Derived(Decimal(0)),
        Derived(Decimal(0)),
        Derived(Decimal(400), Decimal(400), Decimal(30)),
    ]


@pytest.mark.parametrize(
    "closing", [stop(2, "1200", "30"), stop(2, "1500", "0")], ids=["no distance", "no fuel"]
)
def test_a_full_tank_without_distance_or_fuel_closes_without_a_result(closing: FillUp) -> None:
    assert segments(
        stop(0, "1000", "40"),
        stop(1, "1200", "10", is_full=False),
        closing,
        stop(3, "1600", "9"),
    )[2:] == [NONE, segment(str(1600 - closing.odometer), "9")]


def test_a_charge_to_the_same_level_used_what_was_charged() -> None:
    assert segments(charge(0, "1000", "9", 50, 80), charge(1, "1300", "36", 20, 80)) == [
        NONE,
        segment("300", "36"),
    ]


def test_a_charge_to_another_level_is_corrected_by_the_capacity_it_shows() -> None:
    # 30 kWh for 50 % show 60 kWh capacity; 80 % to 70 % took another 6 kWh from the battery.
    assert segments(charge(0, "1000", "9", 50, 80), charge(1, "1300", "30", 20, 70))[1] == (
        segment("300", "36")
    )
    # 42 kWh for 70 % show the same; 9 % more than before was put in.
    assert segments(charge(0, "1000", "9", 50, 81), charge(1, "1300", "42", 20, 90))[1] == (
        segment("300", "36.6")
    )


def test_a_correction_is_rounded_to_a_thousandth_of_a_watt_hour() -> None:
    assert segments(charge(0, "1000", "9", 50, 80), charge(1, "1300", "10", 10, 40))[1] == (
        segment("300", "23.333333")
    )


def test_a_charge_after_one_of_unknown_level_is_not_corrected() -> None:
    assert segments(stop(0, "1000", "9"), charge(1, "1300", "30", 20, 70))[1] == (
        segment("300", "30")
    )


def test_charges_in_between_count_and_the_level_is_that_of_the_segments_start() -> None:
    assert segments(
        charge(0, "1000", "9", 50, 80),
        charge(1, "1100", "12", None, None),
        charge(2, "0", "6", 40, 50),
        charge(3, "1300", "30", 20, 70),
    ) == [NONE, NONE, NONE, segment("300", "54")]


def test_a_missed_charge_closes_nothing_but_its_level_counts() -> None:
    missed = replace(charge(1, "1300", "30", 20, 60), is_missed=True)
    assert segments(charge(0, "1000", "9", 50, 80), missed, charge(2, "1400", "12", 50, 70)) == [
        NONE,
        NONE,
        segment("100", "6"),
    ]


def test_a_full_charge_of_unknown_level_closes_uncorrected_and_leaves_no_level() -> None:
    assert segments(
        charge(0, "1000", "9", 50, 80), stop(1, "1300", "40"), charge(2, "1400", "12", 50, 70)
    ) == [NONE, segment("300", "40"), segment("100", "12")]


@pytest.mark.parametrize(("start", "end"), [(70, 70), (70, 20), (None, 70), (20, None)])
def test_a_charge_that_shows_no_capacity_accumulates_like_a_partial_tank(
    start: int | None, end: int | None
) -> None:
    assert segments(
        charge(0, "1000", "9", 50, 80),
        charge(1, "1100", "12", start, end),
        charge(2, "1300", "30", 30, 80),
    )[1:] == [NONE, segment("300", "42")]


def test_a_full_charge_whose_level_fell_closes_uncorrected() -> None:
    falling = replace(charge(1, "1300", "30", 70, 20), is_full=True)
    assert segments(charge(0, "1000", "9", 50, 80), falling)[1] == segment("300", "30")


@pytest.mark.parametrize(("start", "end"), [(80, 90), (85, 90)])
def test_a_segment_that_used_nothing_closes_without_a_result(start: int, end: int) -> None:
    assert segments(
        charge(0, "1000", "9", 50, 80),
        charge(1, "1300", "6", start, end),
        charge(2, "1400", "12", 70, 90),
    )[1:] == [NONE, segment("100", "12")]


@dataclass
class Battery:
    """A simulated drive: it knows what was used, which the algorithm must find out."""

    percent_kwh: Decimal
    level: int = 80
    odometer: int = 1000
    used: Decimal = Decimal(0)
    fill_ups: list[FillUp] = field(default_factory=list)

    def drive_and_charge(self, used: int, charged: int, recorded: str) -> None:
        start = max(0, self.level - used)
        self.used += (self.level - start) * self.percent_kwh
        self.level = min(100, start + max(1, charged))
        self.odometer += 10
        shown = (start, self.level) if recorded != "without level" else (None, None)
        odometer = 0 if recorded == "without odometer" else self.odometer
        kwh = (self.level - start) * self.percent_kwh
        self.fill_ups.append(charge(len(self.fill_ups), str(odometer), str(kwh), *shown))


legs = st.tuples(
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from(["fully", "fully", "without level", "without odometer"]),
)


@given(
    percent_kwh=st.integers(100, 1200).map(lambda wh: Decimal(wh) / 1000),
    drive=st.lists(legs, max_size=20),
)
@settings(deadline=None)
def test_segments_add_up_to_the_energy_a_battery_really_gave(
    percent_kwh: Decimal, drive: list[tuple[int, int, str]]
) -> None:
    battery = Battery(percent_kwh)
    battery.drive_and_charge(0, 20, "fully")
    for leg in drive:
        battery.drive_and_charge(*leg)
    battery.drive_and_charge(1, 20, "fully")
    rows = derive(battery.fill_ups)
    assert sum(row.segment_volume or 0 for row in rows) == battery.used
    assert sum(row.segment_distance or 0 for row in rows) == battery.odometer - 1010


@given(history=histories, use_mpg=st.booleans(), use_uk_mpg=st.booleans())
@settings(deadline=None)
def test_agrees_with_the_reference_to_the_last_digit(
    history: list[FillUp], use_mpg: bool, use_uk_mpg: bool
) -> None:
    litres_per_unit = Decimal("4.546") if use_mpg and use_uk_mpg else Decimal(1)
    rows = derive(ordered(history))
    expected = reference(history, use_mpg, use_uk_mpg)
    assert len(rows) == len(expected)
    for row, wanted in zip(rows, expected, strict=True):
        assert row.distance == wanted.delta
        economy = Decimal(0)
        if row.segment_distance is not None and row.segment_volume is not None:
            distance = row.segment_distance * litres_per_unit
            economy = economy_in(distance, row.segment_volume, inverted=not use_mpg)
        assert economy == wanted.economy


@given(history=histories)
@settings(deadline=None)
def test_fuel_is_added_up_without_rounding(history: list[FillUp]) -> None:
    wide = [replace(f, volume=f.volume * Decimal("123456789012.345")) for f in history]
    with localcontext(Context(traps=[Inexact])):
        derive(ordered(wide))


def test_equal_dates_and_readings_are_walked_by_id() -> None:
    same_day = [stop(1, "1500", "10", id=number) for number in (3, 1, 2)]
    walk = ordered([stop(0, "1000", "40"), *same_day])
    assert [fill_up.id for fill_up in walk] == [0, 1, 2, 3]
    assert [row.distance for row in derive(walk)] == [0, 500, 0, 0]
