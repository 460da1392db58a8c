from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from motovaultpro.core.security.actor import Permission
from motovaultpro.core.types import (
    Currency,
    Id,
    Line,
    Money,
    Name,
    Notes,
    PlainZero,
    Quantity,
    RecordDate,
    Tags,
)
from motovaultpro.core.units import DistanceUnit, VolumeUnit
from motovaultpro.features.extra_fields.contracts import ExtraFieldValue, ExtraFieldValues
from motovaultpro.features.vehicles.contracts import DashboardMetric, EnergyKind

MAX_ENERGY_SOURCES = 6


Year = Annotated[int, Field(ge=1800, le=2200)]
Multiplier = Annotated[Decimal, Field(gt=0, lt=1_000_000, max_digits=12, decimal_places=6)]
Difference = Annotated[
    Decimal, Field(gt=-(10**9), lt=10**9, max_digits=12, decimal_places=1), PlainZero
]


class EnergySourceWrite(BaseModel):
    """An energy source; with `id` it is the one the vehicle already has."""

    model_config = ConfigDict(extra="forbid")

    id: Id | None = None
    kind: EnergyKind
    volume_unit: VolumeUnit | None = Field(
        None, description="What it is bought in; default: kWh, kg, or the garage's unit."
    )
    capacity: Quantity | None = None


EnergySources = Annotated[list[EnergySourceWrite], Field(max_length=MAX_ENERGY_SOURCES)]


class _VehicleFields(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="after")
    def _dates_in_order(self) -> "_VehicleFields":
        purchased_on = getattr(self, "purchased_on", None)
        sold_on = getattr(self, "sold_on", None)
        if purchased_on is not None and sold_on is not None and sold_on < purchased_on:
            raise ValueError("sold_on must not be before purchased_on")
        return self


class VehicleCreate(_VehicleFields):
    year: Year | None = None
    make: Line = ""
    model: Line = ""
    license_plate: Line = ""
    vin: Line = ""
    identifier: Name = "license_plate"
    notes: Notes = ""
    currency: Currency | None = None
    distance_unit: DistanceUnit | None = None
    odometer_optional: bool = False
    odometer_multiplier: Multiplier = Decimal(1)
    odometer_difference: Difference = Decimal(0)
    purchased_on: RecordDate | None = None
    purchase_price: Money | None = None
    sold_on: RecordDate | None = None
    sold_price: Money | None = None
    dashboard_metrics: list[DashboardMetric] = Field([DashboardMetric.LAST_ODOMETER], max_length=3)
    image_document_id: Id | None = None
    map_document_id: Id | None = None
    tags: Tags = []
    extra_fields: ExtraFieldValues = []
    energy_sources: EnergySources = []

    @model_validator(mode="after")
    def _has_a_name(self) -> "VehicleCreate":
        if not self.make and not self.model:
            raise ValueError("a vehicle needs a make or a model")
        return self


class VehicleUpdate(_VehicleFields):
    """A partial change: what is left out stays."""

    year: Year | None = None
    make: Line = ""
    model: Line = ""
    license_plate: Line = ""
    vin: Line = ""
    identifier: Name = ""
    notes: Notes = ""
    currency: Currency = ""
    distance_unit: DistanceUnit = DistanceUnit.KM
    odometer_optional: bool = False
    odometer_multiplier: Multiplier = Decimal(1)
    odometer_difference: Difference = Decimal(0)
    purchased_on: RecordDate | None = None
    purchase_price: Money | None = None
    sold_on: RecordDate | None = None
    sold_price: Money | None = None
    dashboard_metrics: list[DashboardMetric] = Field([], max_length=3)
    image_document_id: Id | None = None
    map_document_id: Id | None = None
    tags: Tags = []
    extra_fields: ExtraFieldValues = []
    energy_sources: EnergySources = []
    is_archived: bool = False


class EnergySourceRead(BaseModel):
    id: int
    kind: EnergyKind
    volume_unit: VolumeUnit
    capacity: float | None


class VehicleRead(BaseModel):
    """Numbers carry the digits that were typed; `permission` is what the caller may do."""

    id: int
    year: int | None
    make: str
    model: str
    license_plate: str
    vin: str
    identifier: str
    notes: str
    currency: str
    distance_unit: DistanceUnit
    odometer_optional: bool
    odometer_multiplier: float
    odometer_difference: float
    purchased_on: date | None
    purchase_price: float | None
    sold_on: date | None
    sold_price: float | None
    dashboard_metrics: list[DashboardMetric]
    image_document_id: int | None
    map_document_id: int | None
    tags: list[str]
    extra_fields: list[ExtraFieldValue]
    energy_sources: list[EnergySourceRead]
    permission: Permission
    archived_at: datetime | None
    deleted_at: datetime | None
    created_at: datetime
    updated_at: datetime


class VehiclePage(BaseModel):
    items: list[VehicleRead]
    next_cursor: str | None


class ShareWrite(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user_id: Id
    vehicle_id: Id | None = Field(None, description="None shares the whole garage.")
    permission: Permission


class ShareRead(BaseModel):
    id: int
    user_id: int
    vehicle_id: int | None
    permission: Permission


class SharesRead(BaseModel):
    items: list[ShareRead]


class AdjustedOdometer(BaseModel):
    odometer: float
    adjusted: float


VehicleState = Literal["active", "archived", "deleted", "all"]
