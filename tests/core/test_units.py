from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motovaultpro.core.units import (
    DistanceUnit,
    IncompatibleUnitsError,
    VolumeUnit,
    convert_distance,
    convert_volume,
    economy_in,
    economy_label,
    is_currency,
)

KM, MI, H = DistanceUnit.KM, DistanceUnit.MI, DistanceUnit.H
L, US_GAL, UK_GAL = VolumeUnit.L, VolumeUnit.US_GAL, VolumeUnit.UK_GAL
KWH, KG, M3 = VolumeUnit.KWH, VolumeUnit.KG, VolumeUnit.M3

typed_values = st.decimals(
    min_value=0, max_value=10**9, places=3, allow_nan=False, allow_infinity=False
)


def test_converts_miles_to_kilometres_exactly() -> None:
    assert convert_distance(Decimal(100_000), MI, KM) == Decimal("160934.4")


def test_converts_kilometres_to_miles_to_28_digits() -> None:
    assert convert_distance(Decimal(100), KM, MI) == Decimal("62.13711922373339696174341844")


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (US_GAL, L, "3.785411784"),
        (UK_GAL, L, "4.54609"),
        (M3, L, "1000"),
        (L, M3, "0.001"),
        (UK_GAL, US_GAL, "1.200949925504854929674409235"),
    ],
)
def test_converts_one_unit_of_volume(source: VolumeUnit, target: VolumeUnit, expected: str) -> None:
    assert convert_volume(Decimal(1), source, target) == Decimal(expected)


@given(value=typed_values)
def test_there_and_back_is_the_same_to_a_billionth(value: Decimal) -> None:
    there = convert_distance(value, KM, MI)
    assert abs(convert_distance(there, MI, KM) - value) < Decimal("1e-9")
    there = convert_volume(value, L, US_GAL)
    assert abs(convert_volume(there, US_GAL, L) - value) < Decimal("1e-9")


@pytest.mark.parametrize("unit", DistanceUnit)
def test_the_same_distance_unit_gives_the_very_value_back(unit: DistanceUnit) -> None:
    value = Decimal("12345678901234567890123456789012345.670")
    assert convert_distance(value, unit, unit) is value


@pytest.mark.parametrize("unit", VolumeUnit)
def test_the_same_volume_unit_gives_the_very_value_back(unit: VolumeUnit) -> None:
    value = Decimal("12345678901234567890123456789012345.670")
    assert convert_volume(value, unit, unit) is value


@pytest.mark.parametrize(("source", "target"), [(H, KM), (MI, H)])
def test_hours_are_no_distance(source: DistanceUnit, target: DistanceUnit) -> None:
    with pytest.raises(IncompatibleUnitsError, match=f"cannot convert {source} to {target}"):
        convert_distance(Decimal(0), source, target)


@pytest.mark.parametrize(("source", "target"), [(KWH, L), (US_GAL, KWH), (KG, L), (M3, KG)])
def test_energy_mass_and_volume_do_not_mix(source: VolumeUnit, target: VolumeUnit) -> None:
    with pytest.raises(IncompatibleUnitsError) as error:
        convert_volume(Decimal(1), source, target)
    assert (error.value.source, error.value.target) == (source, target)


@pytest.mark.parametrize(
    ("distance", "volume", "inverted", "label"),
    [
        (MI, US_GAL, False, "mpg"),
        (MI, UK_GAL, False, "mpg (UK)"),
        (KM, US_GAL, False, "km/gal"),
        (KM, L, False, "km/l"),
        (KM, L, True, "l/100km"),
        (MI, UK_GAL, True, "gal (UK)/100mi"),
        (MI, L, True, "l/100mi"),
        (MI, KWH, False, "mi/kWh"),
        (KM, KWH, True, "kWh/100km"),
        (H, US_GAL, False, "h/gal"),
        (H, L, True, "l/100h"),
        (KM, KG, True, "kg/100km"),
        (KM, M3, True, "m³/100km"),
    ],
)
def test_labels_an_economy(
    distance: DistanceUnit, volume: VolumeUnit, inverted: bool, label: str
) -> None:
    assert economy_label(distance, volume, inverted=inverted) == label


def test_economy_is_distance_per_volume_or_its_hundredfold_inverse() -> None:
    assert economy_in(Decimal(500), Decimal(40), inverted=False) == Decimal("12.5")
    assert economy_in(Decimal(500), Decimal(40), inverted=True) == Decimal(8)


@pytest.mark.parametrize("code", ["EUR", "USD", "GBP", "CHF", "XAF", "XCG", "ZWG", "SLE"])
def test_accepts_money_in_circulation(code: str) -> None:
    assert is_currency(code)


@pytest.mark.parametrize("code", ["", "eur", "EU", "EURO", "EUR USD", "XAU", "XXX", "XTS", "DEM"])
def test_rejects_what_nobody_pays_with(code: str) -> None:
    assert not is_currency(code)
