"""What other rooms see of fuel records."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from motovaultpro.core.units import VolumeUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFuelRecord:
    """A fill-up from another program; `odometer` is 0 where it was not read.

    States of charge are for electric sources: some programs write them into petrol records as well, so they are dropped
    there.
    """

    energy_source_id: int
    filled_on: date
    odometer: Decimal
    volume: Decimal
    volume_unit: VolumeUnit
    cost: Decimal
    currency: str
    is_full: bool = True
    is_missed: bool = False
    soc_start: int | None = None
    soc_end: int | None = None
    notes: str = ""
    tags: Sequence[str] = ()
    extra_fields: Sequence[dict[str, Any]] = ()  # Any: {"name": str, "value": str} as stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """`cost` adds up whatever the currencies, `volume` whatever the units: for comparing both sides of an import."""

    records: int
    cost: Decimal
    volume: Decimal
    distance: Decimal
