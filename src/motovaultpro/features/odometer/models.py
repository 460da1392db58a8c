from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Text, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from motovaultpro.core.database import Base


class OdometerRecord(Base):
    __tablename__ = "odometer_records"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    vehicle_id: Mapped[int]
    recorded_on: Mapped[date]
    initial_odometer: Mapped[Decimal]
    odometer: Mapped[Decimal]
    source_type: Mapped[str | None]
    source_id: Mapped[int | None]
    notes: Mapped[str]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    extra_fields: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # Any: JSON
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now()
    )
