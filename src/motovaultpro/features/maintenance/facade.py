"""Maintenance records for the rooms above: what the dashboard shows, and what an import needs."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from motovaultpro.core.database import AsyncSession
from motovaultpro.core.events import Event, publish
from motovaultpro.features.documents import facade as documents
from motovaultpro.features.extra_fields.contracts import RecordType
from motovaultpro.features.maintenance.contracts import ImportedMaintenanceRecord, Sums
from motovaultpro.features.maintenance.repository import (
    LATEST_SERVICES,
    READINGS,
    MaintenanceRepository,
)
from motovaultpro.features.maintenance.service import follow_kind
from motovaultpro.features.odometer import facade as odometer

__all__ = [
    "LATEST_SERVICES",
    "READINGS",
    "import_records",
    "remove_records",
    "sums",
    "update_imported",
]


async def import_records(
    session: AsyncSession,
    tenant_id: UUID,
    vehicle_id: int,
    records: Sequence[ImportedMaintenanceRecord],
) -> list[int]:
    """Add records as they are, without odometer readings; answers their ids in the same order."""
    ids = await MaintenanceRepository(session, tenant_id).import_records(vehicle_id, records)
    await _publish(session, tenant_id, vehicle_id, records=len(ids))
    return ids


async def update_imported(
    session: AsyncSession,
    tenant_id: UUID,
    vehicle_id: int,
    record_id: int,
    record: ImportedMaintenanceRecord,
) -> bool:
    """Overwrite a record that an earlier run brought, line items included; False when it is gone."""
    repository = MaintenanceRepository(session, tenant_id)
    stored = await repository.locked(vehicle_id, record_id)
    if stored is None:
        return False
    kind_before = RecordType(stored.kind)
    stored.kind = record.kind
    stored.performed_on = record.performed_on
    stored.odometer = record.odometer
    stored.description = record.description
    stored.cost = record.cost
    stored.currency = record.currency
    stored.notes = record.notes
    stored.tags = list(record.tags)
    stored.extra_fields = list(record.extra_fields)
    await session.flush()
    await repository.replace_line_items(record_id, [])
    await follow_kind(session, stored, kind_before)
    await _publish(session, tenant_id, vehicle_id, records=1)
    return True


async def remove_records(
    session: AsyncSession, tenant_id: UUID, vehicle_id: int, ids: Sequence[int]
) -> int:
    """Delete records with their attachments and readings; answers how many there were."""
    removed = await MaintenanceRepository(session, tenant_id).delete(vehicle_id, ids)
    by_type: dict[RecordType, list[int]] = defaultdict(list)
    for record_id, kind in removed.items():
        by_type[RecordType(kind)].append(record_id)
    for record_type, of_type in by_type.items():
        await documents.remove(session, tenant_id, record_type, *of_type)
        await odometer.remove_readings(session, tenant_id, record_type, of_type)
    await _publish(session, tenant_id, vehicle_id, records=-len(removed))
    return len(removed)


async def sums(session: AsyncSession, tenant_id: UUID, ids: Sequence[int]) -> Sums:
    return await MaintenanceRepository(session, tenant_id).sums(ids)


async def _publish(
    session: AsyncSession, tenant_id: UUID, vehicle_id: int, *, records: int
) -> None:
    """`records` is negative for those taken back."""
    await publish(
        session,
        Event(
            type="maintenance_record.imported",
            tenant_id=tenant_id,
            vehicle_id=vehicle_id,
            data={"records": records},
        ),
    )
