import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from motovaultpro.core.clock import system_clock
from motovaultpro.core.security.actor import Role, Scope
from motovaultpro.features.api_keys import facade as api_keys
from motovaultpro.features.api_keys.errors import KeyNameTakenError
from motovaultpro.features.api_keys.repository import MAX_KEYS
from tests.factories.garages import Garage, anonymous_client

KEYS = "/api/v1/api-keys"
ME = "/api/v1/me"


@pytest.fixture
async def guest(garage: Garage) -> AsyncIterator[httpx.AsyncClient]:
    async with anonymous_client(garage.app) as client:
        yield client


def new_key(**fields: Any) -> dict[str, Any]:
    return {"name": "Home Assistant", "scopes": ["view"], **fields}


@pytest.mark.parametrize("role", list(Role))
async def test_everybody_makes_keys_that_are_shown_once(
    garage: Garage, guest: httpx.AsyncClient, role: Role
) -> None:
    client = await garage.client_as(role)

    answer = await client.post(KEYS, json=new_key(scopes=["edit", "view", "edit"]))

    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    assert answer.headers["location"] == f"{KEYS}/{made['id']}"
    key = made.pop("key")
    assert key.startswith("mvk_")
    assert (made["name"], made["scopes"]) == ("Home Assistant", ["edit", "view"])
    assert (made["expires_at"], made["last_used_at"]) == (None, None)
    listed = await client.get(KEYS)
    assert listed.json() == {"items": [made]}
    assert (await guest.get(ME, headers={"x-api-key": key})).json()["role"] == role


async def test_the_key_is_stored_nowhere(garage: Garage) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await garage.client.post(KEYS, json=new_key(), headers=headers)

    again = await garage.client.post(KEYS, json=new_key(), headers=headers)

    assert (again.status_code, again.json()) == (201, {**first.json(), "key": None})
    assert await garage.count("api_keys") == 1
    secret = first.json()["key"]
    async with garage.database.session(garage.tenant_id) as session:
        for table in ("api_keys", "idempotency_keys", "outbox"):
            rows = await session.execute(text(f"SELECT t::text FROM {table} t"))
            stored = "".join(rows.scalars())
            assert secret not in stored
            assert secret.encode().hex() not in stored


async def test_a_deleted_key_stops_working_at_once(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    made = (await garage.client.post(KEYS, json=new_key())).json()
    headers = {"x-api-key": made["key"]}
    assert (await guest.get(ME, headers=headers)).status_code == 200

    answer = await garage.client.delete(f"{KEYS}/{made['id']}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await guest.get(ME, headers=headers)).status_code == 401
    assert (await garage.client.delete(f"{KEYS}/{made['id']}")).status_code == 404


async def test_names_are_ones_own(garage: Garage) -> None:
    member = await garage.client_as("member")
    await member.post(KEYS, json=new_key())
    await garage.client.post(KEYS, json=new_key())

    answer = await garage.client.post(KEYS, json=new_key())

    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
    assert await garage.count("api_keys") == 2


async def test_shows_and_deletes_nobody_elses(
    garage: Garage, other_garage: Garage, guest: httpx.AsyncClient
) -> None:
    made = (await garage.client.post(KEYS, json=new_key())).json()
    member = await garage.client_as("admin")

    for client in (member, other_garage.client):
        assert (await client.get(KEYS)).json() == {"items": []}
        assert (await client.delete(f"{KEYS}/{made['id']}")).status_code == 404
    assert (await guest.get(ME, headers={"x-api-key": made["key"]})).status_code == 200


async def test_is_for_people_who_are_signed_in(garage: Garage, guest: httpx.AsyncClient) -> None:
    scopes = ["view", "edit", "delete"]
    made = (await garage.client.post(KEYS, json=new_key(scopes=scopes))).json()
    headers = {"x-api-key": made["key"]}

    assert (await guest.get(KEYS)).status_code == 401
    assert (await guest.post(KEYS, json=new_key())).status_code == 401
    assert (await guest.delete(f"{KEYS}/{made['id']}")).status_code == 401
    refused = [
        await guest.post(KEYS, json=new_key(name="2"), headers=headers),
        await guest.delete(f"{KEYS}/{made['id']}", headers=headers),
    ]
    assert [answer.json()["code"] for answer in refused] == ["api_key_refused"] * 2
    assert (await guest.get(KEYS, headers=headers)).status_code == 200
    assert await garage.count("api_keys") == 1


async def test_there_is_an_end_to_them(garage: Garage) -> None:
    async with garage.database.session(garage.tenant_id) as session:
        for number in range(MAX_KEYS):
            await api_keys.import_api_key(
                session,
                garage.tenant_id,
                garage.owner.user_id,
                name=str(number),
                sha256=hashlib.sha256(f"{garage.tenant_id}{number}".encode()).hexdigest(),
                scopes=[Scope.VIEW],
            )

    answer = await garage.client.post(KEYS, json=new_key())

    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_keys")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes.0"),
        ({"scopes": None}, "scopes"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2101-01-01T00:00:00"}, "expires_at"),
        ({"user_id": 1}, "user_id"),
    ],
)
async def test_refuses_what_is_not_valid(
    garage: Garage, change: dict[str, object], field: str
) -> None:
    answer = await garage.client.post(KEYS, json=new_key(**change))

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["fields"]] == [field]
    assert await garage.count("api_keys") == 0


async def test_says_when_a_key_expires(garage: Garage) -> None:
    expires_at = (system_clock() + timedelta(days=1)).replace(microsecond=0)

    made = (await garage.client.post(KEYS, json=new_key(expires_at=expires_at.isoformat()))).json()

    assert made["expires_at"].startswith(expires_at.strftime("%Y-%m-%dT%H:%M"))


async def test_a_key_from_lubelogger_keeps_working_until_rolled_back(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    key = garage.tenant_id.hex  # 32 hex characters, as LubeLogger's
    async with garage.database.session(garage.tenant_id) as session:
        key_id = await api_keys.import_api_key(
            session,
            garage.tenant_id,
            garage.owner.user_id,
            name="old",
            sha256=hashlib.sha256(key.encode()).hexdigest(),
            scopes=[Scope.VIEW, Scope.EDIT],
        )
    headers = {"x-api-key": key}
    assert (await guest.get(ME, headers=headers)).json()["scopes"] == ["edit", "view"]

    async with garage.database.session(garage.tenant_id) as session:
        await api_keys.remove_api_key(session, garage.tenant_id, key_id)
        await api_keys.remove_api_key(session, garage.tenant_id, key_id)

    assert (await guest.get(ME, headers=headers)).status_code == 401


async def test_an_imported_key_needs_a_name_of_its_own(garage: Garage) -> None:
    await garage.client.post(KEYS, json=new_key())

    with pytest.raises(KeyNameTakenError):
        async with garage.database.session(garage.tenant_id) as session:
            await api_keys.import_api_key(
                session,
                garage.tenant_id,
                garage.owner.user_id,
                name="Home Assistant",
                sha256="00" * 32,
                scopes=[Scope.VIEW],
            )


@pytest.mark.parametrize("change", ["disabled", "removed"])
async def test_a_key_goes_with_its_user(
    garage: Garage, guest: httpx.AsyncClient, change: str
) -> None:
    member = await garage.member("member")
    client = await garage.client_of(member)
    headers = {"x-api-key": (await client.post(KEYS, json=new_key())).json()["key"]}
    assert (await guest.get(ME, headers=headers)).status_code == 200

    path = f"/api/v1/users/{member.user_id}"
    if change == "disabled":
        await garage.client.patch(path, json={"is_disabled": True})
    else:
        await garage.client.delete(path)

    assert (await guest.get(ME, headers=headers)).status_code == 401
