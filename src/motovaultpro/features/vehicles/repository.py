from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.exc import IntegrityError

from motovaultpro.core.database import AsyncSession
from motovaultpro.core.errors import FieldError, InvalidError
from motovaultpro.core.security.actor import Permission
from motovaultpro.features.vehicles.models import EnergySource, Share, Vehicle

_ROW = """
    v.id, v.year, v.make, v.model, v.license_plate, v.vin, v.identifier, v.notes, v.currency, v.distance_unit,
    v.odometer_optional, v.odometer_multiplier, v.odometer_difference, v.purchased_on, v.purchase_price, v.sold_on,
    v.sold_price, v.dashboard_metrics, v.image_document_id, v.map_document_id, v.tags, v.extra_fields,
    (SELECT coalesce(json_agg(json_build_object(
                'id', e.id, 'kind', e.kind, 'volume_unit', e.volume_unit, 'capacity', e.capacity)
            ORDER BY e.position), '[]')
       FROM energy_sources e WHERE e.tenant_id = v.tenant_id AND e.vehicle_id = v.id) AS energy_sources,
    (ARRAY['view', 'edit', 'delete', 'manage'])[access] AS permission,
    v.archived_at, v.deleted_at, v.created_at, v.updated_at
"""

# As vehicle_access(), but for deleted vehicles too, and once for the whole list.
_VISIBLE = """
    vehicles v CROSS JOIN LATERAL (SELECT CASE WHEN {role} IN ('owner', 'admin') THEN 4 ELSE greatest(
        CASE {role} WHEN 'viewer' THEN 1 ELSE 0 END,
        (SELECT max(array_position(ARRAY['view', 'edit', 'delete', 'manage'], s.permission)) FROM shares s
          WHERE s.user_id = {user_id} AND (s.vehicle_id = v.id OR s.vehicle_id IS NULL))) END AS access) a
"""
VISIBLE = _VISIBLE.format(role="%(role)s", user_id="%(user_id)s")
_VISIBLE_BOUND = _VISIBLE.format(role=":role", user_id=":user_id")

PAGE = f"""
    WITH page AS MATERIALIZED (
        SELECT v.*, access, row_number() OVER (ORDER BY v.id) AS number FROM {VISIBLE}
         WHERE access > 0 AND v.id > %(after)s
           AND CASE %(state)s WHEN 'active' THEN v.deleted_at IS NULL AND v.archived_at IS NULL
                              WHEN 'archived' THEN v.deleted_at IS NULL AND v.archived_at IS NOT NULL
                              WHEN 'deleted' THEN v.deleted_at IS NOT NULL
                              ELSE v.deleted_at IS NULL END
           AND (%(tag)s::text IS NULL OR %(tag)s = ANY (v.tags))
         ORDER BY v.id LIMIT %(limit)s::integer + 1
    )
    SELECT json_build_object(
        'items', (SELECT coalesce(json_agg(item), '[]') FROM (
            SELECT {_ROW} FROM page v WHERE v.number <= %(limit)s ORDER BY v.number) item),
        'next_cursor', (SELECT last.id::text FROM page last, page beyond
            WHERE last.number = %(limit)s AND beyond.number = %(limit)s + 1)
    )::text
"""  # noqa: S608 - constants of this file

ONE = f"""
    SELECT row_to_json(item)::text FROM (
        SELECT {_ROW} FROM {VISIBLE} WHERE v.id = %(vehicle_id)s AND access > 0 AND v.deleted_at IS NULL) item
"""  # noqa: S608

SHARES = """
    SELECT json_build_object('items', coalesce(json_agg(item), '[]'))::text FROM (
        SELECT id, user_id, vehicle_id, permission FROM shares
         WHERE (%(role)s IN ('owner', 'admin')
                OR (vehicle_id IS NOT NULL AND vehicle_access(vehicle_id, %(user_id)s, %(role)s) >= 4))
           AND (%(vehicle_id)s::bigint IS NULL OR vehicle_id = %(vehicle_id)s)
         ORDER BY id LIMIT 1000) item
"""


ADJUSTED = """
    SELECT json_build_object('odometer', %(odometer)s,
                             'adjusted', trim_scale((%(odometer)s + odometer_difference) * odometer_multiplier))::text
      FROM vehicles WHERE id = %(vehicle_id)s AND vehicle_access(id, %(user_id)s, %(role)s) > 0
"""


_DOCUMENT_FIELDS = {
    "vehicles_image_fkey": "image_document_id",
    "vehicles_map_fkey": "map_document_id",
}


class VehicleRepository:
    def __init__(self, session: AsyncSession, tenant_id: UUID) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def permission(self, vehicle_id: int, *, user_id: int, role: str) -> Permission | None:
        """What the member may do; None where they may not even see the vehicle, or there is none."""
        name = await self._session.scalar(
            text(
                "SELECT (ARRAY['view', 'edit', 'delete', 'manage'])[vehicle_access(:vehicle_id, :user_id, :role)]"
            ),
            {"vehicle_id": vehicle_id, "user_id": user_id, "role": role},
        )
        return None if name is None else Permission(name)

    async def sees_document(self, document_id: int, *, user_id: int, role: str) -> bool:
        """Whether the member may see the document, and so may make it a vehicle's image or map."""
        visible: bool = await self._session.scalar(
            text("SELECT document_visible(:id, :user_id, :role)"),
            {"id": document_id, "user_id": user_id, "role": role},
        )
        return visible

    async def json(self, vehicle_id: int, *, user_id: int, role: str) -> bytes:
        query = f"SELECT row_to_json(item)::text FROM (SELECT {_ROW} FROM {_VISIBLE_BOUND} WHERE v.id = :vehicle_id) item"  # noqa: S608
        body: str = await self._session.scalar(
            text(query), {"vehicle_id": vehicle_id, "user_id": user_id, "role": role}
        )
        return body.encode()

    async def get(self, vehicle_id: int, *, lock: bool = False) -> Vehicle | None:
        statement = select(Vehicle).where(
            Vehicle.tenant_id == self._tenant_id, Vehicle.id == vehicle_id
        )
        if lock:
            # Why key_share: a full lock waits for everybody who adds a record, and two of them then for each other.
            statement = statement.with_for_update(key_share=True)
            statement = statement.execution_options(populate_existing=True)
        return await self._session.scalar(statement)

    async def add(self, vehicle: Vehicle) -> Vehicle:
        vehicle.tenant_id = self._tenant_id
        self._session.add(vehicle)
        await self.save()
        return vehicle

    async def save(self) -> None:
        """Write what has changed. Raises `InvalidError` for an image or map that is no document of the garage."""
        try:
            async with self._session.begin_nested():
                await self._session.flush()
        except IntegrityError as error:
            diagnosis = getattr(error.orig, "diag", None)
            field = _DOCUMENT_FIELDS.get(getattr(diagnosis, "constraint_name", None) or "")
            if field is None:
                raise
            raise InvalidError(
                "There is no such document. Upload it first.",
                fields=[FieldError(field, "is not a document of this garage")],
            ) from None

    async def is_free(self, vehicle_id: int) -> bool:
        """Whether no tenant uses the id; asked of the sequence too, which then skips it."""
        taken: bool = await self._session.scalar(
            text(
                "SELECT setval(sequence, greatest(last, :id)) IS NULL OR :id <= last FROM"
                " (SELECT pg_get_serial_sequence('vehicles', 'id')::regclass AS sequence) s,"
                " LATERAL (SELECT coalesce(pg_sequence_last_value(sequence), 0) AS last) l"
            ),
            {"id": vehicle_id},
        )
        return not taken

    async def energy_sources(self, vehicle_id: int) -> Sequence[EnergySource]:
        result = await self._session.scalars(
            select(EnergySource)
            .where(EnergySource.tenant_id == self._tenant_id, EnergySource.vehicle_id == vehicle_id)
            .order_by(EnergySource.position)
        )
        return result.all()

    async def add_energy_source(self, source: EnergySource) -> None:
        source.tenant_id = self._tenant_id
        self._session.add(source)
        await self._session.flush()

    async def delete_energy_source(self, source: EnergySource) -> bool:
        """False, and nothing changed, while records refer to it."""
        try:
            async with self._session.begin_nested():
                await self._session.delete(source)
                await self._session.flush()
        except IntegrityError:
            return False
        return True

    async def save_share(self, share: Share) -> int:
        """Insert the share, or change the permission of the one that exists."""
        share_id: int = await self._session.scalar(
            text(
                "INSERT INTO shares (tenant_id, user_id, vehicle_id, permission)"
                " VALUES (:tenant_id, :user_id, :vehicle_id, :permission)"
                " ON CONFLICT (tenant_id, user_id, vehicle_id) DO UPDATE SET permission = excluded.permission"
                " RETURNING id"
            ),
            {
                "tenant_id": self._tenant_id,
                "user_id": share.user_id,
                "vehicle_id": share.vehicle_id,
                "permission": share.permission,
            },
        )
        return share_id

    async def share(self, share_id: int) -> Share | None:
        return await self._session.scalar(
            select(Share).where(Share.tenant_id == self._tenant_id, Share.id == share_id)
        )

    async def delete_share(self, share_id: int) -> None:
        await self._session.execute(
            delete(Share).where(Share.tenant_id == self._tenant_id, Share.id == share_id)
        )

    async def all_ids(self) -> Sequence[int]:
        result = await self._session.scalars(
            select(Vehicle.id).where(Vehicle.tenant_id == self._tenant_id)
        )
        return result.all()

    async def delete(self, vehicle_id: int) -> None:
        await self._session.execute(
            delete(Vehicle).where(Vehicle.tenant_id == self._tenant_id, Vehicle.id == vehicle_id)
        )

    async def purge(self, deleted_before: datetime) -> list[int]:
        """Really delete the vehicles that were deleted before; answers their ids."""
        result = await self._session.execute(
            delete(Vehicle)
            .where(Vehicle.tenant_id == self._tenant_id, Vehicle.deleted_at < deleted_before)
            .returning(Vehicle.id)
        )
        return list(result.scalars())
