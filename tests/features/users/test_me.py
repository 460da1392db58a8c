import httpx
import pytest
from sqlalchemy import text

from motovaultpro.core.security.actor import Role
from motovaultpro.core.settings import Settings
from motovaultpro.features.users import facade as users
from tests.factories.garages import Garage, anonymous_client, make_garage
from tests.factories.logins import PASSWORD, add_user, basic, bearer, log_in, replica, visitor

ME = "/api/v1/me"
DEFAULTS: dict[str, object] = {
    "distance_unit": None,
    "volume_unit": None,
    "currency": None,
    "locale": None,
    "time_zone": None,
    "theme": "system",
    "auto_odometer": False,
    "economy_style": None,
    "lubelogger": {},
}


async def test_says_who_one_is(garage: Garage) -> None:
    answer = await garage.client.get(ME)

    assert answer.status_code == 200
    me = answer.json()
    assert me.pop("tenant")["id"] == str(garage.tenant_id)
    assert me == {
        "id": garage.owner.user_id,
        "name": garage.owner.name,
        "email": None,
        "role": "owner",
        "preferences": DEFAULTS,
        "scopes": ["delete", "edit", "view"],
    }


async def test_anonymous_is_nobody(garage: Garage) -> None:
    async with anonymous_client(garage.app) as guest:
        assert (await guest.get(ME)).status_code == 401
        assert (await guest.patch(ME, json={})).status_code == 401


async def test_answers_304_while_nothing_changed(garage: Garage) -> None:
    tag = (await garage.client.get(ME)).headers["etag"]

    assert (await garage.client.get(ME, headers={"If-None-Match": tag})).status_code == 304


@pytest.mark.parametrize("role", list(Role))
async def test_everybody_sets_preferences(garage: Garage, role: Role) -> None:
    client = await garage.client_as(role)
    chosen = {
        "distance_unit": "km",
        "volume_unit": "l",
        "currency": "EUR",
        "locale": "de-AT",
        "time_zone": "Europe/Vienna",
        "theme": "dark",
        "auto_odometer": True,
        "economy_style": "l_per_100km",
    }

    answer = await client.patch(ME, json={"preferences": chosen})

    assert answer.status_code == 200
    assert answer.json()["preferences"] == {**chosen, "lubelogger": {}}
    read = await client.get(ME)
    assert (read.json(), read.headers["etag"]) == (answer.json(), answer.headers["etag"])


async def test_changes_only_what_is_named_and_null_takes_back(garage: Garage) -> None:
    await garage.client.patch(ME, json={"preferences": {"currency": "EUR", "locale": "fr"}})

    answer = await garage.client.patch(
        ME, json={"preferences": {"currency": None, "auto_odometer": True}}
    )

    expected = {**DEFAULTS, "locale": "fr", "auto_odometer": True}
    assert answer.json()["preferences"] == expected


async def test_keeps_what_came_from_lubelogger(garage: Garage) -> None:
    async with garage.database.session(garage.tenant_id) as session:
        await users.set_preferences(
            session, garage.tenant_id, garage.owner.user_id, {"lubelogger": {"HideZero": True}}
        )

    answer = await garage.client.patch(ME, json={"preferences": {"theme": "light"}})

    expected = {**DEFAULTS, "theme": "light", "lubelogger": {"HideZero": True}}
    assert answer.json()["preferences"] == expected


async def test_refuses_a_change_of_what_somebody_else_changed(garage: Garage) -> None:
    tag = (await garage.client.get(ME)).headers["etag"]
    await garage.client.patch(ME, json={"preferences": {"locale": "fr"}})

    answer = await garage.client.patch(
        ME, json={"preferences": {"locale": "de"}}, headers={"If-Match": tag}
    )

    assert answer.status_code == 412
    assert (await garage.client.get(ME)).json()["preferences"]["locale"] == "fr"


async def test_a_new_address_needs_the_current_password(garage: Garage) -> None:
    """A reset link goes there: whoever finds a browser signed in must not be able to have it sent to them."""
    user_id, name = await add_user(garage, role="viewer")
    address = f"{garage.tenant_id}@example.com"
    async with visitor(garage.app) as client:
        client.headers.update(bearer((await log_in(client, name))["token"]))

        for given in ({}, {"current_password": "wrong"}, {"current_password": None}):
            answer = await client.patch(ME, json={"email": address, **given})
            assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
            assert [error["field"] for error in answer.json()["fields"]] == ["current_password"]
        answer = await client.patch(ME, json={"email": address, "current_password": PASSWORD})
        assert (answer.status_code, answer.json()["email"]) == (200, address)
        answer = await client.patch(ME, json={"email": None})
        assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY

    async with garage.database.session(garage.tenant_id) as session:
        events = await session.scalars(
            text("SELECT payload FROM outbox WHERE type = 'user.updated' AND user_id = :id"),
            {"id": user_id},
        )
        assert [event["data"] for event in events] == [{"fields": ["email"]}]


async def test_guesses_of_the_current_password_are_limited(settings: Settings) -> None:
    security = settings.security.model_copy(update={"sign_in_rate": "3/hour"})
    strict = settings.model_copy(update={"security": security})
    async with replica(strict) as app, make_garage(app) as garage:
        guess = {"email": "x@example.com", "current_password": "a guess"}
        codes = [(await garage.client.patch(ME, json=guess)).status_code for _ in range(4)]

    assert codes == [422, 422, 422, 429]


async def test_refuses_an_address_that_another_user_has(garage: Garage) -> None:
    address = f"{garage.tenant_id}@example.com"
    await add_user(garage, email=address)
    _, name = await add_user(garage)
    body = {
        "email": address.upper(),
        "current_password": PASSWORD,
        "preferences": {"locale": "fr"},
    }
    async with visitor(garage.app) as client:
        client.headers.update(basic(name))

        answer = await client.patch(ME, json=body)
        me = (await client.get(ME)).json()

    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")
    assert (me["email"], me["preferences"]["locale"]) == (None, None)


async def test_an_api_key_changes_preferences_but_not_the_address(garage: Garage) -> None:
    made = await garage.client.post("/api/v1/api-keys", json={"name": "k", "scopes": ["edit"]})
    async with anonymous_client(garage.app) as guest:
        guest.headers["x-api-key"] = made.json()["key"]

        answer = await guest.patch(ME, json={"preferences": {"locale": "fr"}})
        assert answer.status_code == 200
        answer = await guest.patch(ME, json={"email": "thief@example.com"})
        assert (answer.status_code, answer.json()["code"]) == (403, "api_key_refused")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "name"),
        ({"email": "not an address"}, "email"),
        ({"email": "a\r\nb@example.com"}, "email"),
        ({"preferences": None}, "preferences"),
        ({"preferences": {"lubelogger": {}}}, "preferences.lubelogger"),
        ({"preferences": {"distance_unit": "furlong"}}, "preferences.distance_unit"),
        ({"preferences": {"currency": "XXX"}}, "preferences.currency"),
        ({"preferences": {"currency": "eur"}}, "preferences.currency"),
        ({"preferences": {"locale": "x"}}, "preferences.locale"),
        ({"preferences": {"time_zone": "../../etc/passwd"}}, "preferences.time_zone"),
        ({"preferences": {"theme": "pink"}}, "preferences.theme"),
        ({"preferences": {"economy_style": "fast"}}, "preferences.economy_style"),
    ],
)
async def test_refuses_what_is_not_valid(
    garage: Garage, body: dict[str, object], field: str
) -> None:
    answer = await garage.client.patch(ME, json=body)

    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert [error["field"] for error in answer.json()["fields"]] == [field]
    assert (await garage.client.get(ME)).json()["preferences"] == DEFAULTS
