from motovaultpro.core.clock import Clock
from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.events import Event, publish
from motovaultpro.core.security.actor import Actor
from motovaultpro.core.security.passwords import Passwords, check_password_policy
from motovaultpro.features.accounts import facade as accounts
from motovaultpro.features.accounts.contracts import Account
from motovaultpro.features.links import facade as links
from motovaultpro.features.links.contracts import Purpose
from motovaultpro.features.sessions import facade as sessions


class PasswordService:
    """Choosing passwords. Argon2 runs between transactions, not inside one."""

    def __init__(self, database: Database, passwords: Passwords, clock: Clock) -> None:
        self._database = database
        self._passwords = passwords
        self._clock = clock

    async def change(self, actor: Actor, current: str, password: str) -> None:
        """Ends the user's other sessions. Raises `InvalidError`."""
        account = await accounts.confirm_password(
            self._database, self._passwords, actor.user_id, current
        )
        check_password_policy(password, account.name or "")
        password_hash = await self._passwords.hash_password(password)
        async with self._database.system_session() as session:
            await self._store(session, account, password_hash, keep=actor.session_id)

    async def announce_reset(self, name_or_email: str) -> None:
        """Publish that somebody forgot their password; whoever can send mail makes the link."""
        async with self._database.system_session() as session:
            for account in await accounts.reachable_as(session, name_or_email):
                if not account.is_disabled:
                    await _publish(session, account, "user.password_reset_requested")

    async def reset(self, token: str, password: str) -> None:
        """Ends all sessions of the link's user. Raises `LinkError` and `InvalidError`."""
        async with self._database.system_session() as session:
            user_id = await links.check(session, Purpose.RESET, token, now=self._clock())
            account = None if user_id is None else await accounts.account(session, user_id)
        assert account is not None  # noqa: S101 - the link goes with its user
        check_password_policy(password, account.name or "")
        password_hash = await self._passwords.hash_password(password)
        async with self._database.system_session() as session:
            await links.take(session, Purpose.RESET, token, now=self._clock())
            await self._store(session, account, password_hash, keep=None)

    async def _store(
        self, session: AsyncSession, account: Account, password_hash: str, *, keep: int | None
    ) -> None:
        await accounts.set_password(session, account.user_id, password_hash)
        await links.revoke(session, Purpose.RESET, user_id=account.user_id)
        await sessions.end_all(session, account.user_id, keep=keep)
        await _publish(session, account, "user.password_changed")


async def _publish(session: AsyncSession, account: Account, event_type: str) -> None:
    for tenant_id in list(account.roles)[:1]:  # the garage the user belongs to longest, if any
        event = Event(
            type=event_type,
            tenant_id=tenant_id,
            user_id=account.user_id,
            record_id=account.user_id,
        )
        await publish(session, event)
