import hashlib
from unittest.mock import ANY

import httpx
import pytest
from dirty_equals import IsPositiveInt, IsStr

from motovaultpro.core.observability.metrics import LOGINS
from motovaultpro.core.security.credentials import SESSION_COOKIE
from tests.factories.garages import Garage
from tests.factories.logins import PASSWORD, add_user, bearer, join, log_in, stored_password

LOGIN = "/api/auth/login"


async def test_answers_tokens_that_sign_requests_in(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    user_id, name = await add_user(garage, role="viewer")

    answer = await guest.post(LOGIN, json={"name": name, "password": PASSWORD})

    assert answer.status_code == 200
    assert answer.json() == {
        "token": IsStr(min_length=100),
        "refresh_token": IsStr(regex="mvr_.+"),
        "expires_in": IsPositiveInt(),
        "token_type": "Bearer",
    }
    assert answer.headers["cache-control"] == "no-store"
    assert SESSION_COOKIE not in answer.cookies
    me = (await guest.get("/api/v1/me", headers=bearer(answer.json()["token"]))).json()
    assert (me["id"], me["role"]) == (user_id, "viewer")
    assert me["tenant"]["id"] == str(garage.tenant_id)


@pytest.mark.parametrize("field", ["name", "username", "userName"])
@pytest.mark.parametrize("kind", ["json", "urlencoded", "multipart"])
async def test_takes_json_and_forms(
    garage: Garage, guest: httpx.AsyncClient, kind: str, field: str
) -> None:
    _, name = await add_user(garage)
    fields = {field: name, "password": PASSWORD}
    match kind:
        case "json":
            answer = await guest.post(LOGIN, json=fields)
        case "urlencoded":
            answer = await guest.post(LOGIN, data=fields)
        case _:
            answer = await guest.post(
                LOGIN, files={name: (None, value) for name, value in fields.items()}
            )

    assert answer.status_code == 200, answer.text


async def test_the_name_counts_in_any_case(garage: Garage, guest: httpx.AsyncClient) -> None:
    _, name = await add_user(garage)

    await log_in(guest, name.upper())


@pytest.mark.parametrize("remember", [False, True])
async def test_sets_a_cookie_instead_for_browsers(
    garage: Garage, guest: httpx.AsyncClient, remember: bool
) -> None:
    user_id, name = await add_user(garage)

    answer = await guest.post(
        LOGIN,
        json={"name": name, "password": PASSWORD, "session": "cookie", "remember": remember},
    )

    assert (answer.status_code, answer.content) == (204, b"")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie  # public_url is http
    assert ("Max-Age" in cookie) is remember
    assert (await guest.get("/api/v1/me")).json()["id"] == user_id


async def test_another_site_cannot_set_the_cookie(garage: Garage, guest: httpx.AsyncClient) -> None:
    _, name = await add_user(garage)

    answer = await guest.post(
        LOGIN,
        json={"name": name, "password": PASSWORD, "session": "cookie"},
        headers={"Origin": "https://evil.example"},
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert await garage.count("sessions") == 1


@pytest.mark.parametrize("case", ["wrong password", "unknown", "disabled", "no password"])
async def test_every_refusal_is_the_same(
    garage: Garage, guest: httpx.AsyncClient, case: str
) -> None:
    _, name = await add_user(
        garage,
        **{
            "wrong password": {},
            "unknown": {},
            "disabled": {"disabled_at": garage.app.state.clock()},
            "no password": {"password_hash": None},
        }[case],
    )
    failures = LOGINS.labels("password", "failure")._value.get()

    answer = await guest.post(
        LOGIN,
        json={
            "name": "nobody" if case == "unknown" else name,
            "password": "wrong" if case == "wrong password" else PASSWORD,
        },
    )

    assert answer.status_code == 401
    assert answer.json() == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "The name or the password is wrong.",
        "code": "wrong_login",
        "instance": LOGIN,
        "correlation_id": ANY,
        "fields": [],
    }
    assert "WWW-Authenticate" in answer.headers
    assert LOGINS.labels("password", "failure")._value.get() == failures + 1
    assert await garage.count("sessions") == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"name": "x"}, 422),
        ({"name": "x", "password": "y", "admin": True}, 422),
        ({"name": ["x"], "password": "y"}, 422),
        ({"name": "x", "password": "y" * 1025}, 422),
        ({"name": "x", "password": "y", "session": "both"}, 422),
        ([], 422),
        ("x", 422),
    ],
)
async def test_refuses_a_malformed_body(
    guest: httpx.AsyncClient, body: object, status: int
) -> None:
    answer = await guest.post(LOGIN, json=body)

    assert answer.status_code == status
    assert "yyyy" not in answer.text


async def test_refuses_what_is_neither_json_nor_a_form(guest: httpx.AsyncClient) -> None:
    assert (await guest.post(LOGIN, content=b"{", headers={})).status_code == 400
    answer = await guest.post(LOGIN, files={"password": ("a.txt", b"x")}, data={"name": "x"})
    assert answer.status_code == 400


async def test_a_password_from_lubelogger_works_and_is_upgraded(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    legacy = "lubelogger-sha256$" + hashlib.sha256(b"1234").hexdigest()
    user_id, name = await add_user(garage, stored=legacy)

    await log_in(guest, name, "1234")

    stored = await stored_password(garage, user_id)
    assert stored.startswith("$argon2id$")
    await log_in(guest, name, "1234")
    assert await stored_password(garage, user_id) == stored


async def test_a_wrong_password_leaves_lubeloggers_hash_alone(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    legacy = "lubelogger-sha256$" + hashlib.sha256(b"1234").hexdigest()
    user_id, name = await add_user(garage, stored=legacy)

    answer = await guest.post(LOGIN, json={"name": name, "password": "12345"})

    assert answer.status_code == 401
    assert await stored_password(garage, user_id) == legacy


@pytest.mark.parametrize("in_capitals", [False, True])
async def test_a_root_user_known_by_hash_signs_in_and_gets_the_name(
    garage: Garage, guest: httpx.AsyncClient, in_capitals: bool
) -> None:
    root = f"root-{garage.tenant_id}"
    user_id, _ = await add_user(
        garage, role="owner", name=None, name_sha256=hashlib.sha256(root.encode()).digest()
    )
    tokens = await log_in(guest, root.upper() if in_capitals else root)

    me = (await guest.get("/api/v1/me", headers=bearer(tokens["token"]))).json()
    assert (me["id"], me["name"], me["role"]) == (user_id, root, "owner")


async def test_a_hashed_name_that_somebody_else_has_stays_hashed(
    garage: Garage, guest: httpx.AsyncClient
) -> None:
    _, name = await add_user(garage, stored="$argon2id$unreadable")
    user_id, _ = await add_user(
        garage, name=None, name_sha256=hashlib.sha256(name.encode()).digest()
    )

    tokens = await log_in(guest, name)

    me = (await guest.get("/api/v1/me", headers=bearer(tokens["token"]))).json()
    assert (me["id"], me["name"]) == (user_id, None)


async def test_signs_in_to_the_garage_the_user_belongs_to_longest(
    garage: Garage, other_garage: Garage, guest: httpx.AsyncClient
) -> None:
    user_id, name = await add_user(garage)
    await join(garage.database, other_garage.tenant_id, user_id, "owner")

    tokens = await log_in(guest, name)

    me = (await guest.get("/api/v1/me", headers=bearer(tokens["token"]))).json()
    assert (me["tenant"]["id"], me["role"]) == (str(garage.tenant_id), "member")


@pytest.mark.parametrize("path", ["login", "refresh", "setup", "password-reset"])
async def test_strangers_send_little(guest: httpx.AsyncClient, path: str) -> None:
    """To say what is wrong with a megabyte of unknown fields takes most of a second."""
    answer = await guest.post(f"/api/auth/{path}", json={f"field{i}": 1 for i in range(2000)})

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
