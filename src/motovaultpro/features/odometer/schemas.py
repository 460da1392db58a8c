from datetime import date, datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from motovaultpro.core.types import Notes, Odometer, RecordDate, Tags
from motovaultpro.features.documents.contracts import AttachmentRead, Attachments
from motovaultpro.features.extra_fields.contracts import ExtraFieldValue, ExtraFieldValues


class OdometerRecordCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    recorded_on: RecordDate
    initial_odometer: Odometer | None = Field(
        None,
        description="Where the distance starts; default: the highest reading up to that day, or this one.",
    )
    odometer: Odometer
    adjust: bool = Field(
        default=False,
        description="`odometer` is what the instrument shows; store it with the vehicle's adjustment.",
    )
    notes: Notes = ""
    tags: Tags = []
    extra_fields: ExtraFieldValues = []
    attachments: Attachments = []


class OdometerRecordUpdate(BaseModel):
    """A partial change: what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    recorded_on: RecordDate = date.min
    initial_odometer: Odometer = Decimal(0)
    odometer: Odometer = Decimal(0)
    notes: Notes = ""
    tags: Tags = []
    extra_fields: ExtraFieldValues = []
    attachments: Attachments = []


class OdometerRecordRead(BaseModel):
    """`source_type` and `source_id` name the record that the reading was taken from, if it was not typed here."""

    id: int
    vehicle_id: int
    recorded_on: date
    initial_odometer: float
    odometer: float
    distance: float
    source_type: str | None
    source_id: int | None
    notes: str
    tags: list[str]
    extra_fields: list[ExtraFieldValue]
    attachments: list[AttachmentRead]
    created_at: datetime
    updated_at: datetime


class OdometerRecordPage(BaseModel):
    items: list[OdometerRecordRead]
    next_cursor: str | None


class Recalculated(BaseModel):
    changed: int
