from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, Row, text

from motovaultpro.core.cache import note_stale
from motovaultpro.core.database import AsyncSession
from motovaultpro.features.sessions.contracts import Client, Session, SessionKind

_LISTED = 500
_TEXT = 500

MINE = f"""
    SELECT json_build_object('items', coalesce(json_agg(item), '[]'))::text FROM (
        SELECT id, kind, user_agent, address, is_remembered, created_at, last_used_at, expires_at,
               id IS NOT DISTINCT FROM %(session_id)s::bigint AS is_current
          FROM sessions
         WHERE tenant_id = %(tenant_id)s::uuid AND user_id = %(user_id)s AND expires_at > %(now)s
         ORDER BY id DESC LIMIT {_LISTED}) item
"""  # noqa: S608 - a constant

_SESSION = (
    "SELECT id, user_id, tenant_id, is_remembered, last_used_at, expires_at"
    " FROM sessions WHERE expires_at > :now"
)


def cookie_scope(token_hash: bytes) -> str:
    return f"credential:{token_hash.hex()}"


def bearer_scope(session_id: int) -> str:
    """By id: the refresh token changes, and the access token names the session."""
    return f"credential:session-{session_id}"


class SessionRepository:
    """Sessions of every tenant: needs a system session, or sees those of the tenant."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(
        self,
        kind: SessionKind,
        *,
        user_id: int,
        tenant_id: UUID,
        token_hash: bytes,
        family_hash: bytes | None,
        is_remembered: bool,
        client: Client,
        now: datetime,
        expires_at: datetime,
    ) -> int:
        rows = await self._run(
            "INSERT INTO sessions (kind, user_id, tenant_id, token_hash, family_hash, is_remembered, address, user_agent,"
            " created_at, last_used_at, expires_at) VALUES (:kind, :user_id, :tenant_id, :token_hash,"
            " :family_hash, :is_remembered, :address, :user_agent, :now, :now, :expires_at) RETURNING id",
            kind=kind,
            user_id=user_id,
            tenant_id=tenant_id,
            token_hash=token_hash,
            family_hash=family_hash,
            is_remembered=is_remembered,
            address=client.address[:_TEXT],
            user_agent=client.user_agent[:_TEXT],
            now=now,
            expires_at=expires_at,
        )
        session_id: int = rows.scalar_one()
        return session_id

    async def by_cookie(self, token_hash: bytes, now: datetime) -> Session | None:
        rows = await self._run(
            f"{_SESSION} AND token_hash = :token_hash AND kind = 'cookie'",
            token_hash=token_hash,
            now=now,
        )
        return _to_session(rows.one_or_none())

    async def bearer(self, session_id: int, now: datetime) -> Session | None:
        rows = await self._run(
            f"{_SESSION} AND id = :session_id AND kind = 'bearer'", session_id=session_id, now=now
        )
        return _to_session(rows.one_or_none())

    async def extend(
        self, session: Session, token_hash: bytes, expires_at: datetime, now: datetime
    ) -> bool:
        """Note a use of a cookie; False if the session was ended."""
        rows = await self._run(
            "UPDATE sessions SET last_used_at = :now, expires_at = :expires_at"
            " WHERE id = :session_id AND expires_at > :now RETURNING id",
            session_id=session.id,
            expires_at=expires_at,
            now=now,
        )
        await note_stale(self._session, cookie_scope(token_hash))
        return rows.one_or_none() is not None

    async def exchange(
        self, old_hash: bytes, new_hash: bytes, expires_at: datetime, now: datetime
    ) -> Session | None:
        """Replace a refresh token; None unless it is the current one of a session."""
        rows = await self._run(
            "UPDATE sessions SET token_hash = :new_hash, last_used_at = :now, expires_at = :expires_at"
            " WHERE token_hash = :old_hash AND kind = 'bearer' AND expires_at > :now"
            " RETURNING id, user_id, tenant_id, is_remembered, last_used_at, expires_at",
            old_hash=old_hash,
            new_hash=new_hash,
            expires_at=expires_at,
            now=now,
        )
        return _to_session(rows.one_or_none())

    async def end_reused(self, family_hash: bytes, token_hash: bytes) -> int | None:
        """End the session of the family whose refresh token is another by now; answers its user."""
        rows = await self._run(
            "DELETE FROM sessions WHERE family_hash = :family_hash AND token_hash <> :token_hash"
            " RETURNING id, user_id, kind, token_hash",
            family_hash=family_hash,
            token_hash=token_hash,
        )
        row = rows.one_or_none()
        if row is None:
            return None
        await self._note_ended([row])
        user_id: int = row.user_id
        return user_id

    async def end(self, user_id: int, session_id: int) -> bool:
        """Whether the user had such a session."""
        rows = await self._run(
            "DELETE FROM sessions WHERE user_id = :user_id AND id = :session_id RETURNING id, kind, token_hash",
            user_id=user_id,
            session_id=session_id,
        )
        ended = rows.all()
        await self._note_ended(ended)
        return bool(ended)

    async def end_all(self, user_id: int, *, keep: int | None) -> None:
        rows = await self._run(
            "DELETE FROM sessions WHERE user_id = :user_id AND id IS DISTINCT FROM CAST(:keep AS bigint)"
            " RETURNING id, kind, token_hash",
            user_id=user_id,
            keep=keep,
        )
        await self._note_ended(rows.all())

    async def delete_expired(self, now: datetime) -> None:
        await self._run("DELETE FROM sessions WHERE expires_at <= :now", now=now)

    async def _note_ended(self, rows: Iterable[Row[Any]]) -> None:  # Any: columns of sessions
        scopes = [
            cookie_scope(bytes(row.token_hash))
            if row.kind == SessionKind.COOKIE
            else bearer_scope(row.id)
            for row in rows
        ]
        await note_stale(self._session, *scopes)

    async def _run(self, statement: str, **parameters: object) -> CursorResult[Any]:  # Any: rows
        result = await self._session.execute(text(statement), parameters)
        assert isinstance(result, CursorResult)  # noqa: S101 - what text() gives
        return result


def _to_session(row: Row[Any] | None) -> Session | None:  # Any: columns of _SESSION
    if row is None:
        return None
    return Session(
        id=row.id,
        user_id=row.user_id,
        tenant_id=row.tenant_id,
        is_remembered=row.is_remembered,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
    )
