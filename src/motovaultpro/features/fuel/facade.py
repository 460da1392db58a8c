"""Fuel records for the capsules above and for imports."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from motovaultpro.core.database import AsyncSession
from motovaultpro.core.events import Event, publish
from motovaultpro.features.documents import facade as documents
from motovaultpro.features.extra_fields.contracts import RecordType
from motovaultpro.features.fuel.contracts import ImportedFuelRecord, Sums
from motovaultpro.features.fuel.repository import READINGS, RECENT_ECONOMY, FuelRepository
from motovaultpro.features.odometer import facade as odometer
from motovaultpro.features.vehicles import facade as vehicles
from motovaultpro.features.vehicles.contracts import EnergyKind, VehicleUnits

__all__ = [
    "READINGS",
    "RECENT_ECONOMY",
    "import_records",
    "remove_records",
    "sums",
    "update_imported",
]


async def import_records(
    session: AsyncSession, tenant_id: UUID, vehicle_id: int, records: Sequence[ImportedFuelRecord]
) -> list[int]:
    """Add fill-ups as they are; answers their ids in the same order. Derives once, when all are in."""
    units = await _locked_units(session, tenant_id, vehicle_id)
    repository = FuelRepository(session, tenant_id)
    ids = await repository.import_records(vehicle_id, _without_foreign_levels(records, units))
    changes = [
        (record.energy_source_id, (record.filled_on, record.odometer, record_id))
        for record_id, record in zip(ids, records, strict=True)
    ]
    await repository.recompute_changed(units.energy_sources, changes)
    await _publish(session, tenant_id, vehicle_id, "imported", records=len(ids))
    return ids


async def update_imported(
    session: AsyncSession,
    tenant_id: UUID,
    vehicle_id: int,
    record_id: int,
    record: ImportedFuelRecord,
) -> bool:
    """Overwrite a fill-up that an earlier run brought; False when it is gone."""
    units = await _locked_units(session, tenant_id, vehicle_id)
    repository = FuelRepository(session, tenant_id)
    stored = await repository.get(vehicle_id, record_id)
    if stored is None:
        return False
    before = (stored.energy_source_id, stored.position)
    (values,) = _without_foreign_levels([record], units)
    for name in (
        "energy_source_id", "filled_on", "odometer", "volume", "volume_unit", "cost", "currency", "is_full",
        "is_missed", "soc_start", "soc_end", "notes",
    ):  # fmt: skip
        setattr(stored, name, getattr(values, name))
    stored.tags = list(record.tags)
    stored.extra_fields = list(record.extra_fields)
    await session.flush()
    await repository.recompute_changed(
        units.energy_sources, [before, (stored.energy_source_id, stored.position)]
    )
    await _publish(session, tenant_id, vehicle_id, "imported", records=1)
    return True


async def remove_records(
    session: AsyncSession, tenant_id: UUID, vehicle_id: int, ids: Sequence[int]
) -> int:
    """Delete fill-ups with their attachments and readings; answers how many there were."""
    units = await _locked_units(session, tenant_id, vehicle_id)
    repository = FuelRepository(session, tenant_id)
    removed = await repository.delete(vehicle_id, ids)
    await repository.recompute_changed(units.energy_sources, removed.values())
    await documents.remove(session, tenant_id, RecordType.FUEL, *removed)
    await odometer.remove_readings(session, tenant_id, RecordType.FUEL, list(removed))
    await _publish(session, tenant_id, vehicle_id, "removed", records=len(removed))
    return len(removed)


async def sums(session: AsyncSession, tenant_id: UUID, ids: Sequence[int]) -> Sums:
    return await FuelRepository(session, tenant_id).sums(ids)


async def _locked_units(session: AsyncSession, tenant_id: UUID, vehicle_id: int) -> VehicleUnits:
    await vehicles.lock(session, tenant_id, vehicle_id)
    return await vehicles.units(session, tenant_id, vehicle_id)


def _without_foreign_levels(
    records: Sequence[ImportedFuelRecord], units: VehicleUnits
) -> list[ImportedFuelRecord]:
    """The records without states of charge where there is no battery: there, they would end segments."""
    electric = {s.id for s in units.energy_sources if s.kind is EnergyKind.ELECTRIC}
    return [
        record
        if record.energy_source_id in electric
        else replace(record, soc_start=None, soc_end=None)
        for record in records
    ]


async def _publish(
    session: AsyncSession, tenant_id: UUID, vehicle_id: int, what: str, **data: int
) -> None:
    await publish(
        session,
        Event(type=f"fuel_record.{what}", tenant_id=tenant_id, vehicle_id=vehicle_id, data=data),
    )
