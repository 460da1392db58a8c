from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import CursorResult, Row, text
from sqlalchemy.exc import IntegrityError

from motovaultpro.core.cache import note_stale
from motovaultpro.core.database import AsyncSession, system_door
from motovaultpro.core.security.actor import Role
from motovaultpro.core.units import DistanceUnit, VolumeUnit
from motovaultpro.features.accounts.contracts import user_scope
from motovaultpro.features.users.contracts import (
    EconomyStyle,
    Member,
    Preferences,
    Units,
)
from motovaultpro.features.users.errors import EmailTakenError, NameTakenError

_PREFERENCES = """
    '{"distance_unit": null, "volume_unit": null, "currency": null, "locale": null, "time_zone": null, "theme": "system",
      "auto_odometer": false, "economy_style": null, "lubelogger": {}}'::jsonb || u.preferences
"""

ME = f"""
    SELECT json_build_object(
        'id', u.id, 'name', u.name, 'email', u.email, 'role', m.role,
        'tenant', json_build_object('id', t.id, 'name', t.name),
        'preferences', {_PREFERENCES}, 'scopes', %(scopes)s::text[])::text
      FROM memberships m JOIN users u ON u.id = m.user_id JOIN tenants t ON t.id = m.tenant_id
     WHERE m.tenant_id = %(tenant_id)s::uuid AND m.user_id = %(user_id)s::bigint
"""  # noqa: S608 - constants of this file

_MEMBER = "u.id, u.name, u.email, m.role, u.disabled_at IS NOT NULL AS is_disabled, m.created_at"

MEMBERS = f"""
    WITH page AS MATERIALIZED (
        SELECT {_MEMBER}, row_number() OVER (ORDER BY u.id) AS number
          FROM memberships m JOIN users u ON u.id = m.user_id
         WHERE m.tenant_id = %(tenant_id)s::uuid AND u.id > %(after)s::bigint
         ORDER BY u.id LIMIT %(limit)s::integer + 1
    )
    SELECT json_build_object(
        'items', (SELECT coalesce(json_agg(item), '[]') FROM (
            SELECT id, name, email, role, is_disabled, created_at FROM page
             WHERE number <= %(limit)s ORDER BY number) item),
        'next_cursor', (SELECT last.id::text FROM page last, page beyond
            WHERE last.number = %(limit)s AND beyond.number = %(limit)s + 1)
    )::text
"""  # noqa: S608

MEMBER = f"""
    SELECT row_to_json(item)::text FROM (
        SELECT {_MEMBER} FROM memberships m JOIN users u ON u.id = m.user_id
         WHERE m.tenant_id = %(tenant_id)s::uuid AND m.user_id = %(member_id)s::bigint) item
"""  # noqa: S608

GARAGE = """
    SELECT json_build_object('id', id, 'name', name, 'currency', currency, 'distance_unit', distance_unit,
                             'volume_unit', volume_unit)::text
      FROM tenants WHERE id = %(tenant_id)s::uuid
"""

_MEMBERS = (
    f"SELECT {_MEMBER} FROM memberships m JOIN users u ON u.id = m.user_id"  # noqa: S608
    " WHERE m.tenant_id = :tenant_id"
)


class UserRepository:
    """The members of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: UUID) -> None:
        self._session = session
        self._tenant = {"tenant_id": tenant_id}

    async def json(self, query: str, **parameters: object) -> bytes | None:
        """One of the queries above, inside the transaction."""
        connection = await self._session.connection()
        result = await connection.exec_driver_sql(query, {**self._tenant, **parameters})
        body: str | None = result.scalar()
        return None if body is None else body.encode()

    async def lock_garage(self) -> None:
        """Changes of members wait for each other: who is the last owner depends on all of them."""
        await self._run("SELECT 1 FROM tenants WHERE id = :tenant_id FOR NO KEY UPDATE")

    async def lock_user(self, user_id: int) -> None:
        await self._run(
            "SELECT 1 FROM users WHERE id = :user_id FOR NO KEY UPDATE", user_id=user_id
        )

    async def members(self) -> tuple[Member, ...]:
        rows = await self._run(f"{_MEMBERS} ORDER BY u.id")
        return tuple(_to_member(row) for row in rows)

    async def member(self, user_id: int) -> Member | None:
        rows = await self._run(f"{_MEMBERS} AND u.id = :user_id", user_id=user_id)
        row = rows.one_or_none()
        return None if row is None else _to_member(row)

    async def has_owner(self, *, besides: int | None = None) -> bool:
        """Whether an owner, or one besides that user, can sign in."""
        rows = await self._run(
            f"SELECT EXISTS ({_MEMBERS} AND m.role = 'owner' AND u.disabled_at IS NULL"  # noqa: S608 - a constant
            " AND u.id IS DISTINCT FROM CAST(:besides AS bigint))",
            besides=besides,
        )
        found: bool = rows.scalar_one()
        return found

    async def belongs_elsewhere(self, user_id: int) -> bool:
        async with system_door(self._session):
            rows = await self._run(
                "SELECT EXISTS (SELECT FROM memberships"
                " WHERE user_id = :user_id AND tenant_id <> :tenant_id)",
                user_id=user_id,
            )
        elsewhere: bool = rows.scalar_one()
        return elsewhere

    async def add(
        self,
        *,
        name: str | None,
        email: str | None,
        password_hash: str | None,
        role: Role,
        name_sha256: bytes | None = None,
    ) -> int:
        """Raises `NameTakenError` and `EmailTakenError`."""
        with _conflicts():
            async with system_door(self._session):
                rows = await self._run(
                    "WITH added AS (INSERT INTO users (name, name_sha256, email, password_hash)"
                    " VALUES (:name, :name_sha256, :email, :password_hash) RETURNING id)"
                    " INSERT INTO memberships (tenant_id, user_id, role)"
                    " SELECT :tenant_id, id, :role FROM added RETURNING user_id",
                    name=name,
                    name_sha256=name_sha256,
                    email=email,
                    password_hash=password_hash,
                    role=role,
                )
        user_id: int = rows.scalar_one()
        return user_id

    async def save(self, member: Member, *, now: datetime) -> None:
        """Raises `NameTakenError` and `EmailTakenError`."""
        with _conflicts():
            await self._run(
                "UPDATE users SET name = :name, email = :email,"
                " disabled_at = CASE WHEN :is_disabled THEN coalesce(disabled_at, :now) END"
                " WHERE id = :user_id",
                user_id=member.user_id,
                name=member.name,
                email=member.email,
                is_disabled=member.is_disabled,
                now=now,
            )
        await self._run(
            "UPDATE memberships SET role = :role WHERE tenant_id = :tenant_id AND user_id = :user_id",
            user_id=member.user_id,
            role=member.role,
        )
        await note_stale(self._session, user_scope(member.user_id))

    async def remove(self, user_id: int) -> None:
        """End the membership, with sessions, keys and shares; and the account, if it was the last one."""
        await self._run(
            "DELETE FROM memberships WHERE tenant_id = :tenant_id AND user_id = :user_id",
            user_id=user_id,
        )
        async with system_door(self._session):
            await self._run(
                "DELETE FROM users WHERE id = :user_id"
                " AND NOT EXISTS (SELECT FROM memberships WHERE user_id = :user_id)",
                user_id=user_id,
            )
        await note_stale(self._session, user_scope(user_id))

    async def set_email(self, user_id: int, email: str | None) -> None:
        """Raises `EmailTakenError`."""
        with _conflicts():
            await self._run(
                "UPDATE users SET email = :email WHERE id = :user_id", user_id=user_id, email=email
            )

    async def preferences(self, user_id: int) -> Preferences | None:
        rows = await self._run(
            "SELECT u.preferences FROM memberships m JOIN users u ON u.id = m.user_id"
            " WHERE m.tenant_id = :tenant_id AND m.user_id = :user_id",
            user_id=user_id,
        )
        row = rows.one_or_none()
        return None if row is None else _to_preferences(row.preferences)

    async def merge_preferences(self, user_id: int, changes: Mapping[str, object]) -> None:
        """Store `changes`; null takes a preference back."""
        await self._run(
            "UPDATE users SET preferences = (SELECT coalesce(jsonb_object_agg(key, value), '{}')"
            " FROM jsonb_each(preferences || CAST(:changes AS jsonb)) WHERE value <> 'null')"
            " WHERE id = :user_id",
            user_id=user_id,
            changes=orjson.dumps(changes).decode(),
        )

    async def units(self) -> Units | None:
        rows = await self._run(
            "SELECT currency, distance_unit, volume_unit FROM tenants WHERE id = :tenant_id"
        )
        row = rows.one_or_none()
        if row is None:
            return None
        return Units(row.currency, DistanceUnit(row.distance_unit), VolumeUnit(row.volume_unit))

    async def save_garage(
        self, *, name: str | None = None, units: Mapping[str, str | None] | None = None
    ) -> None:
        """`units` has the keys currency, distance_unit and volume_unit, or some of them; None changes nothing."""
        nothing = {"currency": None, "distance_unit": None, "volume_unit": None}
        await self._run(
            "UPDATE tenants SET name = coalesce(:name, name), currency = coalesce(:currency, currency),"
            " distance_unit = coalesce(:distance_unit, distance_unit),"
            " volume_unit = coalesce(:volume_unit, volume_unit) WHERE id = :tenant_id",
            name=name,
            **{**nothing, **(units or {})},
        )

    async def _run(self, statement: str, **parameters: object) -> CursorResult[Any]:  # Any: rows
        result = await self._session.execute(text(statement), {**self._tenant, **parameters})
        assert isinstance(result, CursorResult)  # noqa: S101 - what text() gives
        return result


@contextmanager
def _conflicts() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        # Any: the driver's error, which SQLAlchemy does not type.
        diagnostics: Any = getattr(error.orig, "diag", None)
        match getattr(diagnostics, "constraint_name", None):
            case "users_name_key":
                raise NameTakenError("This user name is taken.") from error
            case "users_email_key":
                raise EmailTakenError("This e-mail address belongs to another user.") from error
            case _:
                raise


def _to_member(row: Row[Any]) -> Member:  # Any: columns of _MEMBER
    return Member(row.id, row.name, row.email, Role(row.role), row.is_disabled)


def _to_preferences(stored: Mapping[str, Any]) -> Preferences:  # Any: JSON
    distance, volume = stored.get("distance_unit"), stored.get("volume_unit")
    style = stored.get("economy_style")
    return Preferences(
        **{
            **stored,
            "distance_unit": distance and DistanceUnit(distance),
            "volume_unit": volume and VolumeUnit(volume),
            "economy_style": style and EconomyStyle(style),
        }
    )
