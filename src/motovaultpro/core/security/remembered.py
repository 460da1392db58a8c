"""Credentials verified a moment ago, so that Argon2 does not run for every HTTP Basic request.

In process memory only, under a keyed hash whose key dies with the process: a memory dump of the
cache alone gives no password to guess against, and nothing is ever written anywhere.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from datetime import timedelta

from cachetools import TTLCache

KEY_BYTES = 64
ENTRIES = 10_000


class RememberedCredentials:
    """Maps verified credentials to the user they belong to. For one event loop; not thread-safe.

    Give the stored password hash as one of the parts: a password changed by another replica, or
    while this one was verifying the old password, then misses here at once. `forget` frees what a
    change in this process left behind, and serves credentials without a stored part.
    """

    def __init__(
        self,
        lifetime: timedelta = timedelta(minutes=5),
        *,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = secrets.token_bytes(KEY_BYTES)
        self._users: TTLCache[bytes, int] = TTLCache(ENTRIES, lifetime.total_seconds(), timer)

    def remember(self, user_id: int, kind: str, *parts: str) -> None:
        """Call only after the credentials were verified."""
        self._users[self._digest(kind, *parts)] = user_id

    def recall(self, kind: str, *parts: str) -> int | None:
        """The id of the user these exact credentials were verified for."""
        return self._users.get(self._digest(kind, *parts))

    def forget(self, user_id: int) -> None:
        # A scan (about 1 ms when full) is rare and cannot get out of step as an index could.
        for digest in [digest for digest, user in self._users.items() if user == user_id]:
            del self._users[digest]

    def _digest(self, *parts: str) -> bytes:
        digest = hashlib.blake2b(key=self._key, digest_size=32)
        for part in parts:
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8))  # else ("a", "bc") would equal ("ab", "c")
            digest.update(encoded)
        return digest.digest()
