"""One-time links for the capsules above. Every function takes a tenant's session or a system session."""

from datetime import datetime, timedelta

from motovaultpro.core.database import AsyncSession, system_door
from motovaultpro.core.security.opaque import new_token, token_hash
from motovaultpro.features.links.contracts import Link, Purpose
from motovaultpro.features.links.errors import LinkError
from motovaultpro.features.links.repository import LinkRepository

_PAGES = {Purpose.SETUP: "/setup", Purpose.RESET: "/reset-password"}


async def create(
    session: AsyncSession,
    purpose: Purpose,
    *,
    user_id: int | None = None,
    now: datetime,
    lifetime: timedelta,
) -> Link:
    """A link; earlier ones of the same user and purpose stop working."""
    token = new_token("mvl")
    expires_at = now + lifetime
    async with system_door(session):
        await LinkRepository(session).replace(purpose, user_id, token_hash(token), expires_at)
    return Link(f"{_PAGES[purpose]}?token={token}", expires_at)


async def revoke(session: AsyncSession, purpose: Purpose, *, user_id: int) -> None:
    """End the user's links of this purpose."""
    async with system_door(session):
        await LinkRepository(session).delete(purpose, user_id)


async def check(
    session: AsyncSession, purpose: Purpose, token: str, *, now: datetime
) -> int | None:
    """The user a token is for, which stays usable. Raises `LinkError`."""
    async with system_door(session):
        return _holder(await LinkRepository(session).find(purpose, token_hash(token), now))


async def take(session: AsyncSession, purpose: Purpose, token: str, *, now: datetime) -> int | None:
    """Use the token up; answers the user it is for. Raises `LinkError`."""
    async with system_door(session):
        return _holder(await LinkRepository(session).take(purpose, token_hash(token), now))


def _holder(found: tuple[int | None] | None) -> int | None:
    if found is None:
        raise LinkError
    return found[0]
