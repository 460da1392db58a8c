from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from tests.factories.garages import Garage
from tests.factories.logins import MovableClock, add_user, bearer, log_in, visitor

ME = "/api/v1/me"
REFRESH = "/api/auth/refresh"


@pytest.fixture
async def timed_guest(timed_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with visitor(timed_app) as client:
        yield client


async def refresh(client: httpx.AsyncClient, tokens: dict[str, str]) -> httpx.Response:
    return await client.post(REFRESH, json={"refresh_token": tokens["refresh_token"]})


async def test_gives_new_tokens_of_the_same_session(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    _, name = await add_user(garage)
    first = await log_in(guest, name)

    answer = await refresh(guest, first)

    assert answer.status_code == 200
    second = answer.json()
    assert second.keys() == first.keys()
    assert second["refresh_token"] != first["refresh_token"]
    assert (await guest.get(ME, headers=bearer(second["token"]))).status_code == 200
    assert (await guest.get(ME, headers=bearer(first["token"]))).status_code == 200
    assert await garage.count("sessions") == 2  # this one and the owner's


async def test_a_token_that_comes_twice_ends_the_session(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    _, name = await add_user(garage)
    first = await log_in(guest, name)
    second = (await refresh(guest, first)).json()
    await guest.get(ME, headers=bearer(second["token"]))  # into the cache

    assert (await refresh(guest, first)).status_code == 401

    assert (await refresh(guest, second)).status_code == 401
    assert (await guest.get(ME, headers=bearer(second["token"]))).status_code == 401
    assert await garage.count("sessions") == 1


async def test_a_thief_who_was_faster_is_found_out_however_often_they_refreshed(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    _, name = await add_user(garage)
    stolen = await log_in(guest, name)
    thief = (await refresh(guest, stolen)).json()
    for _ in range(2):
        thief = (await refresh(guest, thief)).json()

    assert (await refresh(guest, stolen)).status_code == 401

    assert (await refresh(guest, thief)).status_code == 401
    assert (await guest.get(ME, headers=bearer(thief["token"]))).status_code == 401


async def test_keeps_a_session_alive_longer_than_any_token(
    timed_garage: Garage, timed_guest: httpx.AsyncClient, clock: MovableClock
) -> None:
    _, name = await add_user(timed_garage)
    tokens = await log_in(timed_guest, name)
    for _ in range(3):
        clock.advance(days=29)
        answer = await refresh(timed_guest, tokens)
        assert answer.status_code == 200
        tokens = answer.json()
        headers = bearer(tokens["token"])
        assert (await timed_guest.get(ME, headers=headers)).status_code == 200

    clock.advance(days=30)

    assert (await refresh(timed_guest, tokens)).status_code == 401


async def test_is_refused_to_who_was_disabled(garage: Garage, guest: httpx.AsyncClient) -> None:
    user_id, name = await add_user(garage)
    tokens = await log_in(guest, name)
    await garage.client.patch(f"/api/v1/users/{user_id}", json={"is_disabled": True})

    assert (await refresh(guest, tokens)).status_code == 401


@pytest.mark.parametrize("body", [{}, {"refresh_token": ""}, {"refresh_token": 1}, {"x": 1}])
async def test_refuses_a_malformed_body(guest: httpx.AsyncClient, body: object) -> None:
    assert (await guest.post(REFRESH, json=body)).status_code == 422


async def test_refuses_an_unknown_token(guest: httpx.AsyncClient) -> None:
    answer = await guest.post(REFRESH, json={"refresh_token": "mvr_unknown"})

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
