from datetime import datetime

from sqlalchemy import text

from motovaultpro.core.database import AsyncSession
from motovaultpro.features.links.contracts import Purpose

_KEY = "purpose = :purpose AND user_id IS NOT DISTINCT FROM CAST(:user_id AS bigint)"
_VALID = "token_hash = :token_hash AND purpose = :purpose AND expires_at > :now"


class LinkRepository:
    """One-time tokens by their hash. They belong to no tenant: needs the system door."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def replace(
        self, purpose: Purpose, user_id: int | None, token_hash: bytes, expires_at: datetime
    ) -> None:
        """Store a token; earlier ones of the same user and purpose stop working."""
        await self.delete(purpose, user_id)
        await self._session.execute(
            text(
                "INSERT INTO one_time_tokens (token_hash, purpose, user_id, expires_at)"
                " VALUES (:token_hash, :purpose, :user_id, :expires_at)"
            ),
            {
                "purpose": purpose,
                "user_id": user_id,
                "token_hash": token_hash,
                "expires_at": expires_at,
            },
        )

    async def delete(self, purpose: Purpose, user_id: int | None) -> None:
        await self._session.execute(
            text(f"DELETE FROM one_time_tokens WHERE {_KEY}"),  # noqa: S608 - a constant
            {"purpose": purpose, "user_id": user_id},
        )

    async def find(
        self, purpose: Purpose, token_hash: bytes, now: datetime
    ) -> tuple[int | None] | None:
        """Whose valid token it is; None if there is none."""
        result = await self._session.execute(
            text(f"SELECT user_id FROM one_time_tokens WHERE {_VALID}"),  # noqa: S608 - a constant
            {"purpose": purpose, "token_hash": token_hash, "now": now},
        )
        row = result.one_or_none()
        return None if row is None else (row.user_id,)

    async def take(
        self, purpose: Purpose, token_hash: bytes, now: datetime
    ) -> tuple[int | None] | None:
        """Delete a valid token and answer whose it was; None if there is none. Of two at once, one gets it."""
        result = await self._session.execute(
            text(f"DELETE FROM one_time_tokens WHERE {_VALID} RETURNING user_id"),  # noqa: S608 - a constant
            {"purpose": purpose, "token_hash": token_hash, "now": now},
        )
        row = result.one_or_none()
        return None if row is None else (row.user_id,)

    async def delete_expired(self, now: datetime) -> None:
        await self._session.execute(
            text("DELETE FROM one_time_tokens WHERE expires_at <= :now"), {"now": now}
        )
