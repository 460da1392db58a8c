"""Which credentials count, what they may do, and what they cost."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event, text

from motovaultpro.core.security.credentials import SESSION_COOKIE
from motovaultpro.core.security.opaque import token_hash
from tests.factories.garages import Garage
from tests.factories.logins import (
    PASSWORD,
    MovableClock,
    add_user,
    basic,
    bearer,
    log_in,
    refused_at_once,
    visitor,
)

ME = "/api/v1/me"


@pytest.fixture
async def timed_guest(timed_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with visitor(timed_app) as client:
        yield client


@contextmanager
def statements(app: FastAPI) -> Iterator[list[str]]:
    """The SQL that runs meanwhile, whoever runs it."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    engine = app.state.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def make_key(garage: Garage, **fields: object) -> str:
    body = {"name": "script", "scopes": ["view"], **fields}
    answer = await garage.client.post("/api/v1/api-keys", json=body)
    assert answer.status_code == 201, answer.text
    key: str = answer.json()["key"]
    return key


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer not-a-token"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Basic bm9ib2R5Onh4"},
        {"Authorization": "Digest x"},
        {"x-api-key": "mvk_unknown"},
        {"Cookie": f"{SESSION_COOKIE}=mvs_unknown"},
    ],
)
async def test_refuses_missing_and_wrong_credentials(
    guest: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await guest.get(ME, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"]


async def test_a_browser_is_not_asked_for_basic(guest: httpx.AsyncClient) -> None:
    asked = await guest.get(ME)
    browser = await guest.get(ME, headers={"Sec-Fetch-Mode": "cors"})
    wrong = await guest.get(ME, headers={"Sec-Fetch-Mode": "cors", **basic("nobody", "x")})

    assert asked.headers["www-authenticate"] == 'Bearer, Basic realm="MotoVaultPro"'
    assert [a.headers["www-authenticate"] for a in (browser, wrong)] == ["Bearer", "Bearer"]


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}],
)
async def test_another_site_cannot_use_the_basic_login_that_a_browser_keeps(
    garage: Garage, guest: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    _, name = await add_user(garage)
    del guest.headers["Origin"]
    signed_in = basic(name)

    answer = await guest.post("/api/auth/logout-everywhere", headers={**signed_in, **headers})
    script = await guest.post("/api/auth/logout-everywhere", headers=signed_in)

    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert script.status_code == 204


async def test_a_refresh_token_or_cookie_is_no_other_credential(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    _, name = await add_user(garage)
    refresh_token = (await log_in(guest, name))["refresh_token"]

    cookie = {"Cookie": f"{SESSION_COOKIE}={refresh_token}"}
    assert (await guest.get(ME, headers=cookie)).status_code == 401
    assert (await guest.get(ME, headers={"x-api-key": refresh_token})).status_code == 401
    mine = garage.client.cookies[SESSION_COOKIE]
    answer = await guest.post("/api/auth/refresh", json={"refresh_token": mine})
    assert answer.status_code == 401


async def test_basic_takes_a_password_with_colons(garage: Garage, guest: httpx.AsyncClient) -> None:
    user_id, name = await add_user(garage)

    answer = await guest.get(ME, headers=basic(name))

    assert ":" in PASSWORD
    assert (answer.status_code, answer.json()["id"]) == (200, user_id)
    assert (await guest.get(ME, headers=basic(name, "wrong"))).status_code == 401


async def test_basic_runs_argon2_once(
    garage: Garage, guest: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, name = await add_user(garage)
    await guest.get(ME, headers=basic(name))
    passwords = garage.app.state.passwords
    monkeypatch.setattr(passwords, "verify_password", None)

    assert (await guest.get(ME, headers=basic(name))).status_code == 200


async def test_an_old_basic_password_stops_working_with_the_change_on_every_replica(
    garage: Garage, other_replica: FastAPI, guest: httpx.AsyncClient
) -> None:
    _, name = await add_user(garage)
    async with visitor(other_replica) as elsewhere:
        assert (await elsewhere.get(ME, headers=basic(name))).status_code == 200
        answer = await guest.post(
            "/api/auth/password",
            json={"current_password": PASSWORD, "password": "another long password"},
            headers=basic(name),
        )
        assert answer.status_code == 204, answer.text

        assert (await guest.get(ME, headers=basic(name))).status_code == 401
        await refused_at_once(elsewhere, headers=basic(name))
        new = basic(name, "another long password")
        assert (await elsewhere.get(ME, headers=new)).status_code == 200


@pytest.mark.parametrize("sender", ["header", "query"])
async def test_an_api_key_acts_for_its_user(
    garage: Garage, guest: httpx.AsyncClient, sender: str
) -> None:
    key = await make_key(garage)

    answer = (
        await guest.get(ME, headers={"X-Api-Key": key})
        if sender == "header"
        else await guest.get(ME, params={"APIkey": key})
    )

    assert answer.status_code == 200
    assert answer.json()["id"] == garage.owner.user_id
    assert answer.json()["scopes"] == ["view"]


async def test_an_api_key_may_do_what_its_scopes_say(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    view = {"x-api-key": await make_key(garage)}
    edit = {"x-api-key": await make_key(garage, name="edit", scopes=["edit"])}
    preferences = {"preferences": {"theme": "dark"}}

    assert (await guest.get(ME, headers=view)).status_code == 200
    assert (await guest.patch(ME, json=preferences, headers=view)).status_code == 403
    assert (await guest.get(ME, headers=edit)).status_code == 403
    assert (await guest.patch(ME, json=preferences, headers=edit)).status_code == 200
    assert (await guest.delete("/api/v1/sessions/1", headers=edit)).status_code == 403


async def test_an_api_key_expires(
    timed_garage: Garage, timed_guest: httpx.AsyncClient, clock: MovableClock
) -> None:
    expires_at = clock() + timedelta(hours=1)
    key = {"x-api-key": await make_key(timed_garage, expires_at=expires_at.isoformat())}
    assert (await timed_guest.get(ME, headers=key)).status_code == 200

    clock.advance(hours=1)

    assert (await timed_guest.get(ME, headers=key)).status_code == 401


async def test_the_use_of_an_api_key_is_noted_once_an_hour(
    timed_garage: Garage, timed_guest: httpx.AsyncClient, clock: MovableClock
) -> None:
    key = {"x-api-key": await make_key(timed_garage)}

    async def noted() -> str:
        keys = (await timed_garage.client.get("/api/v1/api-keys")).json()["items"]
        used: str = keys[0]["last_used_at"]
        return used

    assert await noted() is None
    await timed_guest.get(ME, headers=key)
    first = await noted()
    assert first is not None
    clock.advance(minutes=50)
    await timed_guest.get(ME, headers=key)
    await timed_garage.client.get(ME)  # keeps the session alive
    assert await noted() == first
    clock.advance(minutes=20)
    await timed_garage.client.get(ME)
    await timed_guest.get(ME, headers=key)
    assert await noted() != first


async def test_an_access_token_expires(
    timed_garage: Garage, timed_guest: httpx.AsyncClient, clock: MovableClock
) -> None:
    _, name = await add_user(timed_garage)
    tokens = await log_in(timed_guest, name)
    signed_in = bearer(tokens["token"])
    assert (await timed_guest.get(ME, headers=signed_in)).status_code == 200

    clock.advance(seconds=tokens["expires_in"] + 6)

    assert (await timed_guest.get(ME, headers=signed_in)).status_code == 401


async def test_a_cookie_lives_on_with_each_use_and_ends_when_idle(
    timed_garage: Garage, clock: MovableClock
) -> None:
    client = timed_garage.client
    assert (await client.get(ME)).status_code == 200
    for _ in range(5):
        clock.advance(minutes=29)
        assert (await client.get(ME)).status_code == 200
    await client.get(ME)  # from the new copy in the cache

    clock.advance(minutes=30)

    assert (await client.get(ME)).status_code == 401


async def test_a_remembered_cookie_survives_weeks(
    timed_garage: Garage, timed_guest: httpx.AsyncClient, clock: MovableClock
) -> None:
    _, name = await add_user(timed_garage)
    login = {"name": name, "password": PASSWORD, "session": "cookie", "remember": True}
    await timed_guest.post("/api/auth/login", json=login)
    for _ in range(3):
        clock.advance(days=20)
        assert (await timed_guest.get(ME)).status_code == 200

    clock.advance(days=30)

    assert (await timed_guest.get(ME)).status_code == 401


async def test_a_use_is_written_once_a_minute(timed_garage: Garage, clock: MovableClock) -> None:
    client, app = timed_garage.client, timed_garage.app
    await client.get(ME)
    clock.advance(seconds=61)

    with statements(app) as seen:
        await asyncio.gather(*(client.get(ME) for _ in range(5)))

    assert len([statement for statement in seen if "UPDATE sessions" in statement]) == 1


async def test_a_session_that_was_deleted_is_not_brought_back_by_its_copy(
    timed_garage: Garage, clock: MovableClock
) -> None:
    """Rows that go by a cascade tell no cache; the next written use finds out."""
    client = timed_garage.client
    await client.get(ME)
    async with timed_garage.database.system_session() as session:
        await session.execute(
            text("DELETE FROM sessions WHERE token_hash = :hash"),
            {"hash": token_hash(client.cookies[SESSION_COOKIE])},
        )
    clock.advance(seconds=61)

    assert (await client.get(ME)).status_code == 401


@pytest.mark.parametrize("kind", ["cookie", "bearer", "key", "basic"])
async def test_a_warm_request_asks_the_database_nothing(
    garage: Garage, guest: httpx.AsyncClient, kind: str
) -> None:
    match kind:
        case "cookie":
            headers = {"Cookie": f"{SESSION_COOKIE}={garage.client.cookies[SESSION_COOKIE]}"}
        case "bearer":
            _, name = await add_user(garage)
            headers = bearer((await log_in(guest, name))["token"])
        case "key":
            headers = {"x-api-key": await make_key(garage)}
        case _:
            _, name = await add_user(garage)
            headers = basic(name)
    await guest.get("/auth/verify", headers=headers)

    with statements(garage.app) as seen:
        answer = await guest.get("/auth/verify", headers=headers)

    assert (answer.status_code, seen) == (200, [])


async def test_a_change_by_cookie_must_come_from_our_own_pages(garage: Garage) -> None:
    evil = {"Origin": "https://evil.example"}
    body = {"preferences": {"theme": "dark"}}

    answer = await garage.client.patch(ME, json=body, headers=evil)

    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert (await garage.client.get(ME, headers=evil)).json()["preferences"]["theme"] == "system"


async def test_a_token_may_come_from_anywhere(garage: Garage, guest: httpx.AsyncClient) -> None:
    _, name = await add_user(garage)
    headers = {**bearer((await log_in(guest, name))["token"]), "Origin": "https://app.example"}

    answer = await guest.patch(ME, json={"preferences": {"theme": "dark"}}, headers=headers)

    assert answer.status_code == 200


async def test_tells_a_proxy_who_it_is(garage: Garage) -> None:
    answer = await garage.client.get("/auth/verify")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["x-auth-user"] == garage.owner.name
    assert answer.headers["x-auth-roles"] == "owner"
    assert answer.headers["x-auth-tenant"] == str(garage.tenant_id)


async def test_any_name_fits_into_the_proxys_header(garage: Garage) -> None:
    user_id, _ = await add_user(garage, name=f"Łucja 車 {garage.tenant_id}", stored="")
    async with garage.database.system_session() as session:
        await session.execute(
            text("UPDATE sessions SET user_id = :user WHERE user_id = :owner"),
            {"user": user_id, "owner": garage.owner.user_id},
        )

    answer = await garage.client.get("/auth/verify")

    assert answer.headers["x-auth-user"] == f"%C5%81ucja %E8%BB%8A {garage.tenant_id}"


@pytest.mark.parametrize(("role", "status"), [("owner", 403), ("admin", 200), ("viewer", 200)])
async def test_a_proxy_may_ask_for_a_role(garage: Garage, role: str, status: int) -> None:
    admin = await garage.client_as("admin")

    assert (await admin.get(f"/auth/verify?role={role}")).status_code == status
    assert (await admin.get("/auth/verify?role=king")).status_code == 422
