from collections.abc import Sequence
from uuid import UUID

import orjson
from sqlalchemy import text

from motovaultpro.core.database import AsyncSession
from motovaultpro.features.extra_fields.contracts import FieldType, RecordType
from motovaultpro.features.extra_fields.schemas import ExtraFieldDefinition

ALL = """
    SELECT json_build_object('items', coalesce(json_agg(of_type), '[]'))::text
      FROM (SELECT record_type, json_agg(json_build_object(
                       'name', name, 'field_type', field_type, 'is_required', is_required) ORDER BY position) AS fields
              FROM extra_field_definitions GROUP BY record_type ORDER BY record_type) of_type
"""


class ExtraFieldRepository:
    def __init__(self, session: AsyncSession, tenant_id: UUID) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def definitions(self, record_type: RecordType) -> list[ExtraFieldDefinition]:
        rows = await self._session.execute(
            text(
                "SELECT name, field_type, is_required FROM extra_field_definitions"
                " WHERE tenant_id = :tenant_id AND record_type = :record_type ORDER BY position"
            ),
            {"tenant_id": self._tenant_id, "record_type": record_type},
        )
        return [
            ExtraFieldDefinition(
                name=row.name, field_type=FieldType(row.field_type), is_required=row.is_required
            )
            for row in rows
        ]

    async def replace(
        self, record_type: RecordType, definitions: Sequence[ExtraFieldDefinition]
    ) -> None:
        key = {"tenant_id": self._tenant_id, "record_type": record_type}
        await self._session.execute(
            text(
                "DELETE FROM extra_field_definitions"
                " WHERE tenant_id = :tenant_id AND record_type = :record_type"
            ),
            key,
        )
        await self._session.execute(
            text(
                "INSERT INTO extra_field_definitions"
                " (tenant_id, record_type, name, field_type, is_required, position)"
                " SELECT :tenant_id, :record_type, d.name, d.field_type, d.is_required, d.position"
                " FROM jsonb_to_recordset(CAST(:definitions AS jsonb))"
                " AS d(name text, field_type text, is_required boolean, position integer)"
            ),
            {
                **key,
                "definitions": orjson.dumps(
                    [{**d.model_dump(), "position": i} for i, d in enumerate(definitions)]
                ).decode(),
            },
        )
