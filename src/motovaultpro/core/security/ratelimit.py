"""Rate limits shared by all replicas through Valkey, by each replica alone while it is away."""

import asyncio
import hashlib
import json
import math
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import structlog
from cachetools import LRUCache
from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string
from pydantic import SecretStr
from valkey.exceptions import ValkeyClusterException, ValkeyError

from motovaultpro.core.errors import TooManyRequestsError

TIMEOUTS = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}
ATTEMPT_TIMEOUT_SECONDS = 1.0
"""Over all nodes: sentinels are asked in turn, a cluster client tries again."""
PAUSE_SECONDS = 5.0
LOCAL_WINDOWS = 10_000
DEFAULT_SERVICE = "mymaster"

# ValkeyClusterException is no ValkeyError; OSError includes TimeoutError.
OUTAGES = (ValkeyError, ValkeyClusterException, OSError)

log = structlog.get_logger()


def network(address: str) -> str:
    """Whose hits those from an address are: a subscriber has 2^64 addresses of IPv6."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return address


class RateLimiter:
    """Moving windows: at most so many hits in any period, not per calendar minute.

    After a failure Valkey is left alone for five seconds, then one single hit tries it again: an
    outage costs one caller half a second now and then, not each of them. Meanwhile, and without
    a `cache_url`, hits are counted in this process.
    """

    def __init__(
        self, cache_url: SecretStr | None, *, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._timer = timer
        self._local = _LocalWindows(timer)
        self._storage = None if cache_url is None else _storage(cache_url.get_secret_value())
        self._shared = None if self._storage is None else MovingWindowRateLimiter(self._storage)
        self._paused_until = -math.inf
        self._degraded = False

    async def hit(self, rate: str, *identifiers: str) -> None:
        """Count one hit. Raises `TooManyRequestsError`; a refused hit does not count.

        `rate` is like `10/minute`; `identifiers` say whose hits (address, user name), and are
        stored hashed only.
        """
        limit = _parse(rate)
        key = _key(identifiers)
        wait = await self._hit_shared(limit, key)
        if wait is None:
            wait = self._local.hit(limit, key)
        if wait > 0:
            retry_after = max(1, math.ceil(wait))
            raise TooManyRequestsError(
                f"Too many attempts. Try again in {retry_after} s.", retry_after=retry_after
            )

    async def close(self) -> None:
        if self._storage is not None:
            # Any: limits neither closes its clients nor types them.
            bridge = cast(Any, self._storage.bridge)
            sentinels = getattr(bridge, "sentinel", None)
            for client in (bridge.storage, *(sentinels.sentinels if sentinels else ())):
                await client.aclose()

    async def _hit_shared(self, limit: RateLimitItem, key: str) -> float | None:
        """Seconds to wait, 0 if the hit counts; `None` if Valkey does not say."""
        if self._shared is None or self._timer() < self._paused_until:
            return None
        if self._degraded:  # the callers that come while this one tries stay away
            self._paused_until = self._timer() + PAUSE_SECONDS
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT_SECONDS):
                wait = await _hit(self._shared, limit, key)
        except OUTAGES as error:
            self._paused_until = self._timer() + PAUSE_SECONDS
            if not self._degraded:
                log.warning("rate_limits_local", error=type(error).__name__)
            self._degraded = True
            return None
        if self._degraded:
            log.info("rate_limits_shared_again")
        self._degraded = False
        self._paused_until = -math.inf
        return wait


class _LocalWindows:
    """Moving windows in memory, bounded; the least recently used is dropped.

    Why not the library's: its `MemoryStorage` sweeps all windows through a thread on every hit
    (measured: 0.2 s of CPU per hit with 3,000 windows), and is unbounded.
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._hits: LRUCache[str, deque[float]] = LRUCache(LOCAL_WINDOWS)

    def hit(self, limit: RateLimitItem, key: str) -> float:
        """Seconds to wait, 0 if the hit counts."""
        now = self._timer()
        hits = self._hits.setdefault(limit.key_for(key), deque(maxlen=limit.amount))
        if len(hits) == limit.amount and (wait := hits[0] + limit.get_expiry() - now) > 0:
            return wait
        hits.append(now)
        return 0


async def _hit(limiter: MovingWindowRateLimiter, limit: RateLimitItem, key: str) -> float:
    if await limiter.hit(limit, key):
        return 0
    stats = await limiter.get_window_stats(limit, key)
    return max(stats.reset_time - time.time(), 1)  # limits stamps hits with time.time()


@lru_cache
def _parse(rate: str) -> RateLimitItem:
    return parse(rate)


def _key(identifiers: tuple[str, ...]) -> str:
    """Hash-tagged, so that a cluster keeps all keys of one window on one node."""
    digest = hashlib.sha256(json.dumps(identifiers).encode()).hexdigest()
    return f"{{{digest}}}"


def _storage(url: str) -> RedisStorage:
    parts = urlsplit(url)
    options: dict[str, Any] = dict(TIMEOUTS)  # Any: limits declares flat options, takes nested ones
    if "+" in parts.scheme:
        # limits hands the user name and password of these addresses on still percent-encoded.
        options |= {
            name: unquote(value)
            for name in ("username", "password")
            if (value := getattr(parts, name))
        }
    if "+sentinel" in parts.scheme:
        # As core.valkey reads such an address: the credentials are the server's, not the sentinels'.
        # Without the timeouts here the sentinels would get none.
        options |= {
            "service_name": DEFAULT_SERVICE,
            "sentinel_kwargs": {**TIMEOUTS, "username": None, "password": None},
        }
    storage = storage_from_string(f"async+{url}", key_prefix="motovault:rate", **options)
    return cast(RedisStorage, storage)
