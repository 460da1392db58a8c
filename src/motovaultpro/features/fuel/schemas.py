from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from motovaultpro.core.types import (
    Currency,
    Id,
    Money,
    Notes,
    Odometer,
    Quantity,
    RecordDate,
    Tags,
)
from motovaultpro.core.units import VolumeUnit
from motovaultpro.features.documents.contracts import AttachmentRead, Attachments
from motovaultpro.features.extra_fields.contracts import ExtraFieldValue, ExtraFieldValues

Percent = Annotated[int, Field(ge=0, le=100)]


class FuelRecordCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    filled_on: RecordDate
    odometer: Odometer | None = Field(
        None, description="May be left out where the vehicle says so; it is then stored as 0."
    )
    energy_source_id: Id | None = Field(None, description="Default: the vehicle's only one.")
    volume: Quantity
    volume_unit: VolumeUnit | None = Field(None, description="Default: the energy source's.")
    cost: Money | None = Field(None, description="The total; or give `unit_price`.")
    unit_price: Money | None = Field(
        None, description="Price of one volume unit; `cost` is then rounded to 2 places."
    )
    currency: Currency | None = Field(None, description="Default: the vehicle's.")
    is_full: bool = True
    is_missed: bool = Field(
        default=False, description="At least one fill-up before this one was not recorded."
    )
    soc_start: Percent | None = Field(None, description="Electric: battery level before charging.")
    soc_end: Percent | None = Field(None, description="Electric: battery level after charging.")
    notes: Notes = ""
    tags: Tags = []
    extra_fields: ExtraFieldValues = []
    attachments: Attachments = []

    @model_validator(mode="after")
    def _one_price(self) -> "FuelRecordCreate":
        if (self.cost is None) == (self.unit_price is None):
            raise ValueError("give either cost or unit_price")
        return self


class FuelRecordUpdate(BaseModel):
    """A partial change: what is left out stays. A new volume does not change the cost; give it along."""

    model_config = ConfigDict(extra="forbid")

    filled_on: RecordDate = date.min
    odometer: Odometer | None = None
    energy_source_id: Id = 0
    volume: Quantity = Decimal(0)
    volume_unit: VolumeUnit = VolumeUnit.L
    cost: Money = Decimal(0)
    unit_price: Money = Decimal(0)
    currency: Currency = ""
    is_full: bool = True
    is_missed: bool = False
    soc_start: Percent | None = None
    soc_end: Percent | None = None
    notes: Notes = ""
    tags: Tags = []
    extra_fields: ExtraFieldValues = []
    attachments: Attachments = []

    @model_validator(mode="after")
    def _one_price(self) -> "FuelRecordUpdate":
        if {"cost", "unit_price"} <= self.model_fields_set:
            raise ValueError("give either cost or unit_price")
        return self


class FuelRecordRead(BaseModel):
    """A fill-up and what its neighbours say about it.

    `distance` is that since the last reading. A record that ends a segment (from the full tank before it) has the
    segment's distance, what was used on it in the energy source's unit, and `economy`: distance per unit.
    """

    id: int
    vehicle_id: int
    energy_source_id: int
    filled_on: date
    odometer: float
    volume: float
    volume_unit: VolumeUnit
    cost: float
    unit_price: float | None
    currency: str
    is_full: bool
    is_missed: bool
    soc_start: int | None
    soc_end: int | None
    distance: float
    segment_distance: float | None
    segment_volume: float | None
    economy: float | None
    notes: str
    tags: list[str]
    extra_fields: list[ExtraFieldValue]
    attachments: list[AttachmentRead]
    created_at: datetime
    updated_at: datetime


class FuelRecordPage(BaseModel):
    items: list[FuelRecordRead]
    next_cursor: str | None
