from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select, text, tuple_

from motovaultpro.core.bulk import insert_records
from motovaultpro.core.database import AsyncSession
from motovaultpro.core.pagination import page_query
from motovaultpro.features.documents.contracts import attachments_json
from motovaultpro.features.odometer.contracts import ImportedOdometerRecord, Sums
from motovaultpro.features.odometer.models import OdometerRecord
from motovaultpro.features.vehicles import facade as vehicles

# Rows per statement of an import, so that none comes near the statement timeout.

_ROW = f"""
    r.id, r.vehicle_id, r.recorded_on, r.initial_odometer, r.odometer, r.distance, r.source_type, r.source_id,
    r.notes, r.tags, r.extra_fields, {attachments_json("'odometer'")} AS attachments, r.created_at, r.updated_at
"""

PAGE = page_query(
    row=_ROW,
    table="odometer_records",
    day="recorded_on",
    where="""(%(tag)s::text IS NULL OR %(tag)s = ANY (r.tags))
        AND r.recorded_on >= coalesce(%(from_day)s::date, '-infinity')
        AND r.recorded_on <= coalesce(%(to_day)s::date, 'infinity')""",
)

ONE = f"""
    SELECT row_to_json(item)::text FROM (
        SELECT {_ROW} FROM odometer_records r
         WHERE r.vehicle_id = %(vehicle_id)s AND r.id = %(record_id)s
           AND vehicle_access(r.vehicle_id, %(user_id)s, %(role)s) > 0) item
"""  # noqa: S608 - constants of this file

# The ends of a vehicle `v`'s readings, each from the index.
READINGS = vehicles.readings_of("odometer_records")

_JSON = text(f"""
    SELECT row_to_json(item)::text FROM (
        SELECT {_ROW} FROM odometer_records r WHERE r.tenant_id = :tenant_id AND r.id = :record_id) item
""")  # noqa: S608

_RECALCULATE = text("""
    UPDATE odometer_records r SET initial_odometer = wanted.initial_odometer, updated_at = now()
      FROM (SELECT id, coalesce(lag(odometer) OVER (ORDER BY recorded_on, odometer, id), odometer) AS initial_odometer
              FROM odometer_records WHERE tenant_id = :tenant_id AND vehicle_id = :vehicle_id) wanted
     WHERE r.tenant_id = :tenant_id AND r.id = wanted.id AND r.initial_odometer <> wanted.initial_odometer
    RETURNING r.id
""")

_IMPORT = text("""
    INSERT INTO odometer_records
           (tenant_id, vehicle_id, recorded_on, initial_odometer, odometer, notes, tags, extra_fields)
    SELECT :tenant_id, :vehicle_id, recorded_on, initial_odometer, odometer, notes, tags, extra_fields
      FROM ROWS FROM (jsonb_to_recordset(CAST(:records AS jsonb)) AS (
               recorded_on date, initial_odometer numeric, odometer numeric, notes text, tags text[],
               extra_fields jsonb)) WITH ORDINALITY
     ORDER BY ordinality
    RETURNING id
""")


class OdometerRepository:
    def __init__(self, session: AsyncSession, tenant_id: UUID) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def json(self, record_id: int) -> bytes:
        body: str = await self._session.scalar(
            _JSON, {"tenant_id": self._tenant_id, "record_id": record_id}
        )
        return body.encode()

    async def locked(self, vehicle_id: int, record_id: int) -> OdometerRecord | None:
        return await self._session.scalar(
            select(OdometerRecord)
            .where(
                OdometerRecord.tenant_id == self._tenant_id,
                OdometerRecord.vehicle_id == vehicle_id,
                OdometerRecord.id == record_id,
            )
            .with_for_update()
        )

    async def of_source(self, source_type: str, source_id: int) -> OdometerRecord | None:
        return await self._session.scalar(
            select(OdometerRecord)
            .where(
                OdometerRecord.tenant_id == self._tenant_id,
                OdometerRecord.source_type == source_type,
                OdometerRecord.source_id == source_id,
            )
            .with_for_update()
        )

    async def move_source(self, source_id: int, from_type: str, to_type: str) -> None:
        await self._session.execute(
            text(
                "UPDATE odometer_records SET source_type = :to_type, updated_at = now()"
                " WHERE tenant_id = :tenant_id AND source_type = :from_type AND source_id = :source_id"
            ),
            {
                "tenant_id": self._tenant_id,
                "source_id": source_id,
                "from_type": from_type,
                "to_type": to_type,
            },
        )

    async def highest_until(
        self, vehicle_id: int, day: date, reading: Decimal, *, except_id: int | None = None
    ) -> Decimal | None:
        """The highest reading of earlier days, and of the same day as far as it is not above `reading`."""
        # Why not max(): from the top of the index, the first row is nearly always the one.
        highest: Decimal | None = await self._session.scalar(
            select(OdometerRecord.odometer)
            .where(
                OdometerRecord.tenant_id == self._tenant_id,
                OdometerRecord.vehicle_id == vehicle_id,
                tuple_(OdometerRecord.recorded_on, OdometerRecord.odometer) <= tuple_(day, reading),
                OdometerRecord.id.is_distinct_from(except_id),
            )
            .order_by(OdometerRecord.odometer.desc())
            .limit(1)
        )
        return highest

    async def add(self, record: OdometerRecord) -> OdometerRecord:
        record.tenant_id = self._tenant_id
        self._session.add(record)
        await self._session.flush()
        return record

    async def delete(self, vehicle_id: int, record_ids: Sequence[int]) -> list[int]:
        """Answers the ids of those that were there."""
        result = await self._session.scalars(
            text(
                "DELETE FROM odometer_records WHERE tenant_id = :tenant_id AND vehicle_id = :vehicle_id"
                " AND id = ANY (CAST(:ids AS bigint[])) RETURNING id"
            ),
            {
                "tenant_id": self._tenant_id,
                "vehicle_id": vehicle_id,
                "ids": list(record_ids),
            },
        )
        return list(result)

    async def delete_of_sources(self, source_type: str, source_ids: Sequence[int]) -> list[int]:
        """Answers the ids of those that were there."""
        result = await self._session.scalars(
            text(
                "DELETE FROM odometer_records WHERE tenant_id = :tenant_id AND source_type = :source_type"
                " AND source_id = ANY (CAST(:ids AS bigint[])) RETURNING id"
            ),
            {
                "tenant_id": self._tenant_id,
                "source_type": source_type,
                "ids": list(source_ids),
            },
        )
        return list(result)

    async def recalculate(self, vehicle_id: int) -> int:
        """Let every reading start at the one before it, by day and reading; answers how many changed."""
        result = await self._session.execute(
            _RECALCULATE, {"tenant_id": self._tenant_id, "vehicle_id": vehicle_id}
        )
        return len(result.all())

    async def import_records(
        self, vehicle_id: int, records: Sequence[ImportedOdometerRecord]
    ) -> list[int]:
        return await insert_records(
            self._session, _IMPORT, records, tenant_id=self._tenant_id, vehicle_id=vehicle_id
        )

    async def sums(self, record_ids: Sequence[int]) -> Sums:
        row = (
            await self._session.execute(
                text(
                    "SELECT count(*) AS records, coalesce(sum(distance), 0) AS distance FROM odometer_records"
                    " WHERE tenant_id = :tenant_id AND id = ANY (CAST(:ids AS bigint[]))"
                ),
                {"tenant_id": self._tenant_id, "ids": list(record_ids)},
            )
        ).one()
        return Sums(records=row.records, distance=row.distance)
