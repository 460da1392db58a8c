from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Text, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from motovaultpro.core.database import Base


class MaintenanceRecord(Base):
    __tablename__ = "maintenance_records"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    vehicle_id: Mapped[int]
    kind: Mapped[str]
    performed_on: Mapped[date]
    odometer: Mapped[Decimal | None]
    description: Mapped[str]
    cost: Mapped[Decimal]
    currency: Mapped[str]
    notes: Mapped[str]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    extra_fields: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # Any: JSON
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
