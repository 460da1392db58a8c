from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from motovaultpro.core.security.credentials import SESSION_COOKIE
from tests.factories.garages import Garage
from tests.factories.logins import PASSWORD, add_user, bearer, log_in, refused_at_once, visitor

ME = "/api/v1/me"


@pytest.fixture
async def elsewhere(other_replica: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A guest of the other replica."""
    async with visitor(other_replica) as client:
        yield client


async def cookie_of(guest: httpx.AsyncClient, name: str) -> dict[str, str]:
    login = {"name": name, "password": PASSWORD, "session": "cookie"}
    answer = await guest.post("/api/auth/login", json=login)
    cookie = answer.cookies[SESSION_COOKIE]
    guest.cookies.clear()
    return {"Cookie": f"{SESSION_COOKIE}={cookie}"}


async def test_ends_the_session_and_takes_the_cookie_away(garage: Garage) -> None:
    client = garage.client
    cookie = {"Cookie": f"{SESSION_COOKIE}={client.cookies[SESSION_COOKIE]}"}

    answer = await client.post("/api/auth/logout")

    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await client.get(ME, headers=cookie)).status_code == 401
    assert await garage.count("sessions") == 0


async def test_ends_one_session_only(garage: Garage, guest: httpx.AsyncClient) -> None:
    _, name = await add_user(garage)
    first, second = await log_in(guest, name), await log_in(guest, name)

    answer = await guest.post("/api/auth/logout", headers=bearer(first["token"]))

    assert answer.status_code == 204
    assert (await guest.get(ME, headers=bearer(first["token"]))).status_code == 401
    refresh = {"refresh_token": first["refresh_token"]}
    assert (await guest.post("/api/auth/refresh", json=refresh)).status_code == 401
    assert (await guest.get(ME, headers=bearer(second["token"]))).status_code == 200


async def test_everywhere_ends_all_sessions_on_all_replicas_at_once(
    garage: Garage, guest: httpx.AsyncClient, elsewhere: httpx.AsyncClient
) -> None:
    _, name = await add_user(garage)
    tokens = await log_in(guest, name)
    signed_in = [bearer(tokens["token"])]
    signed_in += [await cookie_of(guest, name) for _ in range(120)]
    for headers in (signed_in[0], signed_in[1], signed_in[-1]):
        assert (await elsewhere.get(ME, headers=headers)).status_code == 200

    answer = await guest.post("/api/auth/logout-everywhere", headers=bearer(tokens["token"]))

    assert answer.status_code == 204
    for headers in (signed_in[0], signed_in[1], signed_in[-1]):
        await refused_at_once(elsewhere, headers=headers)
        assert (await guest.get(ME, headers=headers)).status_code == 401
    assert (await garage.client.get(ME)).status_code == 200  # somebody else


@pytest.mark.parametrize("path", ["/api/auth/logout", "/api/auth/logout-everywhere"])
async def test_needs_to_be_signed_in_by_oneself(
    garage: Garage, guest: httpx.AsyncClient, path: str
) -> None:
    key = await garage.client.post(
        "/api/v1/api-keys", json={"name": "k", "scopes": ["view", "edit"]}
    )

    assert (await guest.post(path)).status_code == 401
    answer = await guest.post(path, headers={"x-api-key": key.json()["key"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "api_key_refused")
    assert (await garage.client.get(ME)).status_code == 200


@pytest.mark.parametrize("change", ["disable", "remove", "demote"])
async def test_what_an_owner_takes_away_is_gone_on_every_replica_at_once(
    garage: Garage, guest: httpx.AsyncClient, elsewhere: httpx.AsyncClient, change: str
) -> None:
    user_id, name = await add_user(garage, role="admin")
    headers = bearer((await log_in(guest, name))["token"])
    assert (await elsewhere.get(ME, headers=headers)).json()["role"] == "admin"
    path = f"/api/v1/users/{user_id}"

    match change:
        case "disable":
            answer = await garage.client.patch(path, json={"is_disabled": True})
        case "remove":
            answer = await garage.client.delete(path)
        case _:
            answer = await garage.client.patch(path, json={"role": "viewer"})

    assert answer.is_success, answer.text
    if change == "demote":
        await refused_to_manage_at_once(elsewhere, headers)
    else:
        await refused_at_once(elsewhere, headers=headers)


async def refused_to_manage_at_once(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    for _ in range(50):
        if (await client.get("/api/v1/users", headers=headers)).status_code == 403:
            return
    pytest.fail("still an administrator")
