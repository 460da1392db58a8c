import asyncio
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from cachetools import LRUCache

from motovaultpro.core.cached import Cached
from motovaultpro.core.errors import TooManyRequestsError, UnauthorizedError
from motovaultpro.core.observability.metrics import LOGINS
from motovaultpro.core.resources import Resources
from motovaultpro.core.security.actor import ALL_SCOPES, Actor, Method
from motovaultpro.core.security.opaque import token_hash
from motovaultpro.core.security.passwords import Passwords
from motovaultpro.core.security.ratelimit import RateLimiter, network
from motovaultpro.core.security.remembered import RememberedCredentials
from motovaultpro.features.access_tokens.facade import AccessTokens
from motovaultpro.features.accounts import facade as accounts
from motovaultpro.features.accounts.contracts import Account, user_scope
from motovaultpro.features.api_keys import facade as api_keys
from motovaultpro.features.api_keys.contracts import ApiKeyGrant, key_scope
from motovaultpro.features.sessions.contracts import BearerSession, Client
from motovaultpro.features.sessions.facade import Sessions
from motovaultpro.features.sign_in.contracts import KnownUser, Tokens
from motovaultpro.features.sign_in.errors import WrongLoginError

log = structlog.get_logger()

KEY_USE_NOTED_EVERY = timedelta(hours=1)
_REMEMBERED = 10_000
_PASSWORD = "password"  # noqa: S105 - a kind of credentials


class SignIn:
    """Who sends a request: by session, token, key or password. One instance serves the process."""

    def __init__(self, resources: Resources, limiter: RateLimiter, passwords: Passwords) -> None:
        settings, database, clock = resources.settings, resources.database, resources.clock
        cache = resources.cache
        self.sessions = Sessions(settings.security, database, cache, clock)
        self.tokens = AccessTokens(settings, database, clock)
        self._settings = settings.security
        self._database = database
        self._limiter = limiter
        self._passwords = passwords
        self._clock = clock
        self._users = Cached(cache, KnownUser, name="user")
        self._keys = Cached(cache, ApiKeyGrant, name="key")
        self._remembered = RememberedCredentials()
        self._user_ids: LRUCache[str, int] = LRUCache(_REMEMBERED)
        self._checks: dict[tuple[str, str], asyncio.Task[KnownUser]] = {}
        self._noted_keys: LRUCache[int, datetime] = LRUCache(_REMEMBERED)

    async def by_cookie(self, token: str) -> Actor:
        session = await self.sessions.by_cookie(token)
        return await self._actor(session.user_id, session.tenant_id, "session", session.id)

    async def by_access_token(self, token: str) -> Actor:
        claims = await self.tokens.verify(token)
        session = await self.sessions.bearer(claims.session_id)
        return await self._actor(session.user_id, session.tenant_id, "bearer", session.id)

    async def by_api_key(self, key: str) -> Actor:
        key_hash = token_hash(key)
        grant = await self._keys.get(
            key_scope(key_hash), lambda: api_keys.grant(self._database, key_hash)
        )
        now = self._clock()
        if grant is None or (grant.expires_at is not None and grant.expires_at <= now):
            raise UnauthorizedError("The API key is not valid.")
        user = await self.known_user(grant.user_id)
        role = None if user is None else user.roles.get(grant.tenant_id)
        if role is None:
            raise UnauthorizedError("The API key is not valid.")
        last_used_at = self._noted_keys.get(grant.id, grant.last_used_at)
        if last_used_at is None or now - last_used_at >= KEY_USE_NOTED_EVERY:
            self._noted_keys[grant.id] = now
            await api_keys.note_use(self._database, grant.id, now)
        return Actor(
            grant.user_id, grant.tenant_id, role, grant.scopes, "api_key", None, grant.name
        )

    async def by_login(self, name: str, password: str, address: str) -> Actor:
        user = await self.check_login(name, password, address=address, method="basic")
        return await self._actor(user.user_id, user.home, "basic", None)

    async def known_user(self, user_id: int) -> KnownUser | None:
        """None = gone, disabled, or in no garage."""

        async def load() -> KnownUser | None:
            async with self._database.system_session() as session:
                account = await accounts.account(session, user_id)
            if account is None or account.is_disabled or not account.roles:
                return None
            return KnownUser(user_id, account.name or "", account.roles, self._mark(account))

        return await self._users.get(user_scope(user_id), load)

    async def check_login(
        self, name: str, password: str, *, address: str, method: str
    ) -> KnownUser:
        """The user with this name and password. Raises `WrongLoginError` and `TooManyRequestsError`.

        What was right a moment ago costs neither Argon2 nor an attempt; the same attempts at the same time share one.
        """
        user_id = self._user_ids.get(name)
        if user_id is not None:
            user = await self.known_user(user_id)
            if user is not None and self._recalls(user, name, password):
                return user
        check = self._checks.get((name, password))
        if check is None:
            check = asyncio.create_task(self._counted_check(name, password, address, method))
            self._checks[name, password] = check
            check.add_done_callback(lambda done: self._checked(name, password, done))
        # Why: one client hanging up must not end the check that others wait for.
        return await asyncio.shield(check)

    async def start_tokens(self, user: KnownUser, client: Client) -> Tokens:
        return await self._tokens(
            user, await self.sessions.start_bearer(user.user_id, user.home, client)
        )

    async def refresh(self, refresh_token: str) -> Tokens:
        """Raises `UnauthorizedError`."""
        session = await self.sessions.refresh(refresh_token)
        user = await self.known_user(session.user_id)
        if user is None or session.tenant_id not in user.roles:
            raise UnauthorizedError("The refresh token is not valid. Sign in again.")
        return await self._tokens(user, session)

    def forget(self, user_id: int) -> None:
        """The next Basic login of the user is checked anew."""
        self._remembered.forget(user_id)

    async def _actor(
        self, user_id: int, tenant_id: UUID, method: Method, session_id: int | None
    ) -> Actor:
        user = await self.known_user(user_id)
        role = None if user is None else user.roles.get(tenant_id)
        if user is None or role is None:
            raise UnauthorizedError("Your session has ended. Sign in again.")
        return Actor(user_id, tenant_id, role, ALL_SCOPES, method, session_id, user.name)

    async def _tokens(self, user: KnownUser, session: BearerSession) -> Tokens:
        token = await self.tokens.issue(
            user_id=user.user_id,
            tenant_id=session.tenant_id,
            role=user.roles[session.tenant_id],
            session_id=session.id,
        )
        lifetime = int(self._settings.access_token_lifetime.total_seconds())
        return Tokens(token, session.refresh_token, lifetime)

    async def _counted_check(
        self, name: str, password: str, address: str, method: str
    ) -> KnownUser:
        try:
            await self._limiter.hit(self._settings.sign_in_rate, "sign-in from", network(address))
            user = await self._check(name, password)
        except TooManyRequestsError:
            LOGINS.labels(method, "limited").inc()
            log.warning("sign_in_limited", client=address, method=method)
            raise
        except WrongLoginError:
            LOGINS.labels(method, "failure").inc()
            log.warning("sign_in_failed", client=address, method=method)
            raise
        LOGINS.labels(method, "success").inc()
        log.info("signed_in", user_id=user.user_id, client=address, method=method)
        return user

    async def _check(self, name: str, password: str) -> KnownUser:
        async with self._database.system_session() as session:
            candidates = await accounts.named(session, name)
        await self._count(candidates, name)
        account = await self._verified(candidates, name, password)
        user = None if account is None else await self.known_user(account.user_id)
        if account is None or user is None:
            raise WrongLoginError
        self._user_ids[name] = user.user_id
        # Not if the password was changed while this one was being verified: it would be remembered as the new one.
        if user.password_mark == self._mark(account):
            self._remembered.remember(user.user_id, _PASSWORD, name, password, user.password_mark)
        return user

    async def _count(self, candidates: Sequence[Account], name: str) -> None:
        """By account, not as typed: which letters are the same is PostgreSQL's to say, and not what Python says."""
        rate = self._settings.sign_in_rate
        for account in candidates:
            await self._limiter.hit(rate, "sign-in to", str(account.user_id))
        if not candidates:
            await self._limiter.hit(rate, "sign-in as", name.casefold())

    async def _verified(
        self, candidates: Sequence[Account], name: str, password: str
    ) -> Account | None:
        """Whose password it is, stored in today's form and under a readable name."""
        for account in candidates:
            stored = account.password_hash or ""
            verdict = await self._passwords.verify_password(password, stored)
            if not verdict.ok:
                continue
            if not verdict.needs_rehash and account.name is not None:
                return account
            new_hash = (
                await self._passwords.hash_password(password) if verdict.needs_rehash else stored
            )
            async with self._database.system_session() as session:
                await accounts.rehash_password(session, account.user_id, stored, new_hash)
                await accounts.claim_name(session, account.user_id, name)
                return await accounts.account(session, account.user_id)
        if not candidates:
            await self._passwords.verify_nothing(password)
        return None

    def _recalls(self, user: KnownUser, name: str, password: str) -> bool:
        return user.user_id == self._remembered.recall(
            _PASSWORD, name, password, user.password_mark
        )

    def _checked(self, name: str, password: str, check: "asyncio.Task[KnownUser]") -> None:
        del self._checks[name, password]
        if not check.cancelled():
            check.exception()  # seen, also when everybody who waited has hung up

    def _mark(self, account: Account) -> str:
        # Keyed: copies lie in Valkey, and LubeLogger's password hashes have no salt.
        key = self._settings.secret_key.get_secret_value().encode()
        stored = f"{account.name}\0{account.password_hash}".encode("utf-8", "surrogatepass")
        return hmac.new(key, stored, "sha256").hexdigest()
