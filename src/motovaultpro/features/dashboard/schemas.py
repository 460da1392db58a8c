from datetime import date

from pydantic import BaseModel

from motovaultpro.core.units import DistanceUnit, VolumeUnit
from motovaultpro.features.vehicles.contracts import DashboardMetric, EnergyKind


class LatestService(BaseModel):
    id: int
    performed_on: date
    description: str
    odometer: float | None
    cost: float
    currency: str


class NextReminder(BaseModel):
    """Reminders come with their capsule; until then the list is empty."""

    id: int
    description: str
    due_on: date | None
    due_odometer: float | None


class Economy(BaseModel):
    """Distance per unit of fuel over all tanks closed in this month and the two before; null without one."""

    energy_source_id: int
    kind: EnergyKind
    volume_unit: VolumeUnit
    distance: float
    volume: float
    economy: float | None


class Cost(BaseModel):
    category: str
    currency: str
    amount: float


class Costs(BaseModel):
    this_month: list[Cost]
    this_year: list[Cost]
    all_time: list[Cost]


class VehicleDashboard(BaseModel):
    vehicle_id: int
    year: int | None
    make: str
    model: str
    license_plate: str
    image_document_id: int | None
    tags: list[str]
    dashboard_metrics: list[DashboardMetric]
    currency: str
    distance_unit: DistanceUnit
    last_odometer: float | None
    total_distance: float
    latest_services: list[LatestService]
    next_reminders: list[NextReminder]
    economy: list[Economy]
    costs: Costs


class GarageDashboard(BaseModel):
    today: date
    vehicles: list[VehicleDashboard]
    next_cursor: str | None
