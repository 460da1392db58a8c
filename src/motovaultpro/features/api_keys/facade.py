"""API keys for sign-in and imports."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.security.actor import Scope
from motovaultpro.features.api_keys import repository
from motovaultpro.features.api_keys.contracts import ApiKeyGrant
from motovaultpro.features.api_keys.repository import ApiKeyRepository


async def grant(database: Database, key_hash: bytes) -> ApiKeyGrant | None:
    async with database.system_session() as session:
        return await repository.find_grant(session, key_hash)


async def note_use(database: Database, key_id: int, now: datetime) -> None:
    async with database.system_session() as session:
        await repository.note_use(session, key_id, now)


async def import_api_key(
    session: AsyncSession,
    tenant_id: UUID,
    user_id: int,
    *,
    name: str,
    sha256: str,
    scopes: Collection[Scope],
) -> int:
    """A key as LubeLogger had it: the hex SHA-256 of its text. Raises `KeyNameTakenError`, which ends the transaction."""
    key_id, _ = await ApiKeyRepository(session, tenant_id).add(
        user_id, name=name, key_hash=bytes.fromhex(sha256), scopes=scopes, expires_at=None
    )
    return key_id


async def remove_api_key(session: AsyncSession, tenant_id: UUID, key_id: int) -> None:
    """For rolling an import back; a key that is gone already is none of its business."""
    await ApiKeyRepository(session, tenant_id).delete(key_id)
