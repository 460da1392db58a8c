"""Vehicles for the capsules above: rights, units, and what an import needs."""

from datetime import datetime
from uuid import UUID

from motovaultpro.core.clock import Clock, system_clock
from motovaultpro.core.database import AsyncSession
from motovaultpro.core.errors import NotFoundError
from motovaultpro.core.security.actor import Actor, Permission
from motovaultpro.core.units import DistanceUnit, VolumeUnit
from motovaultpro.features.vehicles import models
from motovaultpro.features.vehicles.contracts import (
    EnergyKind,
    EnergySource,
    ImportedVehicle,
    VehicleUnits,
)
from motovaultpro.features.vehicles.repository import VISIBLE as _VISIBLE
from motovaultpro.features.vehicles.repository import VehicleRepository
from motovaultpro.features.vehicles.service import VehicleService

VISIBLE = _VISIBLE
"""FROM clause: vehicles `v` with the caller's `access` (0 to 4). Parameters `user_id`, `role`."""

COSTS = """
    (SELECT json_build_object(
        'this_month', coalesce(json_agg(sums.cost) FILTER (WHERE sums.period = 1), '[]'),
        'this_year', coalesce(json_agg(sums.cost) FILTER (WHERE sums.period = 2), '[]'),
        'all_time', coalesce(json_agg(sums.cost) FILTER (WHERE sums.period = 3), '[]'))
       FROM (SELECT period, json_build_object(
                        'category', m.category, 'currency', m.currency, 'amount', sum(m.amount)) AS cost
               FROM (VALUES (1, date_trunc('month', %(today)s::timestamp)::date, date_trunc('month', %(today)s::timestamp)::date),
                            (2, date_trunc('year', %(today)s::timestamp)::date, %(today)s::date),
                            (3, '-infinity'::date, '-infinity'::date)) AS periods (period, first, last)
               JOIN monthly_costs m ON m.month BETWEEN first AND last
              WHERE m.tenant_id = v.tenant_id AND m.vehicle_id = v.id
              GROUP BY period, m.category, m.currency HAVING sum(m.records) > 0
              ORDER BY period, m.category, m.currency) sums)
"""
"""Expression: the costs of vehicle `v` by period, category and currency, as JSON. Parameter `today`."""


def readings_of(table: str) -> str:
    """Query: the highest and the lowest reading (0 = not read) that `table` has of vehicle `v`.

    Two steps down the index, however long the history: `max()` and `min()` would walk it, because row-level security lets no
    numeric comparison become an index condition.
    """
    of_vehicle = "r.tenant_id = v.tenant_id AND r.vehicle_id = v.id AND r.odometer > 0"
    return f"""
        SELECT (SELECT r.odometer FROM {table} r WHERE {of_vehicle} ORDER BY r.odometer DESC LIMIT 1) AS highest,
               (SELECT r.odometer FROM {table} r WHERE {of_vehicle} ORDER BY r.odometer LIMIT 1) AS lowest
    """  # noqa: S608 - constants of the capsules


async def authorize(
    session: AsyncSession,
    actor: Actor,
    vehicle_id: int,
    needed: Permission,
    clock: Clock = system_clock,
) -> None:
    """Raise `NotFoundError` or `ForbiddenError` unless the actor may do this with the vehicle."""
    await VehicleService(session, actor, clock).authorize(vehicle_id, needed)


async def lock(session: AsyncSession, tenant_id: UUID, vehicle_id: int) -> None:
    """Let the writers of what is derived from all records of a vehicle take turns, until the transaction ends."""
    await VehicleRepository(session, tenant_id).get(vehicle_id, lock=True)


async def units(session: AsyncSession, tenant_id: UUID, vehicle_id: int) -> VehicleUnits:
    repository = VehicleRepository(session, tenant_id)
    vehicle = await repository.get(vehicle_id)
    if vehicle is None:
        raise NotFoundError("There is no such vehicle.")
    sources = await repository.energy_sources(vehicle_id)
    return VehicleUnits(
        vehicle_id=vehicle.id,
        currency=vehicle.currency,
        distance_unit=DistanceUnit(vehicle.distance_unit),
        odometer_optional=vehicle.odometer_optional,
        odometer_multiplier=vehicle.odometer_multiplier,
        odometer_difference=vehicle.odometer_difference,
        energy_sources=tuple(
            EnergySource(source.id, EnergyKind(source.kind), VolumeUnit(source.volume_unit))
            for source in sources
        ),
    )


async def import_vehicle(
    session: AsyncSession, tenant_id: UUID, data: ImportedVehicle, *, now: datetime
) -> int:
    """Add a vehicle as it was elsewhere; answers its id here: the old one if no vehicle ever had it."""
    repository = VehicleRepository(session, tenant_id)
    vehicle = models.Vehicle(updated_at=now)
    if await repository.is_free(data.id):
        vehicle.id = data.id
    _apply(vehicle, data)
    await repository.add(vehicle)
    for position, (kind, unit) in enumerate(data.energy_sources):
        await repository.add_energy_source(
            models.EnergySource(
                vehicle_id=vehicle.id, kind=kind, volume_unit=unit, position=position
            )
        )
    return vehicle.id


async def update_imported_vehicle(
    session: AsyncSession, tenant_id: UUID, vehicle_id: int, data: ImportedVehicle, *, now: datetime
) -> None:
    """Overwrite a vehicle that an earlier run brought; its energy sources stay."""
    vehicle = await VehicleRepository(session, tenant_id).get(vehicle_id, lock=True)
    if vehicle is None:
        raise NotFoundError("There is no such vehicle.")
    _apply(vehicle, data)
    vehicle.updated_at = now
    await session.flush()


def _apply(vehicle: models.Vehicle, data: ImportedVehicle) -> None:
    for name in (
        "year", "make", "model", "license_plate", "vin", "identifier", "notes", "currency", "distance_unit",
        "odometer_optional", "odometer_multiplier", "odometer_difference", "purchased_on", "purchase_price",
        "sold_on", "sold_price", "image_document_id", "map_document_id",
    ):  # fmt: skip
        setattr(vehicle, name, getattr(data, name))
    vehicle.dashboard_metrics = list(data.dashboard_metrics)
    vehicle.tags = list(data.tags)
    vehicle.extra_fields = list(data.extra_fields)


async def import_share(
    session: AsyncSession, tenant_id: UUID, user_id: int, vehicle_id: int, permission: Permission
) -> int:
    return await VehicleRepository(session, tenant_id).save_share(
        models.Share(user_id=user_id, vehicle_id=vehicle_id, permission=permission)
    )


async def remove_share(session: AsyncSession, tenant_id: UUID, share_id: int) -> None:
    await VehicleRepository(session, tenant_id).delete_share(share_id)


async def remove_vehicle(session: AsyncSession, tenant_id: UUID, vehicle_id: int) -> None:
    """Delete a vehicle and everything that is its own, for good; for rolling an import back."""
    await VehicleRepository(session, tenant_id).delete(vehicle_id)
