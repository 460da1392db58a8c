from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from motovaultpro.core.database import Base


class Vehicle(Base):
    __tablename__ = "vehicles"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    year: Mapped[int | None]
    make: Mapped[str]
    model: Mapped[str]
    license_plate: Mapped[str]
    vin: Mapped[str]
    identifier: Mapped[str]
    notes: Mapped[str]
    currency: Mapped[str]
    distance_unit: Mapped[str]
    odometer_optional: Mapped[bool]
    odometer_multiplier: Mapped[Decimal]
    odometer_difference: Mapped[Decimal]
    purchased_on: Mapped[date | None]
    purchase_price: Mapped[Decimal | None]
    sold_on: Mapped[date | None]
    sold_price: Mapped[Decimal | None]
    dashboard_metrics: Mapped[list[str]] = mapped_column(ARRAY(Text))
    image_document_id: Mapped[int | None]
    map_document_id: Mapped[int | None]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    extra_fields: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # Any: JSON
    archived_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class EnergySource(Base):
    __tablename__ = "energy_sources"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    vehicle_id: Mapped[int]
    kind: Mapped[str]
    volume_unit: Mapped[str]
    capacity: Mapped[Decimal | None]
    position: Mapped[int]


class Share(Base):
    __tablename__ = "shares"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    user_id: Mapped[int]
    vehicle_id: Mapped[int | None]
    permission: Mapped[str]
