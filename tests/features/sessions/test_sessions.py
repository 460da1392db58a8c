from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from motovaultpro.core.clock import system_clock
from motovaultpro.features.sessions.tasks import delete_expired_sessions
from tests.factories.garages import Garage, anonymous_client
from tests.factories.logins import PASSWORD, add_user, bearer, log_in

SESSIONS = "/api/v1/sessions"


@pytest.fixture
async def guest(garage: Garage) -> AsyncIterator[httpx.AsyncClient]:
    async with anonymous_client(garage.app) as client:
        yield client


async def test_lists_where_one_is_signed_in(garage: Garage, guest: httpx.AsyncClient) -> None:
    _, name = await add_user(garage)
    login = {"name": name, "password": PASSWORD}
    first = await guest.post("/api/auth/login", json=login, headers={"User-Agent": "Phone"})
    cookie = {**login, "session": "cookie", "remember": True}
    await guest.post("/api/auth/login", json=cookie, headers={"User-Agent": "x" * 600})
    guest.cookies.clear()

    answer = await guest.get(SESSIONS, headers=bearer(first.json()["token"]))

    assert answer.status_code == 200
    browser, phone = answer.json()["items"]
    assert (browser["kind"], browser["is_remembered"], browser["is_current"]) == (
        "cookie",
        True,
        False,
    )
    assert browser["user_agent"] == "x" * 500
    assert (phone["kind"], phone["user_agent"], phone["is_current"]) == ("bearer", "Phone", True)
    assert phone["address"] == "127.0.0.1"
    assert "hash" not in answer.text


async def test_ends_one_of_them(garage: Garage, guest: httpx.AsyncClient) -> None:
    _, name = await add_user(garage)
    here, there = [bearer((await log_in(guest, name))["token"]) for _ in range(2)]
    listed = (await guest.get(SESSIONS, headers=here)).json()["items"]
    other = next(item["id"] for item in listed if not item["is_current"])
    await guest.get(SESSIONS, headers=there)

    answer = await guest.delete(f"{SESSIONS}/{other}", headers=here)

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await guest.get(SESSIONS, headers=there)).status_code == 401
    assert len((await guest.get(SESSIONS, headers=here)).json()["items"]) == 1


@pytest.mark.parametrize("who", ["another garage's owner", "the same garage's owner"])
async def test_shows_and_ends_nobody_elses(
    garage: Garage, other_garage: Garage, guest: httpx.AsyncClient, who: str
) -> None:
    _, name = await add_user(garage)
    headers = bearer((await log_in(guest, name))["token"])
    theirs = (await guest.get(SESSIONS, headers=headers)).json()["items"][0]["id"]
    client = garage.client if who.startswith("the") else other_garage.client

    assert theirs not in [item["id"] for item in (await client.get(SESSIONS)).json()["items"]]
    assert (await client.delete(f"{SESSIONS}/{theirs}")).status_code == 404
    assert (await guest.get(SESSIONS, headers=headers)).status_code == 200


async def test_is_for_people_who_are_signed_in(garage: Garage, guest: httpx.AsyncClient) -> None:
    mine = (await garage.client.get(SESSIONS)).json()["items"][0]["id"]
    body = {"name": "k", "scopes": ["view", "delete"]}
    key = (await garage.client.post("/api/v1/api-keys", json=body)).json()["key"]

    assert (await guest.get(SESSIONS)).status_code == 401
    assert (await guest.delete(f"{SESSIONS}/{mine}")).status_code == 401
    answer = await guest.delete(f"{SESSIONS}/{mine}", headers={"x-api-key": key})
    assert (answer.status_code, answer.json()["code"]) == (403, "api_key_refused")
    assert (await garage.client.get(SESSIONS)).status_code == 200


@pytest.mark.parametrize("session_id", ["x", "0", "-1", str(2**63)])
async def test_refuses_what_is_no_id(garage: Garage, session_id: str) -> None:
    assert (await garage.client.delete(f"{SESSIONS}/{session_id}")).status_code == 422


async def test_expired_rows_are_cleared_away(garage: Garage) -> None:
    async with garage.database.system_session() as session:
        await session.execute(
            text(
                "INSERT INTO sessions (tenant_id, user_id, kind, token_hash, expires_at)"
                " SELECT tenant_id, user_id, kind, sha256(token_hash), :past FROM sessions"
                " WHERE tenant_id = :tenant"
            ),
            {"tenant": garage.tenant_id, "past": system_clock() - timedelta(seconds=1)},
        )
    assert await garage.count("sessions") == 2
    assert len((await garage.client.get(SESSIONS)).json()["items"]) == 1

    await delete_expired_sessions(garage.database, system_clock)

    assert await garage.count("sessions") == 1
