import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from motovaultpro.core.observability.metrics import LOGINS
from motovaultpro.core.security.passwords import Passwords
from motovaultpro.core.settings import Settings
from tests.factories.garages import Garage, make_garage
from tests.factories.logins import PASSWORD, add_user, basic, log_in, replica, visitor

LOGIN = "/api/auth/login"


@pytest.fixture
async def strict_app(settings: Settings) -> AsyncIterator[FastAPI]:
    """An application that lets three attempts pass in an hour."""
    security = settings.security.model_copy(update={"sign_in_rate": "3/hour"})
    async with replica(settings.model_copy(update={"security": security})) as app:
        yield app


@pytest.fixture
async def strict_garage(strict_app: FastAPI) -> AsyncIterator[Garage]:
    async with make_garage(strict_app) as garage:
        yield garage


def an_address() -> str:
    return f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"


async def attempt(client: httpx.AsyncClient, name: str, password: str = "wrong") -> int:
    answer = await client.post(LOGIN, json={"name": name, "password": password})
    return answer.status_code


async def test_attempts_are_limited_by_address(strict_app: FastAPI) -> None:
    limited = LOGINS.labels("password", "limited")._value.get()
    async with visitor(strict_app, an_address()) as client:
        codes = [await attempt(client, f"{uuid4()}") for _ in range(4)]

        answer = await client.post(LOGIN, json={"name": "x", "password": "y"})

    assert codes == [401, 401, 401, 429]
    assert answer.json()["code"] == "too_many_requests"
    assert int(answer.headers["retry-after"]) > 0
    assert LOGINS.labels("password", "limited")._value.get() == limited + 2


async def test_all_addresses_of_an_ipv6_subscriber_count_as_one(strict_app: FastAPI) -> None:
    network = an_address().removesuffix("1")
    codes = []
    for host in range(1, 5):
        async with visitor(strict_app, f"{network}{host}") as client:
            codes.append(await attempt(client, f"{uuid4()}"))

    assert codes == [401, 401, 401, 429]


async def test_spellings_that_mean_the_same_account_count_as_one(strict_garage: Garage) -> None:
    name = f"igor-i-{uuid4().hex[:8]}"
    await add_user(strict_garage, name=name)
    codes = []
    # PostgreSQL takes the dotted capital for an i, as Python does not.
    for variant in (name, name.replace("ig", "\u0130g"), name.replace("-i", "-\u0130"), name):
        async with visitor(strict_garage.app, an_address()) as client:
            codes.append(await attempt(client, variant))

    assert codes == [401, 401, 401, 429]


async def test_attempts_are_limited_by_name_in_any_case_and_by_any_method(
    strict_garage: Garage,
) -> None:
    app = strict_garage.app
    _, name = await add_user(strict_garage)
    codes = []
    for variant in (name, name.upper(), name):
        async with visitor(app, an_address()) as client:
            codes.append(await attempt(client, variant))
    async with visitor(app, an_address()) as client:
        answer = await client.get("/api/v1/me", headers=basic(name))
        codes.append(answer.status_code)

    assert codes == [401, 401, 401, 429]


async def test_what_is_known_to_be_right_does_not_count(strict_garage: Garage) -> None:
    _, name = await add_user(strict_garage)
    async with visitor(strict_garage.app, an_address()) as client:
        for _ in range(10):
            await log_in(client, name)
            answer = await client.get("/api/v1/me", headers=basic(name))
            assert answer.status_code == 200


async def test_the_same_attempts_at_the_same_time_share_one_check(
    strict_garage: Garage, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, name = await add_user(strict_garage)
    checked = 0
    verify = Passwords.verify_password

    async def counting(self: Passwords, password: str, stored: str) -> object:
        nonlocal checked
        checked += 1
        return await verify(self, password, stored)

    monkeypatch.setattr(Passwords, "verify_password", counting)
    async with visitor(strict_garage.app, an_address()) as client:
        answers = await asyncio.gather(*(attempt(client, name, PASSWORD) for _ in range(20)))

    assert (answers, checked) == ([200] * 20, 1)


async def test_an_unknown_name_takes_as_long_as_a_wrong_password(
    garage: Garage, guest: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, name = await add_user(garage)
    hashed = 0
    in_thread = Passwords._in_thread

    async def counting(self: Passwords, work: object) -> object:
        nonlocal hashed
        hashed += 1
        return await in_thread(self, work)  # type: ignore[arg-type]  # whatever it is

    monkeypatch.setattr(Passwords, "_in_thread", counting)
    for unknown in (name, f"{uuid4()}"):
        hashed = 0
        assert await attempt(guest, unknown) == 401
        assert hashed == 1


async def test_a_failure_is_logged_with_the_address_and_without_secrets(app: FastAPI) -> None:
    address = an_address()
    with capture_logs() as logs:
        async with visitor(app, address) as client:
            await attempt(client, "some-name-that-may-be-a-password", "some-secret")

    failures = [entry for entry in logs if entry["event"] == "sign_in_failed"]
    assert failures == [
        {"event": "sign_in_failed", "log_level": "warning", "client": address, "method": "password"}
    ]
    assert "some-" not in str(logs)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/auth/setup", {"token": "x", "name": "n", "password": "long enough"}, 400),
        ("/api/auth/password-reset/confirm", {"token": "x", "password": "long enough"}, 400),
        ("/api/auth/password-reset", {"name": "n"}, 202),
    ],
)
async def test_other_open_doors_are_limited_too(
    strict_app: FastAPI, path: str, body: dict[str, str], status: int
) -> None:
    async with visitor(strict_app, an_address()) as client:
        codes = [
            (
                await client.post(
                    path, json={**body, "name": str(uuid4())} if "name" in body else body
                )
            ).status_code
            for _ in range(4)
        ]

    assert codes == [status, status, status, 429]
