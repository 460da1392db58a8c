import hashlib
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, Row, text

from motovaultpro.core.cache import note_stale
from motovaultpro.core.database import AsyncSession
from motovaultpro.core.security.actor import Role
from motovaultpro.features.accounts.contracts import Account, user_scope

_ACCOUNT = """
    SELECT u.id, u.name, u.password_hash, u.disabled_at IS NOT NULL AS is_disabled,
           coalesce(json_object_agg(m.tenant_id, m.role ORDER BY m.created_at, m.tenant_id)
                    FILTER (WHERE m.tenant_id IS NOT NULL), '{}') AS roles
      FROM users u LEFT JOIN memberships m ON m.user_id = u.id
"""


class AccountRepository:
    """Users across tenants: needs a system session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def named(self, name: str) -> list[Account]:
        """Who may be meant by what was typed: the name in any case, then an imported hash of it."""
        rows = await self._run(
            f"{_ACCOUNT} WHERE lower(u.name) = lower(:name)"
            " OR (u.name IS NULL AND u.name_sha256 IN (:typed, :lower))"
            " GROUP BY u.id ORDER BY u.name IS NULL, u.id",
            name=name,
            typed=name_hash(name),
            lower=name_hash(name.lower()),
        )
        return [_to_account(row) for row in rows]

    async def with_email(self, email: str) -> list[Account]:
        rows = await self._run(
            f"{_ACCOUNT} WHERE lower(u.email) = lower(:email) GROUP BY u.id", email=email
        )
        return [_to_account(row) for row in rows]

    async def one(self, user_id: int) -> Account | None:
        rows = await self._run(f"{_ACCOUNT} WHERE u.id = :user_id GROUP BY u.id", user_id=user_id)
        row = rows.one_or_none()
        return None if row is None else _to_account(row)

    async def all(self) -> list[Account]:
        rows = await self._run(f"{_ACCOUNT} GROUP BY u.id ORDER BY u.id")
        return [_to_account(row) for row in rows]

    async def with_name_hash(self, name_sha256: bytes) -> int | None:
        """Whoever was imported under this hash, also after the first sign-in gave them a name."""
        rows = await self._run(
            "SELECT id FROM users WHERE name_sha256 = :name_sha256", name_sha256=name_sha256
        )
        user_id: int | None = rows.scalar_one_or_none()
        return user_id

    async def set_password(self, user_id: int, password_hash: str) -> None:
        await self._run(
            "UPDATE users SET password_hash = :password_hash WHERE id = :user_id",
            user_id=user_id,
            password_hash=password_hash,
        )
        await note_stale(self._session, user_scope(user_id))

    async def rehash_password(self, user_id: int, old_hash: str, new_hash: str) -> None:
        """Store the same password in another form, unless it was changed in the meantime."""
        await self._run(
            "UPDATE users SET password_hash = :new_hash WHERE id = :user_id AND password_hash = :old_hash",
            user_id=user_id,
            old_hash=old_hash,
            new_hash=new_hash,
        )
        await note_stale(self._session, user_scope(user_id))

    async def claim_name(self, user_id: int, name: str) -> None:
        """Give an imported user the name whose hash brought them here, unless somebody else has it."""
        await self._run(
            "UPDATE users SET name = CASE WHEN name_sha256 = :typed THEN :name ELSE :lower END"
            " WHERE id = :user_id AND name IS NULL"
            " AND NOT EXISTS (SELECT FROM users WHERE lower(name) = lower(:name))",
            user_id=user_id,
            name=name,
            lower=name.lower(),
            typed=name_hash(name),
        )
        await note_stale(self._session, user_scope(user_id))

    async def first_tenant(self) -> UUID | None:
        rows = await self._run("SELECT id FROM tenants ORDER BY created_at, id LIMIT 1")
        tenant_id: UUID | None = rows.scalar_one_or_none()
        return tenant_id

    async def _run(self, statement: str, **parameters: object) -> CursorResult[Any]:  # Any: rows
        result = await self._session.execute(text(statement), parameters)
        assert isinstance(result, CursorResult)  # noqa: S101 - what text() gives
        return result


def name_hash(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()


def _to_account(row: Row[Any]) -> Account:  # Any: columns of _ACCOUNT
    roles = {UUID(tenant_id): Role(role) for tenant_id, role in row.roles.items()}
    return Account(row.id, row.name, row.is_disabled, roles, row.password_hash)
