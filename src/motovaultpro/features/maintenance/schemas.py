from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from motovaultpro.core.types import (
    Currency,
    Line,
    Money,
    Name,
    Notes,
    Odometer,
    Quantity,
    RecordDate,
    Tags,
)
from motovaultpro.features.documents.contracts import AttachmentRead, Attachments
from motovaultpro.features.extra_fields.contracts import ExtraFieldValue, ExtraFieldValues
from motovaultpro.features.maintenance.contracts import LineItemKind, MaintenanceKind

MAX_LINE_ITEMS = 200
_CENTS = 2


class LineItemWrite(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: LineItemKind
    description: Name
    part_number: Line = ""
    quantity: Quantity = Decimal(1)
    unit_price: Money

    @property
    def amount(self) -> Decimal:
        """As `AMOUNT` in the repository: rounded to the decimals of the price, at least two."""
        exponent = self.unit_price.as_tuple().exponent
        assert isinstance(exponent, int)  # noqa: S101 - Money is finite
        places = max(_CENTS, -exponent)
        return (self.quantity * self.unit_price).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


LineItems = Annotated[list[LineItemWrite], Field(max_length=MAX_LINE_ITEMS)]


class MaintenanceRecordCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: MaintenanceKind
    performed_on: RecordDate
    odometer: Odometer | None = None
    description: Name
    cost: Money | None = Field(None, description="Default: the sum of the line items.")
    currency: Currency | None = Field(None, description="Default: the vehicle's.")
    line_items: LineItems = []
    notes: Notes = ""
    tags: Tags = []
    extra_fields: ExtraFieldValues = []
    attachments: Attachments = []


class MaintenanceRecordUpdate(BaseModel):
    """A partial change: what is left out stays. Another `kind` moves the record there, with all it has."""

    model_config = ConfigDict(extra="forbid")

    kind: MaintenanceKind = MaintenanceKind.SERVICE
    performed_on: RecordDate = date.min
    odometer: Odometer | None = None
    description: Name = ""
    cost: Money | None = Field(
        None, description="Null, or left out with new line items: the sum of the line items."
    )
    currency: Currency = ""
    line_items: LineItems = []
    notes: Notes = ""
    tags: Tags = []
    extra_fields: ExtraFieldValues = []
    attachments: Attachments = []


class LineItemRead(BaseModel):
    """`amount` is quantity x unit price, rounded to the decimals of the price, at least two."""

    kind: LineItemKind
    description: str
    part_number: str
    quantity: float
    unit_price: float
    amount: float


class MaintenanceRecordRead(BaseModel):
    """Numbers carry the digits that were typed."""

    id: int
    vehicle_id: int
    kind: MaintenanceKind
    performed_on: date
    odometer: float | None
    description: str
    cost: float
    currency: str
    line_items: list[LineItemRead]
    notes: str
    tags: list[str]
    extra_fields: list[ExtraFieldValue]
    attachments: list[AttachmentRead]
    created_at: datetime
    updated_at: datetime


class MaintenanceRecordPage(BaseModel):
    items: list[MaintenanceRecordRead]
    next_cursor: str | None
