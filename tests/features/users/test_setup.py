import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from motovaultpro.core.clock import system_clock
from motovaultpro.core.database import Database
from motovaultpro.core.security.actor import Role
from motovaultpro.features.users import facade as users
from tests.factories.garages import anonymous_client
from tests.factories.logins import PASSWORD, bearer, log_in, new_installation

SETUP = "/api/auth/setup"


@pytest.fixture
async def first_tenant(database: Database) -> AsyncIterator[UUID]:
    async with new_installation(database) as tenant_id:
        yield tenant_id


@pytest.fixture
async def guest(app: FastAPI, first_tenant: UUID) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ARG001 - empties it
    async with anonymous_client(app) as client:
        yield client


async def token(database: Database) -> str:
    path = await users.setup_link(database)
    assert path is not None
    assert path.startswith("/setup?token=mvl_")
    return path.partition("token=")[2]


def owner(token: str, **fields: object) -> dict[str, object]:
    return {"token": token, "name": f"owner-{uuid4().hex}", "password": PASSWORD, **fields}


async def owners(database: Database, tenant_id: UUID) -> int:
    async with database.session(tenant_id) as session:
        return len(await users.members(session, tenant_id))


async def test_the_link_makes_the_owner_of_the_first_garage(
    guest: httpx.AsyncClient, database: Database, first_tenant: UUID
) -> None:
    body = owner(await token(database), garage="Home")

    answer = await guest.post(SETUP, json=body)

    assert answer.status_code == 201
    assert answer.json()["name"] == body["name"]
    signed_in = bearer((await log_in(guest, str(body["name"])))["token"])
    me = (await guest.get("/api/v1/me", headers=signed_in)).json()
    assert (me["id"], me["role"]) == (answer.json()["id"], "owner")
    assert me["tenant"] == {"id": str(first_tenant), "name": "Home"}
    assert await users.setup_link(database) is None


async def test_the_link_works_once(
    guest: httpx.AsyncClient, database: Database, first_tenant: UUID
) -> None:
    link = await token(database)

    answers = await asyncio.gather(*(guest.post(SETUP, json=owner(link)) for _ in range(3)))

    assert sorted(answer.status_code for answer in answers) == [201, 400, 400]
    assert await owners(database, first_tenant) == 1


async def test_a_newer_link_replaces_the_older(
    guest: httpx.AsyncClient, database: Database
) -> None:
    old, new = await token(database), await token(database)

    answer = await guest.post(SETUP, json=owner(old))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_link")
    assert (await guest.post(SETUP, json=owner(new))).status_code == 201


async def test_a_link_ends(
    guest: httpx.AsyncClient, database: Database, first_tenant: UUID
) -> None:
    path = await users.setup_link(database, lambda: system_clock() - timedelta(days=8))
    assert path is not None

    answer = await guest.post(SETUP, json=owner(path.partition("token=")[2]))

    assert answer.status_code == 400
    assert await owners(database, first_tenant) == 0


async def test_a_link_is_worth_nothing_once_there_is_an_owner(
    guest: httpx.AsyncClient, database: Database, first_tenant: UUID
) -> None:
    link = await token(database)
    async with database.session(first_tenant) as session:
        await users.create_imported_user(
            session, first_tenant, name=f"root-{uuid4()}", role=Role.OWNER
        )

    answer = await guest.post(SETUP, json=owner(link))

    assert (answer.status_code, answer.json()["code"]) == (409, "already_set_up")
    assert await owners(database, first_tenant) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"password": "short"}, "password"),
        ({"name": ""}, "name"),
        ({"garage": ""}, "garage"),
        ({"x": 1}, "x"),
    ],
)
async def test_a_refused_try_leaves_the_link_usable(
    guest: httpx.AsyncClient, database: Database, change: dict[str, object], field: str
) -> None:
    link = await token(database)

    answer = await guest.post(SETUP, json=owner(link, **change))

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["fields"]] == [field]
    assert (await guest.post(SETUP, json=owner(link))).status_code == 201


async def test_a_link_for_a_new_password_is_no_setup_link(
    guest: httpx.AsyncClient, database: Database, first_tenant: UUID
) -> None:
    name = f"viewer-{uuid4()}"
    async with database.session(first_tenant) as session:
        await users.create_imported_user(session, first_tenant, name=name, role=Role.VIEWER)
    link = await users.password_link(database, name, timedelta(hours=1))

    answer = await guest.post(SETUP, json=owner(link.path.partition("token=")[2]))

    assert answer.status_code == 400
