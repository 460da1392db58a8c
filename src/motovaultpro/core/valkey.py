"""The Valkey client: single server, Sentinel or Cluster by address, short timeouts, and a breaker.

Valkey is a cache and a rate limiter, never the only copy of anything: every caller goes on without it.
"""

import asyncio
import time
from typing import Any
from urllib.parse import unquote, urlsplit

from valkey.asyncio import Sentinel
from valkey.asyncio import Valkey as Client
from valkey.asyncio.cluster import ValkeyCluster
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import ResponseError, ValkeyClusterException, ValkeyError

# Any: the client types each of its many keyword arguments.
_TIMEOUTS: dict[str, Any] = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}
_CALL_SECONDS = 1.0
"""Over all nodes: sentinels are asked in turn, a cluster client tries again."""
_SENTINEL_PORT = 26379
_FAILURES = 5
_REST_SECONDS = 5.0


class Valkey:
    """Single-key commands over `url`. After five failures in a row, five seconds of failing at once.

    Raises `ValkeyError`, `OSError` or `TimeoutError` only; an open breaker raises Valkey's `ConnectionError`.
    """

    def __init__(self, url: str, *, rest_seconds: float = _REST_SECONDS) -> None:
        self._url = url
        self._client, self._sentinels = _connect(url)
        self._rest_seconds = rest_seconds
        self._failures = 0
        self._rests_until = 0.0

    async def script(
        self, body: str, key: str, *arguments: Any
    ) -> Any:  # Any: what the server answers
        """Run a Lua script that touches `key` alone."""
        return await self._call("eval", body, 1, key, *arguments)

    async def get(self, key: str) -> bytes | None:
        value: bytes | None = await self._call("get", key)
        return value

    async def set(self, key: str, value: bytes, *, seconds: int) -> None:
        await self._call("set", key, value, ex=seconds)

    async def delete(self, key: str) -> None:
        await self._call("delete", key)

    async def ping(self) -> None:
        await self._call("exists", "motovault")

    async def close(self) -> None:
        await self._client.aclose()
        for sentinel in self._sentinels:
            await sentinel.aclose()

    async def _call(self, command: str, *arguments: Any, **options: Any) -> Any:
        if self._failures >= _FAILURES:
            if time.monotonic() < self._rests_until:
                raise ValkeyConnectionError("left alone after repeated failures")
            # Why: one caller tries again, and those beside it stay away meanwhile.
            self._rests_until = time.monotonic() + self._rest_seconds
        client = self._client
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                answer = await getattr(client, command)(*arguments, **options)
        except ResponseError:
            self._failures = 0  # a no is an answer, too
            raise
        except (ValkeyError, OSError):
            self._failed()
            raise
        except ValkeyClusterException as error:
            # No ValkeyError, though it says that no node answers. A client that lost them all finds none again.
            self._failed()
            if client is self._client:
                self._client, _ = _connect(self._url)
                await client.aclose()
            raise ValkeyConnectionError("no node of the cluster answers") from error
        self._failures = 0
        return answer

    def _failed(self) -> None:
        self._failures += 1
        self._rests_until = time.monotonic() + self._rest_seconds


def _connect(url: str) -> tuple[Any, tuple[Client, ...]]:
    """The client and the sentinels it asks. Any: three classes without a common base.

    `valkey://:password@host:port/0`, `valkey+cluster://...`, or
    `valkey+sentinel://:password@host1:port,host2:port/<service>`.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "valkey+cluster":
        return ValkeyCluster.from_url(f"valkey://{rest}", **_TIMEOUTS), ()
    if scheme == "valkey+sentinel":
        parts = urlsplit(f"valkey://{rest}")
        login, _, hosts = parts.netloc.rpartition("@")
        name, _, password = login.partition(":")
        sentinels = [
            (host, int(port or _SENTINEL_PORT))
            for host, _, port in (item.partition(":") for item in hosts.split(","))
        ]
        sentinel = Sentinel(sentinels, **_TIMEOUTS)  # type: ignore[no-untyped-call]  # untyped upstream
        client = sentinel.master_for(
            parts.path.strip("/") or "mymaster",
            username=unquote(name) or None,
            password=unquote(password) or None,
            **_TIMEOUTS,
        )
        return client, tuple(sentinel.sentinels)
    return Client.from_url(url, **_TIMEOUTS), ()
