"""Odometer records for the capsules above: readings taken from their records, and what an import needs."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

from motovaultpro.core.database import AsyncSession
from motovaultpro.core.events import Event, publish
from motovaultpro.core.security.actor import Actor
from motovaultpro.features.documents import facade as documents
from motovaultpro.features.extra_fields.contracts import RecordType
from motovaultpro.features.odometer.contracts import ImportedOdometerRecord, Sums
from motovaultpro.features.odometer.repository import READINGS, OdometerRepository
from motovaultpro.features.odometer.service import OdometerService

__all__ = [
    "READINGS",
    "import_records",
    "move_reading",
    "record_reading",
    "remove_reading",
    "remove_readings",
    "remove_records",
    "sums",
    "update_imported",
]


async def record_reading(
    session: AsyncSession,
    actor: Actor,
    vehicle_id: int,
    *,
    recorded_on: date,
    odometer: Decimal,
    source_type: RecordType,
    source_id: int,
    notes: str = "",
    create: bool = True,
) -> None:
    """Bring the reading that a record gave up to date; add it if there is none and `create`, then with `notes`.

    The caller has authorized the actor to change the record.
    """
    await OdometerService(session, actor).record_reading(
        vehicle_id,
        (source_type, source_id),
        recorded_on=recorded_on,
        odometer=odometer,
        notes=notes,
        create=create,
    )


async def remove_reading(
    session: AsyncSession, actor: Actor, *, source_type: RecordType, source_id: int
) -> None:
    """Delete the reading that a record gave, if it gave one."""
    await OdometerService(session, actor).remove_reading(source_type, source_id)


async def remove_readings(
    session: AsyncSession, tenant_id: UUID, source_type: RecordType, source_ids: Sequence[int]
) -> None:
    """Delete the readings that many records gave, for rolling an import back; publishes nothing."""
    removed = await OdometerRepository(session, tenant_id).delete_of_sources(
        source_type, source_ids
    )
    await documents.remove(session, tenant_id, RecordType.ODOMETER, *removed)


async def move_reading(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    source_id: int,
    from_type: RecordType,
    to_type: RecordType,
) -> None:
    """Take the reading along that a record gave, when the record becomes one of another type."""
    await OdometerRepository(session, tenant_id).move_source(source_id, from_type, to_type)


async def import_records(
    session: AsyncSession,
    tenant_id: UUID,
    vehicle_id: int,
    records: Sequence[ImportedOdometerRecord],
) -> list[int]:
    """Add readings as they are; answers their ids in the same order."""
    ids = await OdometerRepository(session, tenant_id).import_records(vehicle_id, records)
    await _publish(session, tenant_id, vehicle_id, "imported", records=len(ids))
    return ids


async def update_imported(
    session: AsyncSession,
    tenant_id: UUID,
    vehicle_id: int,
    record_id: int,
    record: ImportedOdometerRecord,
) -> bool:
    """Overwrite a reading that an earlier run brought; False when it is gone."""
    repository = OdometerRepository(session, tenant_id)
    stored = await repository.locked(vehicle_id, record_id)
    if stored is None:
        return False
    stored.recorded_on = record.recorded_on
    stored.initial_odometer = record.initial_odometer
    stored.odometer = record.odometer
    stored.notes = record.notes
    stored.tags = list(record.tags)
    stored.extra_fields = list(record.extra_fields)
    await session.flush()
    await _publish(session, tenant_id, vehicle_id, "imported", records=1)
    return True


async def remove_records(
    session: AsyncSession, tenant_id: UUID, vehicle_id: int, ids: Sequence[int]
) -> int:
    """Delete readings with their attachments; answers how many there were."""
    removed = await OdometerRepository(session, tenant_id).delete(vehicle_id, ids)
    await documents.remove(session, tenant_id, RecordType.ODOMETER, *removed)
    await _publish(session, tenant_id, vehicle_id, "removed", records=len(removed))
    return len(removed)


async def sums(session: AsyncSession, tenant_id: UUID, ids: Sequence[int]) -> Sums:
    return await OdometerRepository(session, tenant_id).sums(ids)


async def _publish(
    session: AsyncSession, tenant_id: UUID, vehicle_id: int, what: str, **data: int
) -> None:
    await publish(
        session,
        Event(
            type=f"odometer_record.{what}", tenant_id=tenant_id, vehicle_id=vehicle_id, data=data
        ),
    )
