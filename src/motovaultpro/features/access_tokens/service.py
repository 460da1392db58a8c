import asyncio
import base64
import binascii
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import orjson
import structlog
from cachetools import LRUCache

from motovaultpro.core.clock import Clock
from motovaultpro.core.database import Database
from motovaultpro.core.errors import UnauthorizedError, UnavailableError
from motovaultpro.core.security.actor import Role
from motovaultpro.core.security.jwt import (
    LEEWAY_SECONDS,
    Claims,
    KeyRing,
    SigningKey,
    new_signing_key,
)
from motovaultpro.core.security.opaque import token_hash
from motovaultpro.core.settings import Settings
from motovaultpro.features.access_tokens.repository import SigningKeyRepository

log = structlog.get_logger()

_RELOAD_SECONDS = 60.0
_UNKNOWN_KEY_RELOAD_SECONDS = 0.5
"""Anybody can send a token that names an unknown key: whoever does waits for the next time we may ask."""
_VERIFIED_TOKENS = 10_000
_LEEWAY = timedelta(seconds=LEEWAY_SECONDS)


@dataclass(frozen=True, slots=True)
class _Loaded:
    ring: KeyRing
    key_ids: frozenset[str]
    at: float


class AccessTokens:
    """Issues and verifies bearer tokens with the keys in the database; one instance serves the process.

    Keys are read again every minute, and when a token names one that is not known yet: another replica may have made it
    a moment ago. A verified token is remembered, since the signature costs more than all else of a request.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        *,
        timer: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._timer = timer
        self._pause = pause
        self._loading = asyncio.Lock()
        self._loaded: _Loaded | None = None
        self._verified: LRUCache[bytes, Claims] = LRUCache(_VERIFIED_TOKENS)

    async def issue(self, *, user_id: int, tenant_id: UUID, role: Role, session_id: int) -> str:
        loaded = await self._keys(_RELOAD_SECONDS)
        try:
            return loaded.ring.issue(
                user_id=user_id, tenant_id=tenant_id, role=role, session_id=session_id
            )
        except UnavailableError:  # the first token ever, or the first since the secret key changed
            await add_key_if_needed(self._settings, self._database, self._clock)
            loaded = await self._keys(0)
            return loaded.ring.issue(
                user_id=user_id, tenant_id=tenant_id, role=role, session_id=session_id
            )

    async def verify(self, token: str) -> Claims:
        """What the token says. Raises `UnauthorizedError`."""
        digest = token_hash(token)
        loaded = await self._keys(_RELOAD_SECONDS)
        claims = self._verified.get(digest)
        if claims is None:
            key_id = _key_id(token)
            if key_id is not None and key_id not in loaded.key_ids:
                # Why wait: the key may be as new as the token, made by another replica after we have read the keys.
                await self._pause(max(0.0, loaded.at + _UNKNOWN_KEY_RELOAD_SECONDS - self._timer()))
                loaded = await self._keys(_UNKNOWN_KEY_RELOAD_SECONDS)
            claims = self._verified[digest] = loaded.ring.verify(token)
        elif claims.expires_at + _LEEWAY <= self._clock():
            raise UnauthorizedError("The access token has expired.")
        return claims

    async def public_keys(self) -> bytes:
        """The JSON Web Key Set that verifies our tokens."""
        loaded = await self._keys(_RELOAD_SECONDS)
        return orjson.dumps(loaded.ring.public_jwks())

    async def _keys(self, max_age: float) -> _Loaded:
        loaded = self._loaded
        if loaded is not None and self._timer() - loaded.at < max_age:
            return loaded
        async with self._loading:
            if self._loaded is not loaded:  # who held the lock has just loaded them
                assert self._loaded is not None  # noqa: S101 - it never turns back to None
                return self._loaded
            self._loaded = await self._load()
            if loaded is not None and self._loaded.key_ids != loaded.key_ids:
                self._verified.clear()  # a key that was taken away verifies nothing any more
            return self._loaded

    async def _load(self) -> _Loaded:
        at = self._timer()
        async with self._database.system_session() as session:
            keys = await SigningKeyRepository(session).all()
        ring = _ring(self._settings, self._clock, keys)
        return _Loaded(ring, frozenset(key.kid for key in keys), at)


async def add_key_if_needed(settings: Settings, database: Database, clock: Clock) -> None:
    security = settings.security
    async with database.system_session() as session:
        keys = SigningKeyRepository(session)
        await keys.lock()
        if _ring(settings, clock, await keys.all()).needs_key(security.signing_key_lifetime):
            key = new_signing_key(
                clock,
                security.signing_key_lifetime,
                security.secret_key,
                token_lifetime=security.access_token_lifetime,
            )
            await keys.add(key)
            log.info("signing_key_created", kid=key.kid)


async def delete_retired_keys(database: Database, clock: Clock) -> None:
    async with database.system_session() as session:
        await SigningKeyRepository(session).delete_retired(clock())


def _ring(settings: Settings, clock: Clock, keys: Iterable[SigningKey]) -> KeyRing:
    return KeyRing(
        keys,
        clock,
        secret_key=settings.security.secret_key,
        issuer=settings.server.public_url,
        token_lifetime=settings.security.access_token_lifetime,
    )


def _key_id(token: str) -> str | None:
    """The key that an unverified token names; None for what is no token."""
    head = token.partition(".")[0]
    try:
        header = orjson.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError):
        return None
    kid = header.get("kid") if isinstance(header, dict) else None
    return kid if isinstance(kid, str) else None
