import asyncio
import dataclasses
import hashlib
import threading
import time
from collections.abc import Awaitable, Callable

import pytest
from argon2.profiles import CHEAPEST, RFC_9106_LOW_MEMORY
from hypothesis import given
from hypothesis import strategies as st

from motovaultpro.core.errors import InvalidError
from motovaultpro.core.security.passwords import (
    HASHES_AT_ONCE,
    Passwords,
    Verdict,
    check_password_policy,
)

RIGHT = Verdict(ok=True, needs_rehash=False)
OUTDATED = Verdict(ok=True, needs_rehash=True)
WRONG = Verdict(ok=False, needs_rehash=False)


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords(CHEAPEST)


def lubelogger(password: str) -> str:
    return "lubelogger-sha256$" + hashlib.sha256(password.encode()).hexdigest()


@pytest.mark.parametrize("password", ["correct horse", "a:b", "pässwörd", "", "x" * 1000, "\ud800"])
async def test_verifies_what_it_hashed(passwords: Passwords, password: str) -> None:
    stored = await passwords.hash_password(password)

    assert stored.startswith("$argon2id$v=19$")
    assert await passwords.verify_password(password, stored) == RIGHT
    assert await passwords.verify_password(password + " ", stored) == WRONG


async def test_the_same_password_is_never_hashed_alike(passwords: Passwords) -> None:
    assert await passwords.hash_password("x") != await passwords.hash_password("x")


async def test_letters_may_be_composed_differently(passwords: Passwords) -> None:
    stored = await passwords.hash_password("caf\u00e9")

    assert await passwords.verify_password("cafe\u0301", stored) == RIGHT


async def test_a_password_of_lubelogger_works_and_asks_for_a_rehash(passwords: Passwords) -> None:
    stored = lubelogger("Ünsalted: 1")

    assert await passwords.verify_password("Ünsalted: 1", stored) == OUTDATED
    assert await passwords.verify_password("ünsalted: 1", stored) == WRONG


async def test_a_hash_with_other_parameters_asks_for_a_rehash(passwords: Passwords) -> None:
    stored = await passwords.hash_password("correct horse")
    stronger = Passwords(RFC_9106_LOW_MEMORY)

    assert await stronger.verify_password("correct horse", stored) == OUTDATED
    assert await stronger.verify_password("wrong", stored) == WRONG


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "x",
        "$argon2id$",
        "$argon2zz$",
        "$argon2id$v=19$m=8,t=1,p=1$!$!",
        "lubelogger-sha256$",
        "é",
    ],
)
async def test_an_unreadable_stored_password_verifies_nothing(
    passwords: Passwords, stored: str
) -> None:
    assert await passwords.verify_password("", stored) == WRONG


async def test_an_upper_case_or_cut_hash_of_lubelogger_verifies_nothing(
    passwords: Passwords,
) -> None:
    stored = lubelogger("secret")

    assert await passwords.verify_password("secret", stored[:-1]) == WRONG
    assert await passwords.verify_password("secret", stored.upper()) == WRONG


async def test_a_refusal_costs_the_same_whoever_is_asked_for() -> None:
    passwords = Passwords(dataclasses.replace(CHEAPEST, memory_cost=4096, time_cost=5))
    stored = await passwords.hash_password("right")

    async def cost(refuse: Callable[[], Awaitable[object]]) -> float:
        costs = []
        for _ in range(5):
            started = time.process_time()
            await refuse()
            costs.append(time.process_time() - started)
        return min(costs)

    wrong = await cost(lambda: passwords.verify_password("wrong", stored))
    for refuse in (
        lambda: passwords.verify_nothing("wrong"),
        lambda: passwords.verify_password("wrong", lubelogger("right")),
        lambda: passwords.verify_password("wrong", ""),
    ):
        assert 0.5 < await cost(refuse) / wrong < 2


async def test_few_hashes_are_computed_at_once() -> None:
    passwords = Passwords(CHEAPEST)
    before = set(threading.enumerate())

    await asyncio.gather(*(passwords.hash_password(str(number)) for number in range(50)))

    assert 1 <= len(set(threading.enumerate()) - before) <= HASHES_AT_ONCE


@given(st.text(min_size=8, max_size=255))
def test_the_policy_asks_for_no_composition(password: str) -> None:
    check_password_policy(password + "é", "ada")


@pytest.mark.parametrize(
    ("password", "user_name"),
    [
        ("", "ada"),
        ("1234567", "ada"),
        ("x" * 257, "ada"),
        ("Ada.Lovelace", "ada.lovelace"),
        ("password", "ada"),
        ("PassWord123", "ada"),
        ("12345678", "ada"),
    ],
)
def test_the_policy_refuses_short_long_and_known_ones(password: str, user_name: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        check_password_policy(password, user_name)

    assert [error.field for error in refusal.value.fields] == ["password"]


def test_the_policy_accepts_the_bounds() -> None:
    check_password_policy("abcdefgh", "ada")
    check_password_policy("x" * 256, "ada")
