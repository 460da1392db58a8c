"""Units that owners type in, exact conversion between them, and names for fuel economy.

What was typed is stored with its unit; conversion happens for display and sums only. Factors are
the legal definitions: the international mile and US gallon (NIST Handbook 44, appendix C) and the
imperial gallon (UK Units of Measurement Regulations 1995). Results carry the 28 digits of the
default decimal context; rounding for display is the caller's.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

_Unit = TypeVar("_Unit", bound=StrEnum)

_ISO_4217 = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD
KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO
NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE
SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND
VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
# Money in circulation as of 2026: no metals, funds or test codes, and no withdrawn ones (BGN, ANG).
_CURRENCIES = frozenset(_ISO_4217.split())


class DistanceUnit(StrEnum):
    """What the odometer counts; machines that have an hour meter instead count hours."""

    KM = "km"
    MI = "mi"
    H = "h"


class VolumeUnit(StrEnum):
    """What the pump or charger counts: volume, energy (kWh) or mass (kg of gas or hydrogen)."""

    L = "l"
    US_GAL = "us_gal"
    UK_GAL = "uk_gal"
    KWH = "kwh"
    KG = "kg"
    M3 = "m3"


_KILOMETRES = {DistanceUnit.KM: Decimal(1), DistanceUnit.MI: Decimal("1.609344")}
_LITRES = {
    VolumeUnit.L: Decimal(1),
    VolumeUnit.US_GAL: Decimal("3.785411784"),
    VolumeUnit.UK_GAL: Decimal("4.54609"),
    VolumeUnit.M3: Decimal(1000),
}
_VOLUME_SYMBOLS = {
    VolumeUnit.US_GAL: "gal",
    VolumeUnit.UK_GAL: "gal (UK)",
    VolumeUnit.KWH: "kWh",
    VolumeUnit.M3: "m³",
}
_MILES_PER_GALLON = {VolumeUnit.US_GAL: "mpg", VolumeUnit.UK_GAL: "mpg (UK)"}


class IncompatibleUnitsError(ValueError):
    """No factor leads from one unit to the other: hours are no distance, kWh no litres."""

    def __init__(self, source: StrEnum, target: StrEnum) -> None:
        super().__init__(f"cannot convert {source} to {target}")
        self.source = source
        self.target = target


def convert_distance(value: Decimal, source: DistanceUnit, target: DistanceUnit) -> Decimal:
    """The same unit gives `value` back untouched; raises `IncompatibleUnitsError`."""
    return _convert(value, source, target, _KILOMETRES)


def convert_volume(value: Decimal, source: VolumeUnit, target: VolumeUnit) -> Decimal:
    """The same unit gives `value` back untouched; raises `IncompatibleUnitsError`."""
    return _convert(value, source, target, _LITRES)


def economy_in(distance: Decimal, volume: Decimal, *, inverted: bool) -> Decimal:
    """Distance per volume (mpg, km/l), or inverted volume per 100 distance (l/100km).

    Both must be greater than zero: an economy of nothing is the caller's to leave out.
    """
    return 100 * volume / distance if inverted else distance / volume


def economy_label(distance: DistanceUnit, volume: VolumeUnit, *, inverted: bool) -> str:
    """Names what `economy_in` gives for the same `inverted`: mpg, km/l, mi/kWh, l/100km."""
    symbol = _VOLUME_SYMBOLS.get(volume, volume.value)
    if inverted:
        return f"{symbol}/100{distance}"
    if distance is DistanceUnit.MI and volume in _MILES_PER_GALLON:
        return _MILES_PER_GALLON[volume]
    return f"{distance}/{symbol}"


def is_currency(code: str) -> bool:
    """Whether `code` is an active ISO 4217 code of money in circulation; upper case only."""
    return code in _CURRENCIES


def _convert(
    value: Decimal, source: _Unit, target: _Unit, factors: Mapping[_Unit, Decimal]
) -> Decimal:
    if source is target:
        return value
    if source not in factors or target not in factors:
        raise IncompatibleUnitsError(source, target)
    return value * factors[source] / factors[target]
