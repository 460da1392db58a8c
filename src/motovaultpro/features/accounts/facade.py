"""Accounts for the capsules above. Every function but `confirm_password` takes a system session."""

from uuid import UUID

from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.errors import FieldError, InvalidError
from motovaultpro.core.security.passwords import Passwords
from motovaultpro.features.accounts.contracts import Account
from motovaultpro.features.accounts.repository import AccountRepository


async def account(session: AsyncSession, user_id: int) -> Account | None:
    return await AccountRepository(session).one(user_id)


async def named(session: AsyncSession, name: str) -> list[Account]:
    """Who may be meant by a name as it was typed; more than one only while an imported name is still hashed."""
    return await AccountRepository(session).named(name)


async def everybody(session: AsyncSession) -> list[Account]:
    return await AccountRepository(session).all()


async def reachable_as(session: AsyncSession, name_or_email: str) -> list[Account]:
    """Who may be meant by somebody that forgot the password."""
    accounts = AccountRepository(session)
    return await accounts.named(name_or_email) or await accounts.with_email(name_or_email)


async def find(
    session: AsyncSession, *, name: str | None = None, name_sha256: bytes | None = None
) -> int | None:
    """The user with the name, or who was imported under its hash."""
    accounts = AccountRepository(session)
    if name_sha256 is not None:
        return await accounts.with_name_hash(name_sha256)
    found = await accounts.named(name) if name else []
    return found[0].user_id if found else None


async def confirm_password(
    database: Database, passwords: Passwords, user_id: int, password: str
) -> Account:
    """The user's account. Raises `InvalidError` unless this is their password.

    Argon2 runs outside a transaction. Limit the attempts: who found a browser signed in may guess here.
    """
    async with database.system_session() as session:
        found = await account(session, user_id)
    stored = "" if found is None else found.password_hash or ""
    verdict = await passwords.verify_password(password, stored)
    if found is None or not verdict.ok:
        raise InvalidError(
            "The current password is wrong.", fields=[FieldError("current_password", "is wrong")]
        )
    return found


async def set_password(session: AsyncSession, user_id: int, password_hash: str) -> None:
    await AccountRepository(session).set_password(user_id, password_hash)


async def rehash_password(
    session: AsyncSession, user_id: int, old_hash: str, new_hash: str
) -> None:
    """Store the same password in another form, unless it was changed in the meantime."""
    await AccountRepository(session).rehash_password(user_id, old_hash, new_hash)


async def claim_name(session: AsyncSession, user_id: int, name: str) -> None:
    """Give an imported user the name whose hash brought them here, unless somebody else has it."""
    await AccountRepository(session).claim_name(user_id, name)


async def first_tenant(session: AsyncSession) -> UUID:
    """The garage that the installation came with."""
    tenant_id = await AccountRepository(session).first_tenant()
    if tenant_id is None:
        raise RuntimeError("the first migration makes a tenant, but there is none")
    return tenant_id
