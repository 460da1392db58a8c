import asyncio
import base64
import json
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from motovaultpro.core.database import Database
from motovaultpro.core.errors import UnauthorizedError
from motovaultpro.core.security.actor import Role
from motovaultpro.core.settings import Settings
from motovaultpro.features.access_tokens.facade import AccessTokens
from motovaultpro.features.access_tokens.tasks import rotate_signing_keys
from tests.factories.garages import Garage, anonymous_client
from tests.factories.logins import (
    MovableClock,
    add_user,
    bearer,
    log_in,
    replica,
    signing_keys_kept,
)

TENANT = UUID("0198c0de-0000-7000-8000-000000000001")


@pytest.fixture(autouse=True)
async def no_keys(database: Database) -> AsyncIterator[None]:
    async with signing_keys_kept(database):
        yield


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


class Replica:
    """The tokens of one process; `wait` makes time pass for its timer, `clock` for everybody."""

    def __init__(self, settings: Settings, database: Database, clock: MovableClock) -> None:
        self.seconds = 0.0
        self.tokens = AccessTokens(
            settings, database, clock, timer=lambda: self.seconds, pause=self._pause
        )

    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    async def _pause(self, seconds: float) -> None:
        self.wait(seconds)

    async def issue(self) -> str:
        return await self.tokens.issue(
            user_id=1, tenant_id=TENANT, role=Role.MEMBER, session_id=uuid4().int >> 96
        )


@pytest.fixture
def one(settings: Settings, database: Database, clock: MovableClock) -> Replica:
    return Replica(settings, database, clock)


@pytest.fixture
def two(settings: Settings, database: Database, clock: MovableClock) -> Replica:
    return Replica(settings, database, clock)


async def key_ids(database: Database) -> list[str]:
    async with database.system_session() as session:
        rows = await session.execute(text("SELECT kid FROM signing_keys ORDER BY created_at"))
        return list(rows.scalars())


async def test_the_first_token_makes_the_first_key(one: Replica, database: Database) -> None:
    claims = await one.tokens.verify(await one.issue())

    assert (claims.user_id, claims.tenant_id, claims.role) == (1, TENANT, Role.MEMBER)
    await one.issue()
    assert len(await key_ids(database)) == 1


async def test_another_replica_knows_a_key_as_soon_as_it_was_made(
    one: Replica, two: Replica
) -> None:
    with pytest.raises(UnauthorizedError):
        await two.tokens.verify("no.to.ken")  # it has read the keys: none
    token = await one.issue()

    assert (await two.tokens.verify(token)).user_id == 1


async def test_nonsense_does_not_make_it_read_the_keys_each_time(
    one: Replica, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await one.issue()
    reads = 0
    open_session = database.system_session

    def counting() -> object:
        nonlocal reads
        reads += 1
        return open_session()

    monkeypatch.setattr(database, "system_session", counting)
    for token in ("x", "e30.e30.e30", "eyJraWQiOjF9.e30.x", "W10.e30.x", "____.x.x") * 5:
        with pytest.raises(UnauthorizedError):
            await one.tokens.verify(token)

    assert reads == 0


async def test_an_old_key_verifies_until_its_last_token_has_expired(
    one: Replica, two: Replica, settings: Settings, database: Database, clock: MovableClock
) -> None:
    await one.issue()
    [old] = await key_ids(database)
    await rotate_signing_keys(settings, database, clock)
    assert await key_ids(database) == [old]
    clock.advance(days=29, hours=23, minutes=55)
    token = await one.issue()
    clock.advance(minutes=5)

    await rotate_signing_keys(settings, database, clock)
    await rotate_signing_keys(settings, database, clock)

    assert len(await key_ids(database)) == 2
    one.wait(60)
    assert (await one.tokens.verify(token)).user_id == 1
    assert (await two.tokens.verify(token)).user_id == 1
    assert _key_of(await one.issue()) == old  # the new key settles first
    clock.advance(minutes=2)
    assert _key_of(await one.issue()) != old
    clock.advance(days=2)
    await rotate_signing_keys(settings, database, clock)
    assert len(await key_ids(database)) == 1
    assert old not in await key_ids(database)


async def test_a_key_that_was_taken_away_verifies_nothing_any_more(
    one: Replica, settings: Settings, database: Database, clock: MovableClock
) -> None:
    token = await one.issue()
    await one.tokens.verify(token)
    async with database.system_session() as session:
        await session.execute(text("DELETE FROM signing_keys"))
    await rotate_signing_keys(settings, database, clock)
    one.wait(60)

    with pytest.raises(UnauthorizedError):
        await one.tokens.verify(token)


async def test_a_remembered_token_expires_all_the_same(one: Replica, clock: MovableClock) -> None:
    token = await one.issue()
    await one.tokens.verify(token)

    clock.advance(minutes=15, seconds=4)
    await one.tokens.verify(token)
    clock.advance(seconds=2)
    with pytest.raises(UnauthorizedError):
        await one.tokens.verify(token)


async def test_after_a_change_of_the_secret_key_new_keys_are_made(
    one: Replica, settings: Settings, database: Database, clock: MovableClock
) -> None:
    token = await one.issue()
    security = settings.security.model_copy(update={"secret_key": SecretStr(uuid4().hex)})
    changed = Replica(settings.model_copy(update={"security": security}), database, clock)

    with pytest.raises(UnauthorizedError):
        await changed.tokens.verify(token)
    assert (await changed.tokens.verify(await changed.issue())).user_id == 1
    assert len(await key_ids(database)) == 2


async def test_shows_the_public_keys_to_everybody(settings: Settings) -> None:
    async with replica(settings) as app, anonymous_client(app) as guest:
        assert (await guest.get("/auth/jwks.json")).json() == {"keys": []}
        authenticator = app.state.authenticator
        await authenticator.sign_in.tokens.issue(
            user_id=1, tenant_id=TENANT, role=Role.OWNER, session_id=1
        )

        answer = await guest.get("/auth/jwks.json")

    assert answer.status_code == httpx.codes.OK
    assert answer.headers["cache-control"] == "public, max-age=60"
    [key] = answer.json()["keys"]
    assert (key["kty"], key["crv"], key["use"]) == ("OKP", "Ed25519", "sig")
    assert "d" not in key


async def test_a_token_from_one_replica_signs_in_at_another(
    settings: Settings, garage: Garage
) -> None:
    _, name = await add_user(garage)
    async with replica(settings) as here, replica(settings) as there:
        async with anonymous_client(here) as guest:
            token = (await log_in(guest, name))["token"]
        async with anonymous_client(there) as guest:
            answer = await guest.get("/api/v1/me", headers=bearer(token))

    assert answer.status_code == httpx.codes.OK


async def test_two_replicas_that_start_together_make_one_key(
    one: Replica, two: Replica, database: Database
) -> None:
    tokens = await asyncio.gather(one.issue(), two.issue())

    assert len(await key_ids(database)) == 1
    assert _key_of(tokens[0]) == _key_of(tokens[1])


def _key_of(token: str) -> str:
    head = token.partition(".")[0]
    key_id: str = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    return key_id
