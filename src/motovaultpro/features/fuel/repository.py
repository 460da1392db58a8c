from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, select, text

from motovaultpro.core.bulk import insert_records
from motovaultpro.core.database import AsyncSession
from motovaultpro.core.economy import Derived, FillUp, State, state_after, step
from motovaultpro.core.pagination import page_query
from motovaultpro.core.units import IncompatibleUnitsError, VolumeUnit, convert_volume
from motovaultpro.features.documents.contracts import attachments_json
from motovaultpro.features.fuel.contracts import ImportedFuelRecord, Sums
from motovaultpro.features.fuel.models import FuelRecord
from motovaultpro.features.vehicles import facade as vehicles
from motovaultpro.features.vehicles.contracts import EnergySource

Position = tuple[date, Decimal, int]
Change = tuple[int, Position]
"""Where a history changed: the energy source, and the position of a record that was or is there."""

# Rows per statement of imports and of walks through a whole history, so that none comes near the statement timeout.
_CHUNK = 5000

_ROW = f"""
    r.id, r.vehicle_id, r.energy_source_id, r.filled_on, r.odometer, r.volume, r.volume_unit, r.cost,
    round(r.cost / nullif(r.volume, 0), 4) AS unit_price, r.currency, r.is_full, r.is_missed, r.soc_start, r.soc_end,
    r.distance, r.segment_distance, r.segment_volume, r.economy, r.notes, r.tags, r.extra_fields,
    {attachments_json("'fuel'")} AS attachments, r.created_at, r.updated_at
"""

PAGE = page_query(
    row=_ROW,
    table="fuel_records",
    day="filled_on",
    where="""(%(tag)s::text IS NULL OR %(tag)s = ANY (r.tags))
        AND r.filled_on >= coalesce(%(from_day)s::date, '-infinity')
        AND r.filled_on <= coalesce(%(to_day)s::date, 'infinity')""",
)

ONE = f"""
    SELECT row_to_json(item)::text FROM (
        SELECT {_ROW} FROM fuel_records r
         WHERE r.vehicle_id = %(vehicle_id)s AND r.id = %(record_id)s
           AND vehicle_access(r.vehicle_id, %(user_id)s, %(role)s) > 0) item
"""  # noqa: S608 - constants of this file

# Of a vehicle `v`, for the dashboard: the ends of its readings, and a JSON list of economy by energy source over the month
# of `today` and the two before.
READINGS = vehicles.readings_of("fuel_records")

RECENT_ECONOMY = """
    (SELECT coalesce(json_agg(json_build_object(
                'energy_source_id', e.id, 'kind', e.kind, 'volume_unit', e.volume_unit,
                'distance', coalesce(sums.distance, 0), 'volume', coalesce(sums.volume, 0),
                'economy', sums.distance / nullif(sums.volume, 0)) ORDER BY e.position), '[]')
       FROM energy_sources e CROSS JOIN LATERAL (
           SELECT sum(m.distance) AS distance, sum(m.volume) AS volume FROM monthly_economy m
            WHERE m.tenant_id = e.tenant_id AND m.vehicle_id = e.vehicle_id AND m.energy_source_id = e.id
              AND m.month <= %(today)s::date
              AND m.month >= (date_trunc('month', %(today)s::date::timestamp) - interval '2 months')::date) sums
      WHERE e.tenant_id = v.tenant_id AND e.vehicle_id = v.id)
"""

_JSON = text(f"""
    SELECT row_to_json(item)::text FROM (
        SELECT {_ROW} FROM fuel_records r WHERE r.tenant_id = :tenant_id AND r.id = :record_id) item
""")  # noqa: S608

_SAVE_DERIVED = text("""
    UPDATE fuel_records r
       SET distance = d.distance, segment_distance = d.segment_distance, segment_volume = d.segment_volume
      FROM unnest(CAST(:ids AS bigint[]), CAST(:distances AS numeric[]), CAST(:segment_distances AS numeric[]),
                  CAST(:segment_volumes AS numeric[])) AS d(id, distance, segment_distance, segment_volume)
     WHERE r.tenant_id = :tenant_id AND r.id = d.id
""")

_IMPORT = text("""
    INSERT INTO fuel_records
           (tenant_id, vehicle_id, energy_source_id, filled_on, odometer, volume, volume_unit, cost, currency, is_full,
            is_missed, soc_start, soc_end, notes, tags, extra_fields)
    SELECT :tenant_id, :vehicle_id, energy_source_id, filled_on, odometer, volume, volume_unit, cost, currency, is_full,
           is_missed, soc_start, soc_end, notes, tags, extra_fields
      FROM ROWS FROM (jsonb_to_recordset(CAST(:records AS jsonb)) AS (
               energy_source_id bigint, filled_on date, odometer numeric, volume numeric, volume_unit text,
               cost numeric, currency text, is_full boolean, is_missed boolean, soc_start integer, soc_end integer,
               notes text, tags text[], extra_fields jsonb)) WITH ORDINALITY
     ORDER BY ordinality
    RETURNING id
""")

_DELETE = text("""
    DELETE FROM fuel_records
     WHERE tenant_id = :tenant_id AND vehicle_id = :vehicle_id AND id = ANY (CAST(:ids AS bigint[]))
    RETURNING id, energy_source_id, filled_on, odometer
""")

_HISTORY = """
    SELECT id, filled_on, odometer, volume, volume_unit, is_full, is_missed, soc_start, soc_end,
           distance, segment_distance, segment_volume
      FROM fuel_records WHERE tenant_id = :tenant_id AND energy_source_id = :energy_source_id
"""
# Why the days are compared twice: under row-level security only leakproof conditions reach an index, and those on numeric
# are not.
# `core.economy.is_anchor`, in the words of the index fuel_records_anchor_idx.
_ANCHORS = f"{_HISTORY} AND odometer <> 0 AND (is_missed OR is_full OR coalesce(soc_end > soc_start, false))"
_BEFORE = text(f"""
    {_ANCHORS} AND filled_on <= :day AND (filled_on, odometer, id) < (:day, :reading, :id)
     ORDER BY filled_on DESC, odometer DESC, id DESC LIMIT 1
""")
_AFTER = text(f"""
    {_ANCHORS} AND filled_on >= :day AND (filled_on, odometer, id) > (:day, :reading, :id)
     ORDER BY filled_on, odometer, id LIMIT 1
""")
_WINDOW = text(f"""
    {_HISTORY} AND filled_on >= :day AND (filled_on, odometer, id) > (:day, :reading, :id)
       AND filled_on <= :until_day AND (filled_on, odometer, id) <= (:until_day, :until_reading, :until_id)
     ORDER BY filled_on, odometer, id LIMIT {_CHUNK}
""")

# No record stands before or after these.
_BEGINNING: Position = (date.min, Decimal(-1), 0)
_END: Position = (date.max, Decimal(10) ** 10, 0)


class FuelRepository:
    """Fuel records of a tenant. Whoever writes has locked the vehicle, and then says what changed (`recompute`)."""

    def __init__(self, session: AsyncSession, tenant_id: UUID) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def json(self, record_id: int) -> bytes:
        body: str = await self._session.scalar(
            _JSON, {"tenant_id": self._tenant_id, "record_id": record_id}
        )
        return body.encode()

    async def get(self, vehicle_id: int, record_id: int) -> FuelRecord | None:
        return await self._session.scalar(
            select(FuelRecord)
            .where(
                FuelRecord.tenant_id == self._tenant_id,
                FuelRecord.vehicle_id == vehicle_id,
                FuelRecord.id == record_id,
            )
            .execution_options(populate_existing=True)
        )

    async def add(self, record: FuelRecord) -> FuelRecord:
        record.tenant_id = self._tenant_id
        self._session.add(record)
        await self._session.flush()
        return record

    async def delete(self, vehicle_id: int, record_ids: Sequence[int]) -> dict[int, Change]:
        """Answers those that were there, and where."""
        deleted: dict[int, Change] = {}
        for start in range(0, len(record_ids), _CHUNK):
            ids = list(record_ids[start : start + _CHUNK])
            rows = await self._session.execute(
                _DELETE, {"tenant_id": self._tenant_id, "vehicle_id": vehicle_id, "ids": ids}
            )
            for row in rows:
                position = (row.filled_on, row.odometer, row.id)
                deleted[row.id] = (row.energy_source_id, position)
        return deleted

    async def import_records(
        self, vehicle_id: int, records: Sequence[ImportedFuelRecord]
    ) -> list[int]:
        return await insert_records(
            self._session, _IMPORT, records, tenant_id=self._tenant_id, vehicle_id=vehicle_id
        )

    async def sums(self, record_ids: Sequence[int]) -> Sums:
        row = (
            await self._session.execute(
                text(
                    "SELECT count(*) AS records, coalesce(sum(cost), 0) AS cost, coalesce(sum(volume), 0) AS volume,"
                    " coalesce(sum(distance), 0) AS distance FROM fuel_records"
                    " WHERE tenant_id = :tenant_id AND id = ANY (CAST(:ids AS bigint[]))"
                ),
                {"tenant_id": self._tenant_id, "ids": list(record_ids)},
            )
        ).one()
        return Sums(records=row.records, cost=row.cost, volume=row.volume, distance=row.distance)

    async def recompute_changed(
        self, sources: Iterable[EnergySource], changes: Iterable[Change]
    ) -> None:
        """Bring what is derived up to date after records came, went or moved."""
        positions: defaultdict[int, list[Position]] = defaultdict(list)
        for energy_source_id, position in changes:
            positions[energy_source_id].append(position)
        for source in sources:
            if changed := positions.get(source.id):
                await self.recompute(source, min(changed), max(changed))

    async def recompute(
        self, source: EnergySource, first: Position = _BEGINNING, last: Position = _END
    ) -> None:
        """Derive again what a change between these positions can reach, as `core.economy` says; save what differs."""
        anchor = await self._one(_BEFORE, source, first)
        end = await self._one(_AFTER, source, last)
        state = State() if anchor is None else state_after(anchor)
        after = _BEGINNING if anchor is None else anchor.position
        until = _END if end is None else end.position
        while True:
            rows = await self._window(source, after, until)
            changed: list[tuple[int, Derived]] = []
            for row in rows:
                state, derived = step(state, _fill_up(row, source))
                if derived != Derived(row.distance, row.segment_distance, row.segment_volume):
                    changed.append((row.id, derived))
            if changed:
                await self._save(changed)
            if len(rows) < _CHUNK:
                return
            after = (rows[-1].filled_on, rows[-1].odometer, rows[-1].id)

    async def _one(
        self, query: TextClause, source: EnergySource, position: Position
    ) -> FillUp | None:
        row = (await self._session.execute(query, self._bound(source, position))).one_or_none()
        return None if row is None else _fill_up(row, source)

    async def _window(
        self, source: EnergySource, after: Position, until: Position
    ) -> Sequence[Row[Any]]:  # Any: a textual query has no types
        day, reading, record_id = until
        parameters = {"until_day": day, "until_reading": reading, "until_id": record_id}
        result = await self._session.execute(_WINDOW, {**self._bound(source, after), **parameters})
        return result.all()

    def _bound(self, source: EnergySource, position: Position) -> dict[str, object]:
        day, reading, record_id = position
        return {
            "tenant_id": self._tenant_id,
            "energy_source_id": source.id,
            "day": day,
            "reading": reading,
            "id": record_id,
        }

    async def _save(self, changed: Sequence[tuple[int, Derived]]) -> None:
        await self._session.execute(
            _SAVE_DERIVED,
            {
                "tenant_id": self._tenant_id,
                "ids": [record_id for record_id, _ in changed],
                "distances": [derived.distance for _, derived in changed],
                "segment_distances": [derived.segment_distance for _, derived in changed],
                "segment_volumes": [derived.segment_volume for _, derived in changed],
            },
        )


def _fill_up(row: Row[Any], source: EnergySource) -> FillUp:  # Any: as above
    """Volume in the source's unit; a record from elsewhere whose unit cannot be converted is a missed fill-up."""
    try:
        volume = convert_volume(row.volume, VolumeUnit(row.volume_unit), source.volume_unit)
        is_missed = row.is_missed
    except IncompatibleUnitsError:
        volume, is_missed = Decimal(0), True
    return FillUp(
        id=row.id,
        filled_on=row.filled_on,
        odometer=row.odometer,
        volume=volume,
        is_full=row.is_full,
        is_missed=is_missed,
        soc_start=row.soc_start,
        soc_end=row.soc_end,
    )
