from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from motovaultpro.core.database import Base


class FuelRecord(Base):
    """A fill-up. `distance` and the segment are written by `FuelRepository.recompute` only."""

    __tablename__ = "fuel_records"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    vehicle_id: Mapped[int]
    energy_source_id: Mapped[int]
    filled_on: Mapped[date]
    odometer: Mapped[Decimal]
    volume: Mapped[Decimal]
    volume_unit: Mapped[str]
    cost: Mapped[Decimal]
    currency: Mapped[str]
    is_full: Mapped[bool]
    is_missed: Mapped[bool]
    soc_start: Mapped[int | None]
    soc_end: Mapped[int | None]
    distance: Mapped[Decimal] = mapped_column(server_default=text("0"))
    segment_distance: Mapped[Decimal | None]
    segment_volume: Mapped[Decimal | None]
    notes: Mapped[str]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    extra_fields: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # Any: JSON
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now()
    )

    @property
    def position(self) -> tuple[date, Decimal, int]:
        """Its place in the history of its energy source, as `core.economy.FillUp.position`."""
        return (self.filled_on, self.odometer, self.id)
