"""Passwords: policy, Argon2id hashes, and the hashes that came from LubeLogger."""

import asyncio
import hashlib
import hmac
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from motovaultpro.core.errors import FieldError, InvalidError

MIN_LENGTH = 8
MAX_LENGTH = 256
LUBELOGGER_PREFIX = "lubelogger-sha256$"
HASHES_AT_ONCE = 2
"""Each takes 64 MiB for about 0.15 s."""

COMMONEST = frozenset(
    [
        "password",
        "password1",
        "password123",
        "passw0rd",
        "p@ssw0rd",
        "12345678",
        "123456789",
        "1234567890",
        "0123456789",
        "87654321",
        "987654321",
        "11111111",
        "00000000",
        "88888888",
        "12341234",
        "11223344",
        "123123123",
        "qwertyui",
        "qwertyuiop",
        "qwerty123",
        "qwertz123",
        "1q2w3e4r",
        "1q2w3e4r5t",
        "1qaz2wsx",
        "q1w2e3r4",
        "qazwsxedc",
        "asdfghjkl",
        "abcd1234",
        "abc12345",
        "a1234567",
        "iloveyou",
        "sunshine",
        "princess",
        "football",
        "baseball",
        "superman",
        "letmein1",
        "welcome1",
        "changeme",
        "trustno1",
        "michael1",
        "starwars",
        "computer",
        "whatever",
        "internet",
        "dragon12",
        "lubelogger",
        "motovault",
        "motovaultpro",
    ]
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`needs_rehash`: the password is right, but stored in an outdated form; hash and store it."""

    ok: bool
    needs_rehash: bool


WRONG = Verdict(ok=False, needs_rehash=False)


def check_password_policy(password: str, user_name: str) -> None:
    """Raise `InvalidError` on the field `password`. No composition rules (NIST SP 800-63B)."""
    folded = password.casefold()
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        problem = f"Use {MIN_LENGTH} to {MAX_LENGTH} characters."
    elif folded == user_name.casefold():
        problem = "Use something else than the user name."
    elif folded in COMMONEST:
        problem = "This is one of the most common passwords. Use a longer or rarer one."
    else:
        return
    raise InvalidError("The password is not accepted.", fields=[FieldError("password", problem)])


class Passwords:
    """Hashes and verifies in threads of its own, which bound the memory that Argon2 takes.

    The threads are the bound, not a semaphore: a request that is cancelled cannot free its place
    while its thread still computes. Stored forms: an Argon2 PHC string, or
    `lubelogger-sha256$<hex>`, an imported unsalted SHA-256. One instance serves the process.
    """

    def __init__(self, parameters: Parameters = RFC_9106_LOW_MEMORY) -> None:
        self._argon2 = PasswordHasher.from_parameters(parameters)
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="argon2")

    async def hash_password(self, password: str) -> str:
        return await self._in_thread(lambda: self._argon2.hash(_normalized(password)))

    async def verify_password(self, password: str, stored: str) -> Verdict:
        """An empty or unknown `stored` verifies nothing, and costs as much as a wrong password."""
        if stored.startswith("$argon2"):
            return await self._in_thread(lambda: self._verify_argon2(password, stored))
        if _matches_lubelogger(password, stored):
            return Verdict(ok=True, needs_rehash=True)
        await self.verify_nothing(password)
        return WRONG

    async def verify_nothing(self, password: str) -> None:
        """Take as long as a verification, so that the time does not tell which users exist."""
        await self.hash_password(password)

    def _verify_argon2(self, password: str, stored: str) -> Verdict:
        try:
            self._argon2.verify(stored, _normalized(password))
        except (VerificationError, InvalidHashError):
            return WRONG
        return Verdict(ok=True, needs_rehash=self._argon2.check_needs_rehash(stored))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _normalized(password: str) -> bytes:
    """NFC, as RFC 8265 asks: keyboards differ in how they compose an accented letter."""
    # surrogatepass: a lone surrogate in a JSON body must be a wrong password, not an error.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _matches_lubelogger(password: str, stored: str) -> bool:
    # Not normalized: LubeLogger hashed what was typed.
    digest = hashlib.sha256(password.encode("utf-8", "surrogatepass")).hexdigest()
    return hmac.compare_digest((LUBELOGGER_PREFIX + digest).encode(), stored.encode())
