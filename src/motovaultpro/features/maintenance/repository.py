from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

import orjson
from sqlalchemy import select, text

from motovaultpro.core.bulk import insert_records
from motovaultpro.core.database import AsyncSession
from motovaultpro.core.pagination import page_query
from motovaultpro.features.documents.contracts import attachments_json
from motovaultpro.features.maintenance.contracts import (
    ImportedMaintenanceRecord,
    MaintenanceKind,
    Sums,
)
from motovaultpro.features.maintenance.models import MaintenanceRecord
from motovaultpro.features.maintenance.schemas import LineItemWrite
from motovaultpro.features.vehicles import facade as vehicles

# Rows per statement of an import, so that none comes near the statement timeout.

# A receipt rounds each line; some prices have more decimals than cents.
AMOUNT = "round(l.quantity * l.unit_price, greatest(2, scale(l.unit_price)))"

_ROW = f"""
    r.id, r.vehicle_id, r.kind, r.performed_on, r.odometer, r.description, r.cost, r.currency,
    (SELECT coalesce(json_agg(json_build_object(
                'kind', l.kind, 'description', l.description, 'part_number', l.part_number, 'quantity', l.quantity,
                'unit_price', l.unit_price, 'amount', {AMOUNT}) ORDER BY l.position), '[]')
       FROM line_items l WHERE l.tenant_id = r.tenant_id AND l.maintenance_record_id = r.id) AS line_items,
    r.notes, r.tags, r.extra_fields, {attachments_json("r.kind")} AS attachments, r.created_at, r.updated_at
"""  # noqa: S608 - constants of this file

PAGE = page_query(
    row=_ROW,
    table="maintenance_records",
    day="performed_on",
    where="""(%(kind)s::text IS NULL OR r.kind = %(kind)s)
        AND (%(tag)s::text IS NULL OR %(tag)s = ANY (r.tags))
        AND r.performed_on >= coalesce(%(from_day)s::date, '-infinity')
        AND r.performed_on <= coalesce(%(to_day)s::date, 'infinity')
        AND (%(q)s::text IS NULL OR strpos(lower(r.description), lower(%(q)s)) > 0
                                 OR strpos(lower(r.notes), lower(%(q)s)) > 0)""",
)

ONE = f"""
    SELECT row_to_json(item)::text FROM (
        SELECT {_ROW} FROM maintenance_records r
         WHERE r.vehicle_id = %(vehicle_id)s AND r.id = %(record_id)s
           AND vehicle_access(r.vehicle_id, %(user_id)s, %(role)s) > 0) item
"""  # noqa: S608

# Of a vehicle `v`, for the dashboard: the ends of its readings, and a JSON list of its five latest services.
READINGS = vehicles.readings_of("maintenance_records")

LATEST_SERVICES = """
    (SELECT coalesce(json_agg(latest), '[]') FROM (
        SELECT r.id, r.performed_on, r.description, r.odometer, r.cost, r.currency FROM maintenance_records r
         WHERE r.tenant_id = v.tenant_id AND r.vehicle_id = v.id AND r.kind = 'service'
         ORDER BY r.performed_on DESC, r.id DESC LIMIT 5) latest)
"""

_JSON = text(f"""
    SELECT row_to_json(item)::text FROM (
        SELECT {_ROW} FROM maintenance_records r WHERE r.tenant_id = :tenant_id AND r.id = :record_id) item
""")  # noqa: S608

_IMPORT = text("""
    INSERT INTO maintenance_records (tenant_id, vehicle_id, kind, performed_on, odometer, description, cost, currency,
                                     notes, tags, extra_fields)
    SELECT :tenant_id, :vehicle_id, kind, performed_on, odometer, description, cost, currency, notes, tags, extra_fields
      FROM ROWS FROM (jsonb_to_recordset(CAST(:records AS jsonb)) AS (
               kind text, performed_on date, odometer numeric, description text, cost numeric, currency text,
               notes text, tags text[], extra_fields jsonb)) WITH ORDINALITY
     ORDER BY ordinality
    RETURNING id
""")


class MaintenanceRepository:
    def __init__(self, session: AsyncSession, tenant_id: UUID) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def json(self, record_id: int) -> bytes:
        body: str = await self._session.scalar(
            _JSON, {"tenant_id": self._tenant_id, "record_id": record_id}
        )
        return body.encode()

    async def locked(self, vehicle_id: int, record_id: int) -> MaintenanceRecord | None:
        return await self._session.scalar(
            select(MaintenanceRecord)
            .where(
                MaintenanceRecord.tenant_id == self._tenant_id,
                MaintenanceRecord.vehicle_id == vehicle_id,
                MaintenanceRecord.id == record_id,
            )
            .with_for_update()
        )

    async def add(self, record: MaintenanceRecord) -> MaintenanceRecord:
        record.tenant_id = self._tenant_id
        self._session.add(record)
        await self._session.flush()
        return record

    async def delete(
        self, vehicle_id: int, record_ids: Sequence[int]
    ) -> dict[int, MaintenanceKind]:
        """Answers those that were there, by id."""
        result = await self._session.execute(
            text(
                "DELETE FROM maintenance_records WHERE tenant_id = :tenant_id AND vehicle_id = :vehicle_id"
                " AND id = ANY (CAST(:ids AS bigint[])) RETURNING id, kind"
            ),
            {"tenant_id": self._tenant_id, "vehicle_id": vehicle_id, "ids": list(record_ids)},
        )
        return {row.id: MaintenanceKind(row.kind) for row in result}

    async def line_items_total(self, record_id: int) -> Decimal | None:
        """None without line items."""
        total: Decimal | None = await self._session.scalar(
            text(
                f"SELECT sum({AMOUNT}) FROM line_items l"  # noqa: S608 - a constant of this file
                " WHERE l.tenant_id = :tenant_id AND l.maintenance_record_id = :record_id"
            ),
            {"tenant_id": self._tenant_id, "record_id": record_id},
        )
        return total

    async def replace_line_items(self, record_id: int, line_items: Sequence[LineItemWrite]) -> None:
        key = {"tenant_id": self._tenant_id, "record_id": record_id}
        await self._session.execute(
            text(
                "DELETE FROM line_items WHERE tenant_id = :tenant_id AND maintenance_record_id = :record_id"
            ),
            key,
        )
        if not line_items:
            return
        rows = [{**item.model_dump(), "position": i} for i, item in enumerate(line_items)]
        await self._session.execute(
            text(
                "INSERT INTO line_items (tenant_id, maintenance_record_id, position, kind, description, part_number,"
                " quantity, unit_price)"
                " SELECT :tenant_id, :record_id, position, kind, description, part_number, quantity, unit_price"
                " FROM jsonb_to_recordset(CAST(:items AS jsonb)) AS l(position integer, kind text, description text,"
                " part_number text, quantity numeric, unit_price numeric)"
            ),
            {**key, "items": orjson.dumps(rows, default=str).decode()},
        )

    async def import_records(
        self, vehicle_id: int, records: Sequence[ImportedMaintenanceRecord]
    ) -> list[int]:
        """Ids in the order of the records."""
        return await insert_records(
            self._session, _IMPORT, records, tenant_id=self._tenant_id, vehicle_id=vehicle_id
        )

    async def sums(self, record_ids: Sequence[int]) -> Sums:
        row = (
            await self._session.execute(
                text(
                    "SELECT count(*) AS records, coalesce(sum(cost), 0) AS cost FROM maintenance_records"
                    " WHERE tenant_id = :tenant_id AND id = ANY (CAST(:ids AS bigint[]))"
                ),
                {"tenant_id": self._tenant_id, "ids": list(record_ids)},
            )
        ).one()
        return Sums(records=row.records, cost=row.cost)
