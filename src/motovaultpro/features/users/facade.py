"""Users and their garage for the capsules above, and what an import needs."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from motovaultpro.core.clock import Clock, system_clock
from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.errors import NotFoundError
from motovaultpro.core.security.actor import Actor, Role
from motovaultpro.core.security.passwords import LUBELOGGER_PREFIX
from motovaultpro.features.accounts import facade as accounts
from motovaultpro.features.links import facade as links
from motovaultpro.features.links.contracts import Link, Purpose
from motovaultpro.features.users import service
from motovaultpro.features.users.contracts import Member, Preferences, Units
from motovaultpro.features.users.repository import UserRepository

_ID_DIGITS = 19  # fewer always fit into a bigint


def require_person(actor: Actor) -> None:
    """Raise `ForbiddenError` for an API key: for what decides who can sign in, and as what."""
    service.require_person(actor)


async def role_of(session: AsyncSession, tenant_id: UUID, user_id: int) -> Role | None:
    """None = no member."""
    member = await UserRepository(session, tenant_id).member(user_id)
    return None if member is None else member.role


async def members(session: AsyncSession, tenant_id: UUID) -> tuple[Member, ...]:
    return await UserRepository(session, tenant_id).members()


async def preferences(session: AsyncSession, tenant_id: UUID, user_id: int) -> Preferences:
    """Raises `NotFoundError` for who is no member."""
    found = await UserRepository(session, tenant_id).preferences(user_id)
    if found is None:
        raise NotFoundError("There is no such user in your garage.")
    return found


async def garage_defaults(session: AsyncSession, tenant_id: UUID) -> Units:
    units = await UserRepository(session, tenant_id).units()
    if units is None:
        raise NotFoundError("There is no such garage.")
    return units


async def units_for(session: AsyncSession, tenant_id: UUID, user_id: int) -> Units:
    """What a new vehicle of the user starts with: their preferences, else the garage's."""
    garage = await garage_defaults(session, tenant_id)
    own = await preferences(session, tenant_id, user_id)
    return Units(
        own.currency or garage.currency,
        own.distance_unit or garage.distance_unit,
        own.volume_unit or garage.volume_unit,
    )


async def set_preferences(
    session: AsyncSession, tenant_id: UUID, user_id: int, changes: Mapping[str, object]
) -> None:
    """Merge JSON values under the names of `Preferences`; None takes one back. For imports: checks nothing."""
    await UserRepository(session, tenant_id).merge_preferences(user_id, changes)


async def create_imported_user(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    role: Role,
    name: str | None = None,
    name_sha256: bytes | None = None,
    email: str | None = None,
    password_sha256: str | None = None,
) -> int:
    """A user as LubeLogger had them: with a name or its SHA-256, and the hex SHA-256 of the password or none.

    Raises `NameTakenError` and `EmailTakenError`, which also end the transaction: look first (`accounts.find`).
    """
    return await UserRepository(session, tenant_id).add(
        name=name,
        name_sha256=name_sha256,
        email=email,
        password_hash=f"{LUBELOGGER_PREFIX}{password_sha256.lower()}" if password_sha256 else None,
        role=role,
    )


async def remove_user(session: AsyncSession, tenant_id: UUID, user_id: int) -> None:
    """Roll an imported user back: sessions, keys and shares go along; publishes nothing."""
    await UserRepository(session, tenant_id).remove(user_id)


async def default_tenant(session: AsyncSession) -> UUID:
    """The garage that the installation came with. Needs a system session."""
    return await accounts.first_tenant(session)


async def setup_link(database: Database, clock: Clock = system_clock) -> str | None:
    """The path of a new link with which the first owner is made; None once there is one."""
    link = await service.make_setup_link(database, clock)
    return None if link is None else link.path


async def password_link(
    database: Database, name: str, lifetime: timedelta, clock: Clock = system_clock
) -> Link:
    """For the operator: a link with which the user chooses a new password. Raises `NotFoundError`."""
    async with database.system_session() as session:
        user_id = await accounts.find(session, name=name)
        # An imported owner may have no name yet: LubeLogger kept only its hash. `motovault users list` shows the id.
        if user_id is None and name.isascii() and name.isdigit() and len(name) < _ID_DIGITS:
            account = await accounts.account(session, int(name))
            user_id = None if account is None else account.user_id
        if user_id is None:
            raise NotFoundError(f"There is no user '{name}'.")
        return await links.create(
            session, Purpose.RESET, user_id=user_id, now=clock(), lifetime=lifetime
        )
