import secrets
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from cachetools import LRUCache

from motovaultpro.core.cache import Cache
from motovaultpro.core.cached import Cached
from motovaultpro.core.clock import Clock
from motovaultpro.core.database import Database
from motovaultpro.core.errors import UnauthorizedError
from motovaultpro.core.security.opaque import TOKEN_BYTES, new_token, token_hash
from motovaultpro.core.settings import SecuritySettings
from motovaultpro.features.sessions.contracts import BearerSession, Client, Session, SessionKind
from motovaultpro.features.sessions.repository import (
    SessionRepository,
    bearer_scope,
    cookie_scope,
)

log = structlog.get_logger()

NOTED_EVERY = timedelta(minutes=1)
"""How exact `last_used_at` and the idle time are: a use is written this often."""
_NOTED = 10_000


class Sessions:
    """Sessions by their credentials. The truth is in PostgreSQL, copies are in the cache; one instance serves the process."""

    def __init__(
        self, settings: SecuritySettings, database: Database, cache: Cache, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._known = Cached(cache, Session, name="session")
        self._noted: LRUCache[int, datetime] = LRUCache(_NOTED)

    async def start_cookie(
        self, user_id: int, tenant_id: UUID, client: Client, *, is_remembered: bool
    ) -> str:
        """The value of the cookie."""
        token = new_token("mvs")
        lifetime = self._idle_time(is_remembered=is_remembered)
        await self._start(
            SessionKind.COOKIE, user_id, tenant_id, token, client, lifetime, is_remembered
        )
        return token

    async def start_bearer(self, user_id: int, tenant_id: UUID, client: Client) -> BearerSession:
        family = new_token("mvr")
        token = _successor(family)
        lifetime = self._settings.refresh_token_lifetime
        session_id = await self._start(
            SessionKind.BEARER,
            user_id,
            tenant_id,
            token,
            client,
            lifetime,
            is_remembered=True,
            family_hash=token_hash(family),
        )
        return BearerSession(session_id, user_id, tenant_id, token)

    async def refresh(self, refresh_token: str) -> BearerSession:
        """The session with a new refresh token.

        Each is good for one exchange: when one comes a second time, however many came after it, somebody has stolen it or
        a successor, and the session ends. Raises `UnauthorizedError`.
        """
        family = refresh_token.partition(".")[0]
        old_hash, token, now = token_hash(refresh_token), _successor(family), self._clock()
        expires_at = now + self._settings.refresh_token_lifetime
        async with self._database.system_session() as session:
            sessions = SessionRepository(session)
            found = await sessions.exchange(old_hash, token_hash(token), expires_at, now)
            victim = None if found else await sessions.end_reused(token_hash(family), old_hash)
        if victim is not None:
            log.warning("refresh_token_reused", user_id=victim)
        if found is None:
            raise UnauthorizedError("The refresh token is not valid. Sign in again.")
        return BearerSession(found.id, found.user_id, found.tenant_id, token)

    async def by_cookie(self, token: str) -> Session:
        """The session, whose idle time starts anew. Raises `UnauthorizedError`."""
        digest, now = token_hash(token), self._clock()

        async def load() -> Session | None:
            async with self._database.system_session() as session:
                return await SessionRepository(session).by_cookie(digest, now)

        found = await self._known.get(cookie_scope(digest), load)
        if found is None or found.expires_at <= now:
            raise _ended()
        if now - self._noted.get(found.id, found.last_used_at) >= NOTED_EVERY:
            await self._note_use(found, digest, now)
        return found

    async def bearer(self, session_id: int) -> Session:
        """The session an access token names. Raises `UnauthorizedError`."""

        async def load() -> Session | None:
            async with self._database.system_session() as session:
                return await SessionRepository(session).bearer(session_id, self._clock())

        # Its end need not be looked at: what asks for it, the access token, lives for minutes.
        found = await self._known.get(bearer_scope(session_id), load)
        if found is None:
            raise _ended()
        return found

    async def _start(
        self,
        kind: SessionKind,
        user_id: int,
        tenant_id: UUID,
        token: str,
        client: Client,
        lifetime: timedelta,
        is_remembered: bool,
        family_hash: bytes | None = None,
    ) -> int:
        now = self._clock()
        async with self._database.system_session() as session:
            return await SessionRepository(session).add(
                kind,
                user_id=user_id,
                tenant_id=tenant_id,
                token_hash=token_hash(token),
                family_hash=family_hash,
                is_remembered=is_remembered,
                client=client,
                now=now,
                expires_at=now + lifetime,
            )

    async def _note_use(self, found: Session, digest: bytes, now: datetime) -> None:
        self._noted[found.id] = now  # before waiting: requests come in bunches
        expires_at = now + self._idle_time(is_remembered=found.is_remembered)
        async with self._database.system_session() as session:
            is_alive = await SessionRepository(session).extend(found, digest, expires_at, now)
        if not is_alive:
            raise _ended()

    def _idle_time(self, *, is_remembered: bool) -> timedelta:
        return self._settings.session_remember if is_remembered else self._settings.session_idle


def _successor(family: str) -> str:
    """A refresh token: the part that all of a session share, secret as well, and one of its own."""
    return f"{family}.{secrets.token_urlsafe(TOKEN_BYTES)}"


def _ended() -> UnauthorizedError:
    return UnauthorizedError("Your session has ended. Sign in again.")
