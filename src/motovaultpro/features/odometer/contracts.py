"""What other rooms see of odometer records."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedOdometerRecord:
    """A reading from another program, kept as it was, even where it is below its own start."""

    recorded_on: date
    initial_odometer: Decimal
    odometer: Decimal
    notes: str = ""
    tags: Sequence[str] = ()
    extra_fields: Sequence[dict[str, Any]] = ()  # Any: {"name": str, "value": str} as stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    records: int
    distance: Decimal
