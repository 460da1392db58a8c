"""What other rooms see of maintenance records."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any


class MaintenanceKind(StrEnum):
    """What the work was for. Each is a `RecordType` of the same name."""

    SERVICE = "service"
    REPAIR = "repair"
    UPGRADE = "upgrade"


class LineItemKind(StrEnum):
    PART = "part"
    LABOR = "labor"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedMaintenanceRecord:
    """A record from another program. `description` must not be empty."""

    kind: MaintenanceKind
    performed_on: date
    odometer: Decimal | None
    description: str
    cost: Decimal
    currency: str
    notes: str = ""
    tags: Sequence[str] = ()
    extra_fields: Sequence[dict[str, Any]] = ()  # Any: {"name": str, "value": str} as stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """`cost` adds up figures whatever their currency: to compare with the other program's sum."""

    records: int
    cost: Decimal
