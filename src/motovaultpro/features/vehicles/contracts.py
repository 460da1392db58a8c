"""What other rooms see of vehicles."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from motovaultpro.core.units import DistanceUnit, VolumeUnit


class EnergyKind(StrEnum):
    """What drives a vehicle; a vehicle may have several."""

    PETROL = "petrol"
    DIESEL = "diesel"
    LPG = "lpg"
    CNG = "cng"
    ETHANOL = "ethanol"
    HYDROGEN = "hydrogen"
    ELECTRIC = "electric"
    ADDITIVE = "additive"
    OTHER = "other"


class DashboardMetric(StrEnum):
    """What a vehicle's card in the garage shows."""

    LAST_ODOMETER = "last_odometer"
    TOTAL_COST = "total_cost"
    COST_PER_DISTANCE = "cost_per_distance"


@dataclass(frozen=True, slots=True)
class EnergySource:
    id: int
    kind: EnergyKind
    volume_unit: VolumeUnit


@dataclass(frozen=True, slots=True)
class VehicleUnits:
    """What records of a vehicle are measured in."""

    vehicle_id: int
    currency: str
    distance_unit: DistanceUnit
    odometer_optional: bool
    odometer_multiplier: Decimal
    odometer_difference: Decimal
    energy_sources: tuple[EnergySource, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedVehicle:
    """A vehicle from another program. `id` is kept if it is still free, so that clients that know it go on."""

    id: int
    year: int | None
    make: str
    model: str
    license_plate: str = ""
    vin: str = ""
    identifier: str = "license_plate"
    notes: str = ""
    currency: str
    distance_unit: DistanceUnit
    odometer_optional: bool = False
    odometer_multiplier: Decimal = Decimal(1)
    odometer_difference: Decimal = Decimal(0)
    purchased_on: date | None = None
    purchase_price: Decimal | None = None
    sold_on: date | None = None
    sold_price: Decimal | None = None
    dashboard_metrics: Sequence[DashboardMetric] = (DashboardMetric.LAST_ODOMETER,)
    image_document_id: int | None = None
    map_document_id: int | None = None
    tags: Sequence[str] = ()
    extra_fields: Sequence[dict[str, Any]] = ()  # Any: {"name": str, "value": str} as stored
    energy_sources: Sequence[tuple[EnergyKind, VolumeUnit]] = field(default_factory=tuple)
    created_at: datetime | None = None
