"""Inserting many rows with few statements."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import TextClause

from motovaultpro.core.database import AsyncSession

ROWS_A_STATEMENT = 5000


async def insert_records(
    session: AsyncSession,
    statement: TextClause,
    records: Sequence[Any],  # Any: frozen dataclasses of a capsule
    *,
    tenant_id: UUID,
    vehicle_id: int,
) -> list[int]:
    """Run `INSERT ... SELECT ... FROM jsonb (:records) ... ORDER BY ordinality RETURNING id`; ids in the order of `records`."""
    ids: list[int] = []
    for start in range(0, len(records), ROWS_A_STATEMENT):
        chunk = orjson.dumps(records[start : start + ROWS_A_STATEMENT], default=str).decode()
        result = await session.scalars(
            statement, {"tenant_id": tenant_id, "vehicle_id": vehicle_id, "records": chunk}
        )
        # Ids were given in the order of the SELECT; RETURNING promises no order.
        ids += sorted(result)
    return ids
