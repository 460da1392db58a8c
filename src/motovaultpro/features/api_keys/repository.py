from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, text
from sqlalchemy.exc import IntegrityError

from motovaultpro.core.cache import note_stale
from motovaultpro.core.database import AsyncSession
from motovaultpro.core.security.actor import Scope
from motovaultpro.features.api_keys.contracts import ApiKeyGrant, key_scope
from motovaultpro.features.api_keys.errors import KeyNameTakenError

MAX_KEYS = 100

_ROW = "id, name, scopes, created_at, last_used_at, expires_at"

MINE = f"""
    SELECT json_build_object('items', coalesce(json_agg(item), '[]'))::text FROM (
        SELECT {_ROW} FROM api_keys
         WHERE tenant_id = %(tenant_id)s::uuid AND user_id = %(user_id)s ORDER BY id) item
"""  # noqa: S608 - a constant


class ApiKeyRepository:
    """The keys of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: UUID) -> None:
        self._session = session
        self._tenant = {"tenant_id": tenant_id}

    async def count(self, user_id: int) -> int:
        rows = await self._run(
            "SELECT count(*) FROM api_keys WHERE tenant_id = :tenant_id AND user_id = :user_id",
            user_id=user_id,
        )
        count: int = rows.scalar_one()
        return count

    async def add(
        self,
        user_id: int,
        *,
        name: str,
        key_hash: bytes,
        scopes: Collection[Scope],
        expires_at: datetime | None,
    ) -> tuple[int, bytes]:
        """The key's id and JSON. Raises `KeyNameTakenError`."""
        try:
            rows = await self._run(
                "WITH added AS (INSERT INTO api_keys (tenant_id, user_id, name, key_hash, scopes, expires_at)"  # noqa: S608 - a constant
                " VALUES (:tenant_id, :user_id, :name, :key_hash, :scopes, :expires_at) RETURNING *)"
                f" SELECT id, row_to_json(item)::text AS body FROM (SELECT {_ROW} FROM added) item",
                user_id=user_id,
                name=name,
                key_hash=key_hash,
                scopes=sorted(scopes),
                expires_at=expires_at,
            )
        except IntegrityError as error:
            # Any: the driver's error, which SQLAlchemy does not type.
            diagnostics: Any = getattr(error.orig, "diag", None)
            if diagnostics is not None and diagnostics.constraint_name == (
                "api_keys_tenant_id_user_id_name_key"
            ):
                raise KeyNameTakenError("You have an API key of this name already.") from error
            raise
        row = rows.one()
        return row.id, row.body.encode()

    async def delete(self, key_id: int, *, user_id: int | None = None) -> bool:
        """Whether there was such a key, of that user if one is named."""
        rows = await self._run(
            "DELETE FROM api_keys WHERE tenant_id = :tenant_id AND id = :key_id"
            " AND user_id = coalesce(CAST(:user_id AS bigint), user_id) RETURNING key_hash",
            key_id=key_id,
            user_id=user_id,
        )
        row = rows.one_or_none()
        if row is None:
            return False
        await note_stale(self._session, key_scope(bytes(row.key_hash)))
        return True

    async def _run(self, statement: str, **parameters: object) -> CursorResult[Any]:  # Any: rows
        result = await self._session.execute(text(statement), {**self._tenant, **parameters})
        assert isinstance(result, CursorResult)  # noqa: S101 - what text() gives
        return result


async def find_grant(session: AsyncSession, key_hash: bytes) -> ApiKeyGrant | None:
    """Across tenants: needs a system session."""
    rows = await session.execute(
        text(
            "SELECT id, user_id, tenant_id, name, scopes, expires_at, last_used_at"
            " FROM api_keys WHERE key_hash = :key_hash"
        ),
        {"key_hash": key_hash},
    )
    row = rows.one_or_none()
    if row is None:
        return None
    return ApiKeyGrant(
        id=row.id,
        user_id=row.user_id,
        tenant_id=row.tenant_id,
        name=row.name,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


async def note_use(session: AsyncSession, key_id: int, now: datetime) -> None:
    await session.execute(
        text("UPDATE api_keys SET last_used_at = :now WHERE id = :key_id"),
        {"key_id": key_id, "now": now},
    )
