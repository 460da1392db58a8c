import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.factories.eventually import eventually
from tests.factories.garages import Garage, anonymous_client
from tests.factories.logins import PASSWORD, add_user, bearer, join, log_in

USERS = "/api/v1/users"


def path(user_id: int) -> str:
    return f"{USERS}/{user_id}"


def new_user(garage: Garage, **fields: Any) -> dict[str, Any]:
    return {"name": f"new-{garage.tenant_id}", "role": "member", "password": PASSWORD, **fields}


async def members(garage: Garage) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await garage.client.get(USERS)).json()["items"]
    return items


async def test_lists_the_members_of_the_garage_in_pages(
    garage: Garage, other_garage: Garage
) -> None:
    ids = [garage.owner.user_id] + [
        (await garage.member(role)).user_id for role in ("admin", "viewer")
    ]

    first = (await garage.client.get(USERS, params={"limit": 2})).json()
    rest = (await garage.client.get(USERS, params={"cursor": first["next_cursor"]})).json()

    assert [item["id"] for item in first["items"] + rest["items"]] == ids
    assert [item["role"] for item in first["items"]] == ["owner", "admin"]
    assert rest["next_cursor"] is None
    assert other_garage.owner.user_id not in ids


@pytest.mark.parametrize("role", ["owner", "admin"])
async def test_adds_a_member_who_can_sign_in(garage: Garage, role: str) -> None:
    client = await garage.client_as(role)
    body = new_user(garage, role="viewer", email=f"{garage.tenant_id}@example.com")

    answer = await client.post(USERS, json=body)

    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == path(made["id"])
    assert made["password_link"] is None
    read = (await client.get(path(made["id"]))).json()
    assert read == {key: value for key, value in made.items() if key != "password_link"}
    assert (read["name"], read["email"], read["role"]) == (body["name"], body["email"], "viewer")
    async with anonymous_client(garage.app) as guest:
        tokens = await log_in(guest, body["name"])
        me = (await guest.get("/api/v1/me", headers=bearer(tokens["token"]))).json()
        assert me["tenant"]["id"] == str(garage.tenant_id)


async def test_without_a_password_a_link_lets_the_member_choose_one(garage: Garage) -> None:
    body = new_user(garage)
    del body["password"]

    made = (await garage.client.post(USERS, json=body)).json()

    url = made["password_link"]["url"]
    assert url.startswith("http://localhost:8080/reset-password?token=mvl_")
    async with anonymous_client(garage.app) as guest:
        reset = {"token": url.partition("token=")[2], "password": PASSWORD}
        answer = await guest.post("/api/auth/password-reset/confirm", json=reset)
        assert answer.status_code == 204
        await log_in(guest, body["name"])


async def test_a_repeated_creation_answers_the_first_without_its_link(garage: Garage) -> None:
    body = new_user(garage)
    del body["password"]
    key = {"Idempotency-Key": "once"}
    first = await garage.client.post(USERS, json=body, headers=key)

    again = await garage.client.post(USERS, json=body, headers=key)

    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert first.json()["password_link"] is not None
    assert again.json()["password_link"] is None
    assert await garage.count("memberships") == 2


async def test_a_name_is_taken_in_any_case_and_everywhere(
    garage: Garage, other_garage: Garage
) -> None:
    body = new_user(garage)
    await other_garage.client.post(USERS, json=body)

    answer = await garage.client.post(USERS, json={**body, "name": body["name"].upper()})

    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
    assert await garage.count("memberships") == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a:b"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"role": "king"}, "role"),
        ({"password": "short"}, "password"),
        ({"password": "12345678"}, "password"),
        ({"password": "x" * 1025}, "password"),
        ({"email": "nobody"}, "email"),
        ({"is_root": True}, "is_root"),
    ],
)
async def test_refuses_an_invalid_new_member(
    garage: Garage, change: dict[str, object], field: str
) -> None:
    answer = await garage.client.post(USERS, json=new_user(garage, **change))

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["fields"]] == [field]
    assert await garage.count("memberships") == 1


async def test_changes_only_what_is_named(garage: Garage) -> None:
    member = await garage.member("member")
    name = f"renamed-{garage.tenant_id}"

    answer = await garage.client.patch(path(member.user_id), json={"name": name, "role": "admin"})

    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["name"], changed["role"], changed["is_disabled"]) == (name, "admin", False)
    read = await garage.client.get(path(member.user_id))
    assert (read.json(), read.headers["etag"]) == (changed, answer.headers["etag"])


async def test_refuses_a_change_of_what_somebody_else_changed(garage: Garage) -> None:
    member = await garage.member("member")
    tag = (await garage.client.get(path(member.user_id))).headers["etag"]
    await garage.client.patch(path(member.user_id), json={"role": "viewer"})

    answer = await garage.client.patch(
        path(member.user_id), json={"role": "admin"}, headers={"If-Match": tag}
    )

    assert answer.status_code == 412
    assert (await garage.client.get(path(member.user_id))).json()["role"] == "viewer"


@pytest.mark.parametrize("role", ["owner", "admin"])
async def test_nobody_gets_round_their_own_password_by_managing_themselves(
    garage: Garage, role: str
) -> None:
    actor = await garage.member(role)
    client = await garage.client_of(actor)

    link = await client.post(f"{path(actor.user_id)}/password-reset-link")
    address = await client.patch(path(actor.user_id), json={"email": "thief@example.com"})

    assert [(a.status_code, a.json()["code"]) for a in (link, address)] == [
        (403, "own_account")
    ] * 2
    assert (await client.get("/api/v1/me")).json()["email"] is None


async def test_a_disabled_member_comes_back(garage: Garage) -> None:
    member = await garage.member("member")
    client = await garage.client_of(member)
    await garage.client.patch(path(member.user_id), json={"is_disabled": True})
    assert (await client.get("/api/v1/me")).status_code == 401

    await garage.client.patch(path(member.user_id), json={"is_disabled": False})

    assert (await client.get("/api/v1/me")).status_code == 200


async def test_a_removed_member_is_gone_with_everything_of_theirs(garage: Garage) -> None:
    member = await garage.member("member")
    client = await garage.client_of(member)
    await client.post("/api/v1/api-keys", json={"name": "k", "scopes": ["view"]})

    answer = await garage.client.delete(path(member.user_id))

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await client.get("/api/v1/me")).status_code == 401
    assert (await garage.client.get(path(member.user_id))).status_code == 404
    assert await garage.count("api_keys") == 0
    assert not await exists(garage, member.user_id)


async def test_who_belongs_to_another_garage_keeps_the_account(
    garage: Garage, other_garage: Garage
) -> None:
    user_id, name = await add_user(garage)
    await join(garage.database, other_garage.tenant_id, user_id, "member")

    for body in ({"name": "mine now"}, {"email": "m@example.com"}, {"is_disabled": True}):
        answer = await garage.client.patch(path(user_id), json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "shared_account")
    answer = await garage.client.post(f"{path(user_id)}/password-reset-link")
    assert (answer.status_code, answer.json()["code"]) == (409, "shared_account")
    assert (await garage.client.patch(path(user_id), json={"role": "admin"})).status_code == 200
    assert (await garage.client.delete(path(user_id))).status_code == 204

    assert (await other_garage.client.get(path(user_id))).json()["name"] == name
    async with anonymous_client(garage.app) as guest:
        tokens = await log_in(guest, name)
        me = (await guest.get("/api/v1/me", headers=bearer(tokens["token"]))).json()
        assert me["tenant"]["id"] == str(other_garage.tenant_id)


@pytest.mark.parametrize("change", ["demote", "disable", "remove"])
async def test_the_last_owner_stays(garage: Garage, change: str) -> None:
    owner = path(garage.owner.user_id)
    disabled = await garage.member("owner")
    await garage.client.patch(path(disabled.user_id), json={"is_disabled": True})

    match change:
        case "demote":
            answer = await garage.client.patch(owner, json={"role": "admin"})
        case "disable":
            answer = await garage.client.patch(owner, json={"is_disabled": True})
        case _:
            answer = await garage.client.delete(owner)

    assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")
    assert (await garage.client.get("/api/v1/me")).json()["role"] == "owner"


async def test_an_owner_who_is_not_the_last_may_go(garage: Garage) -> None:
    other = await garage.member("owner")

    assert (await garage.client.delete(path(garage.owner.user_id))).status_code == 204

    client = await garage.client_of(other)
    assert (await client.get("/api/v1/me")).json()["role"] == "owner"


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"is_disabled": True}])
async def test_two_owners_cannot_take_each_other_away_at_once(
    garage: Garage, change: dict[str, object]
) -> None:
    other = await garage.member("owner")
    client = await garage.client_of(other)

    answers = await asyncio.gather(
        garage.client.patch(path(other.user_id), json=change),
        client.patch(path(garage.owner.user_id), json=change),
    )

    assert sorted(answer.status_code for answer in answers) in ([200, 401], [200, 403], [200, 409])
    async with garage.database.session(garage.tenant_id) as session:
        owners = await session.scalar(
            text(
                "SELECT count(*) FROM memberships m JOIN users u ON u.id = m.user_id"
                " WHERE m.role = 'owner' AND u.disabled_at IS NULL"
            )
        )
    assert owners == 1


async def test_who_loses_their_role_while_waiting_for_their_turn_changes_nothing(
    garage: Garage,
) -> None:
    member = await garage.member("member")
    admin = await garage.member("admin")
    client = await garage.client_of(admin)
    async with garage.database.system_session() as session:
        await session.execute(
            text("SELECT FROM tenants WHERE id = :id FOR UPDATE"), {"id": garage.tenant_id}
        )
        requests = [
            asyncio.create_task(client.patch(path(member.user_id), json={"role": "admin"})),
            asyncio.create_task(client.delete(path(member.user_id))),
        ]
        await eventually(lambda: waiting(garage, 2))
        await session.execute(
            text("UPDATE memberships SET role = 'viewer' WHERE user_id = :id"),
            {"id": admin.user_id},
        )

    answers = await asyncio.gather(*requests)

    assert [answer.status_code for answer in answers] == [403, 403]
    assert [item["role"] for item in await members(garage)] == ["owner", "member", "viewer"]


async def waiting(garage: Garage, transactions: int) -> bool:
    async with garage.database.system_session() as session:
        count: int = await session.scalar(
            text("SELECT count(*) FROM pg_stat_activity WHERE pg_blocking_pids(pid) <> '{}'")
        )
    return count == transactions


async def test_an_admin_cannot_touch_owners_or_make_one(garage: Garage) -> None:
    admin = await garage.client_as("admin")
    owner = path(garage.owner.user_id)
    member = await garage.member("member")

    answers = [
        await admin.patch(owner, json={"name": "x"}),
        await admin.delete(owner),
        await admin.post(f"{owner}/password-reset-link"),
        await admin.patch(path(member.user_id), json={"role": "owner"}),
        await admin.post(USERS, json=new_user(garage, role="owner")),
    ]

    assert {answer.status_code for answer in answers} == {403}
    assert await garage.count("memberships") == 3
    assert [item["role"] for item in await members(garage)] == ["owner", "admin", "member"]


def requests_about(client: httpx.AsyncClient, user_id: int) -> list[Any]:
    return [
        client.get(path(user_id)),
        client.patch(path(user_id), json={"role": "admin"}),
        client.delete(path(user_id)),
        client.post(f"{path(user_id)}/password-reset-link"),
    ]


def every_request(client: httpx.AsyncClient, garage: Garage, user_id: int) -> list[Any]:
    return [
        client.get(USERS),
        client.post(USERS, json=new_user(garage)),
        *requests_about(client, user_id),
    ]


@pytest.mark.parametrize("who", ["anonymous", "member", "viewer"])
async def test_is_for_owners_and_administrators(garage: Garage, who: str) -> None:
    target = await garage.member("member")
    client = anonymous_client(garage.app) if who == "anonymous" else await garage.client_as(who)
    before = await members(garage)

    answers = await asyncio.gather(*every_request(client, garage, target.user_id))

    expected = 401 if who == "anonymous" else 403
    assert [answer.status_code for answer in answers] == [expected] * 6
    assert await members(garage) == before


async def test_shows_and_changes_nobody_of_another_garage(
    garage: Garage, other_garage: Garage
) -> None:
    before = await members(garage)

    answers = await asyncio.gather(*requests_about(other_garage.client, garage.owner.user_id))

    assert [answer.status_code for answer in answers] == [404] * 4
    assert await members(garage) == before


async def test_an_api_key_reads_but_does_not_manage(garage: Garage) -> None:
    target = await garage.member("member")
    body = {"name": "all", "scopes": ["view", "edit", "delete"]}
    key = (await garage.client.post("/api/v1/api-keys", json=body)).json()["key"]
    async with anonymous_client(garage.app) as guest:
        guest.headers["x-api-key"] = key

        answers = [await answer for answer in every_request(guest, garage, target.user_id)]

    codes = [answer.status_code for answer in answers]
    assert codes == [200, 403, 200, 403, 403, 403]
    assert answers[1].json()["code"] == "api_key_refused"


async def exists(garage: Garage, user_id: int) -> bool:
    async with garage.database.system_session() as session:
        found: bool = await session.scalar(
            text("SELECT EXISTS (SELECT FROM users WHERE id = :id)"), {"id": user_id}
        )
        return found
