from datetime import datetime

from sqlalchemy import text

from motovaultpro.core.database import AsyncSession
from motovaultpro.core.security.jwt import SigningKey


class SigningKeyRepository:
    """Needs a system session: keys belong to no tenant."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self) -> None:
        """One rotation at a time; readers go on."""
        await self._session.execute(text("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"))

    async def all(self) -> list[SigningKey]:
        rows = await self._session.execute(
            text("SELECT kid, sealed, created_at, retires_at FROM signing_keys")
        )
        return [
            SigningKey(row.kid, bytes(row.sealed), row.created_at, row.retires_at) for row in rows
        ]

    async def add(self, key: SigningKey) -> None:
        await self._session.execute(
            text(
                "INSERT INTO signing_keys (kid, sealed, created_at, retires_at)"
                " VALUES (:kid, :sealed, :created_at, :retires_at)"
            ),
            {
                "kid": key.kid,
                "sealed": key.sealed,
                "created_at": key.created_at,
                "retires_at": key.retires_at,
            },
        )

    async def delete_retired(self, now: datetime) -> None:
        await self._session.execute(
            text("DELETE FROM signing_keys WHERE retires_at <= :now"), {"now": now}
        )
