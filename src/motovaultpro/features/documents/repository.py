from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy import text

from motovaultpro.core.database import AsyncSession
from motovaultpro.core.storage import StoredObject
from motovaultpro.features.documents.contracts import AttachmentWrite
from motovaultpro.features.extra_fields.contracts import RecordType

_ROW = "d.id, d.name, d.content_type, d.size, d.sha256, d.created_at"

_VISIBLE_READ = "document_visible(d.id, %(user_id)s, %(role)s)"
_VISIBLE_BOUND = "document_visible(d.id, :user_id, :role)"

_UNATTACHED = """
    NOT EXISTS (SELECT FROM attachments a WHERE a.tenant_id = d.tenant_id AND a.document_id = d.id)
    AND NOT EXISTS (SELECT FROM vehicles v WHERE v.tenant_id = d.tenant_id
                       AND (v.image_document_id = d.id OR v.map_document_id = d.id))
"""

ONE = f"""
    SELECT row_to_json(item)::text FROM (
        SELECT {_ROW} FROM documents d WHERE d.id = %(document_id)s AND {_VISIBLE_READ}) item
"""  # noqa: S608 - constants of this file

# With what only we need to know, to deliver it.
FILE = f"""
    SELECT json_build_object('name', d.name, 'content_type', d.content_type, 'size', d.size, 'sha256', d.sha256,
                             'storage_key', d.storage_key)::text
      FROM documents d WHERE d.id = %(document_id)s AND {_VISIBLE_READ}
"""  # noqa: S608

# By id, newest first: attachments carry no day of their own.
PAGE = """
    WITH page AS MATERIALIZED (
        SELECT a.*, d.content_type, d.size, row_number() OVER (ORDER BY a.id DESC) AS number
          FROM attachments a LEFT JOIN documents d ON d.tenant_id = a.tenant_id AND d.id = a.document_id
         WHERE a.vehicle_id = %(vehicle_id)s AND a.id < %(before)s
           AND (%(record_type)s::text IS NULL OR a.record_type = %(record_type)s)
         ORDER BY a.id DESC LIMIT %(limit)s::integer + 1
    )
    SELECT CASE WHEN vehicle_access(%(vehicle_id)s, %(user_id)s, %(role)s) > 0 THEN json_build_object(
        'items', (SELECT coalesce(json_agg(item), '[]') FROM (
            SELECT p.record_type, p.record_id, p.name, p.document_id, p.url, p.target_type, p.target_id,
                   p.content_type, p.size
              FROM page p WHERE p.number <= %(limit)s ORDER BY p.number) item),
        'next_cursor', (SELECT last.id::text FROM page last, page beyond
            WHERE last.number = %(limit)s AND beyond.number = %(limit)s + 1)
    ) END::text
"""


@dataclass(frozen=True, slots=True)
class DeletedDocument:
    id: int
    storage_key: str


class DocumentRepository:
    def __init__(self, session: AsyncSession, tenant_id: UUID) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def add(self, stored: StoredObject, *, name: str, user_id: int | None) -> int:
        document_id: int = await self._session.scalar(
            text(
                "INSERT INTO documents (tenant_id, storage_key, name, content_type, size, sha256, user_id)"
                " VALUES (:tenant_id, :key, :name, :content_type, :size, :sha256, :user_id) RETURNING id"
            ),
            {
                "tenant_id": self._tenant_id,
                "key": stored.key,
                "name": name,
                "content_type": stored.content_type,
                "size": stored.size,
                "sha256": stored.sha256,
                "user_id": user_id,
            },
        )
        return document_id

    async def json(self, document_id: int) -> bytes:
        body: str = await self._session.scalar(
            text(
                f"SELECT row_to_json(item)::text FROM (SELECT {_ROW} FROM documents d"  # noqa: S608
                " WHERE d.tenant_id = :tenant_id AND d.id = :id) item"
            ),
            {"tenant_id": self._tenant_id, "id": document_id},
        )
        return body.encode()

    async def visible(self, ids: Sequence[int], *, user_id: int, role: str) -> set[int]:
        """Those of the documents that exist and that the member may see; none of them can be deleted before we commit."""
        result = await self._session.scalars(
            text(
                "SELECT d.id FROM documents d WHERE d.tenant_id = :tenant_id AND d.id = ANY (:ids)"  # noqa: S608
                f" AND {_VISIBLE_BOUND} ORDER BY d.id FOR KEY SHARE OF d"
            ),
            {"tenant_id": self._tenant_id, "ids": list(ids), "user_id": user_id, "role": role},
        )
        return set(result)

    async def uploader(self, document_id: int) -> int | None:
        uploader: int | None = await self._session.scalar(
            text("SELECT user_id FROM documents WHERE tenant_id = :tenant_id AND id = :id"),
            {"tenant_id": self._tenant_id, "id": document_id},
        )
        return uploader

    async def lock(self, ids: Sequence[int]) -> None:
        """Wait for those who are attaching the documents, and keep others from it until we commit."""
        await self._session.execute(
            text(
                "SELECT FROM documents WHERE tenant_id = :tenant_id AND id = ANY (:ids)"
                " ORDER BY id FOR UPDATE"
            ),
            {"tenant_id": self._tenant_id, "ids": list(ids)},
        )

    async def delete_unattached(self, ids: Sequence[int]) -> list[DeletedDocument]:
        """Delete those of the locked documents that nothing uses."""
        result = await self._session.execute(
            text(
                "DELETE FROM documents d WHERE d.tenant_id = :tenant_id AND d.id = ANY (:ids)"  # noqa: S608
                f" AND {_UNATTACHED} RETURNING d.id, d.storage_key"
            ),
            {"tenant_id": self._tenant_id, "ids": list(ids)},
        )
        return [DeletedDocument(*row) for row in result]

    async def orphans(self, *, uploaded_before: datetime, limit: int) -> list[int]:
        result = await self._session.scalars(
            text(
                "SELECT d.id FROM documents d WHERE d.tenant_id = :tenant_id AND d.created_at < :before"  # noqa: S608
                f" AND {_UNATTACHED} ORDER BY d.id LIMIT :limit"
            ),
            {"tenant_id": self._tenant_id, "before": uploaded_before, "limit": limit},
        )
        return list(result)


class AttachmentRepository:
    def __init__(self, session: AsyncSession, tenant_id: UUID) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def replace(
        self,
        *,
        vehicle_id: int,
        record_type: RecordType,
        record_id: int,
        attachments: Sequence[AttachmentWrite],
    ) -> None:
        await self.remove(record_type, [record_id])
        if not attachments:
            return
        await self._session.execute(
            text(
                "INSERT INTO attachments (tenant_id, vehicle_id, record_type, record_id, position, name,"
                " document_id, url, target_type, target_id)"
                " SELECT :tenant_id, :vehicle_id, :record_type, :record_id, position, name,"
                " document_id, url, target_type, target_id FROM jsonb_to_recordset(CAST(:attachments AS jsonb))"
                " AS a(position integer, name text, document_id bigint, url text, target_type text, target_id bigint)"
            ),
            {
                "tenant_id": self._tenant_id,
                "vehicle_id": vehicle_id,
                "record_type": record_type,
                "record_id": record_id,
                "attachments": orjson.dumps(
                    [{**a.model_dump(), "position": i} for i, a in enumerate(attachments)]
                ).decode(),
            },
        )

    async def remove(self, record_type: RecordType, record_ids: Sequence[int]) -> None:
        await self._session.execute(
            text(
                "DELETE FROM attachments WHERE tenant_id = :tenant_id"
                " AND record_type = :record_type AND record_id = ANY (:record_ids)"
            ),
            {
                "tenant_id": self._tenant_id,
                "record_type": record_type,
                "record_ids": list(record_ids),
            },
        )

    async def move(self, record_id: int, from_type: RecordType, to_type: RecordType) -> None:
        types = {"tenant_id": self._tenant_id, "from_type": from_type, "to_type": to_type}
        await self._session.execute(
            text(
                "UPDATE attachments SET record_type = :to_type WHERE tenant_id = :tenant_id"
                " AND record_type = :from_type AND record_id = :id"
            ),
            {**types, "id": record_id},
        )
        await self._session.execute(
            text(
                "UPDATE attachments SET target_type = :to_type WHERE tenant_id = :tenant_id"
                " AND target_type = :from_type AND target_id = :id"
            ),
            {**types, "id": record_id},
        )
