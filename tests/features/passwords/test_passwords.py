from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from motovaultpro.core.clock import system_clock
from motovaultpro.features.links import facade as links
from motovaultpro.features.links.contracts import Purpose
from motovaultpro.features.users import facade as users
from tests.factories.garages import Garage, anonymous_client
from tests.factories.logins import (
    PASSWORD,
    add_user,
    basic,
    bearer,
    log_in,
    stored_password,
)

ME = "/api/v1/me"
CHANGE = "/api/auth/password"
REQUEST = "/api/auth/password-reset"
CONFIRM = "/api/auth/password-reset/confirm"
NEW = "another long password"


@pytest.fixture
async def guest(garage: Garage) -> AsyncIterator[httpx.AsyncClient]:
    async with anonymous_client(garage.app) as client:
        yield client


async def events(garage: Garage, event_type: str) -> list[tuple[int, Any]]:
    async with garage.database.session(garage.tenant_id) as session:
        rows = await session.execute(
            text("SELECT user_id, payload FROM outbox WHERE type = :type"), {"type": event_type}
        )
        return [(row.user_id, row.payload) for row in rows]


async def token_for(garage: Garage, name: str, lifetime: timedelta = timedelta(hours=1)) -> str:
    link = await users.password_link(garage.database, name, lifetime)
    return link.path.partition("token=")[2]


async def test_a_change_ends_the_other_sessions(garage: Garage, guest: httpx.AsyncClient) -> None:
    user_id, name = await add_user(garage)
    here = bearer((await log_in(guest, name))["token"])
    there = bearer((await log_in(guest, name))["token"])
    await guest.get(ME, headers=there)

    answer = await guest.post(
        CHANGE, json={"current_password": PASSWORD, "password": NEW}, headers=here
    )

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await guest.get(ME, headers=here)).status_code == 200
    assert (await guest.get(ME, headers=there)).status_code == 401
    await log_in(guest, name, NEW)
    assert [user for user, _ in await events(garage, "user.password_changed")] == [user_id]


async def test_a_change_ends_the_links_that_were_handed_out(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    _, name = await add_user(garage)
    token = await token_for(garage, name)
    body = {"current_password": PASSWORD, "password": NEW}
    assert (await guest.post(CHANGE, json=body, headers=basic(name))).status_code == 204

    answer = await guest.post(CONFIRM, json={"token": token, "password": "the thief's own"})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_link")
    await log_in(guest, name, NEW)


async def test_a_change_needs_the_current_password(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    user_id, name = await add_user(garage)
    signed_in = bearer((await log_in(guest, name))["token"])

    answer = await guest.post(
        CHANGE, json={"current_password": "wrong", "password": NEW}, headers=signed_in
    )

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["fields"]] == ["current_password"]
    assert await stored_password(garage, user_id) is not None
    await log_in(guest, name)


async def test_who_has_no_password_cannot_change_it(garage: Garage) -> None:
    answer = await garage.client.post(CHANGE, json={"current_password": "", "password": NEW})

    assert answer.status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"current_password": PASSWORD},
        {"current_password": PASSWORD, "password": "short"},
        {"current_password": PASSWORD, "password": "password123"},
        {"current_password": PASSWORD, "password": NEW, "user_id": 1},
    ],
)
async def test_refuses_a_password_against_the_policy(
    garage: Garage, guest: httpx.AsyncClient, body: dict[str, object]
) -> None:
    user_id, name = await add_user(garage)
    before = await stored_password(garage, user_id)

    answer = await guest.post(CHANGE, json=body, headers=basic(name))

    assert answer.status_code == 422
    assert await stored_password(garage, user_id) == before


async def test_a_change_is_for_people_who_are_signed_in(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    body = {"current_password": PASSWORD, "password": NEW}
    key = await garage.client.post("/api/v1/api-keys", json={"name": "k", "scopes": ["edit"]})

    assert (await guest.post(CHANGE, json=body)).status_code == 401
    answer = await guest.post(CHANGE, json=body, headers={"x-api-key": key.json()["key"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "api_key_refused")


async def test_a_link_sets_the_password_and_ends_all_sessions(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    user_id, name = await add_user(garage)
    tokens = await log_in(guest, name)
    token = await token_for(garage, name)

    answer = await guest.post(CONFIRM, json={"token": token, "password": NEW})

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await guest.get(ME, headers=bearer(tokens["token"]))).status_code == 401
    assert (await guest.get(ME, headers=basic(name))).status_code == 401
    await log_in(guest, name, NEW)
    assert await events(garage, "user.password_changed") == [
        (user_id, {"data": {}, "record_id": user_id, "vehicle_id": None})
    ]


async def test_a_link_works_once(garage: Garage, guest: httpx.AsyncClient) -> None:
    _, name = await add_user(garage)
    body = {"token": await token_for(garage, name), "password": NEW}
    await guest.post(CONFIRM, json=body)

    answer = await guest.post(CONFIRM, json={**body, "password": "yet another password"})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_link")
    await log_in(guest, name, NEW)


async def test_a_refused_password_leaves_the_link_usable(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    _, name = await add_user(garage)
    token = await token_for(garage, name)

    answer = await guest.post(CONFIRM, json={"token": token, "password": name})

    assert answer.status_code == 422
    answer = await guest.post(CONFIRM, json={"token": token, "password": NEW})
    assert answer.status_code == 204


async def test_an_older_or_expired_link_does_nothing(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    user_id, name = await add_user(garage)
    before = await stored_password(garage, user_id)
    older = await token_for(garage, name)
    expired = await token_for(garage, name, timedelta(seconds=-1))

    for token in (older, expired, "mvl_unknown", ""):
        answer = await guest.post(CONFIRM, json={"token": token, "password": NEW})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_link")
    assert await stored_password(garage, user_id) == before


async def test_a_setup_link_resets_no_password(garage: Garage, guest: httpx.AsyncClient) -> None:
    async with garage.database.system_session() as session:
        link = await links.create(
            session, Purpose.SETUP, now=system_clock(), lifetime=timedelta(hours=1)
        )

    body = {"token": link.path.partition("token=")[2], "password": NEW}
    assert (await guest.post(CONFIRM, json=body)).status_code == 400


async def test_an_administrator_hands_out_a_link(garage: Garage, guest: httpx.AsyncClient) -> None:
    user_id, name = await add_user(garage)
    admin = await garage.client_as("admin")

    answer = await admin.post(f"/api/v1/users/{user_id}/password-reset-link")

    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    token = answer.json()["url"].partition("token=")[2]
    assert (await guest.post(CONFIRM, json={"token": token, "password": NEW})).status_code == 204
    await log_in(guest, name, NEW)


@pytest.mark.parametrize("by", ["name", "email"])
async def test_asking_for_a_link_publishes_it_without_a_token(
    garage: Garage, guest: httpx.AsyncClient, by: str
) -> None:
    email = f"{garage.tenant_id}@example.com"
    user_id, name = await add_user(garage, email=email)

    answer = await guest.post(REQUEST, json={"name": name if by == "name" else email.upper()})

    assert answer.status_code == 202
    assert await events(garage, "user.password_reset_requested") == [
        (user_id, {"data": {}, "record_id": user_id, "vehicle_id": None})
    ]


async def test_asking_tells_nothing_about_who_exists(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    _, disabled = await add_user(garage, disabled_at=system_clock())
    _, known = await add_user(garage)

    answers = [
        await guest.post(REQUEST, json={"name": name}) for name in (known, disabled, "nobody")
    ]

    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    assert len(await events(garage, "user.password_reset_requested")) == 1


@pytest.mark.parametrize("body", [{}, {"name": "x" * 501}, {"name": 1}, {"name": "x", "y": 1}])
async def test_asking_needs_a_name(guest: httpx.AsyncClient, body: dict[str, object]) -> None:
    assert (await guest.post(REQUEST, json=body)).status_code == 422
