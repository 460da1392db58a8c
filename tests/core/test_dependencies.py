import asyncio
from collections.abc import Callable
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from motovaultpro.core.database import Database
from motovaultpro.standalone.components.postgres import Postgres
from tests.core.conftest import Counters, OpenDatabase
from tests.core.small_app import Script, small_app
from tests.factories.eventually import eventually
from tests.factories.proxy import Proxy

ClientOf = Callable[..., httpx.AsyncClient]

DEADLOCK = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$"
SUICIDE = "SELECT pg_terminate_backend(pg_backend_pid())"
TWICE = (
    "UPDATE scratch.counters SET serial = 1"  # against a constraint that is checked at the commit
)
LOST_AT_THE_COMMIT = "UPDATE scratch.counters SET value = 1000 WHERE id = 1"


def script_of(app: FastAPI, *statements: str) -> Script:
    script: Script = app.state.script
    script.statements = list(statements)
    return script


@pytest.mark.parametrize(
    "mishaps",
    [[DEADLOCK], [SUICIDE], [DEADLOCK, SUICIDE], [LOST_AT_THE_COMMIT, LOST_AT_THE_COMMIT]],
)
async def test_runs_an_interrupted_request_again_as_a_whole(
    small: FastAPI, client: httpx.AsyncClient, counters: Counters, mishaps: list[str]
) -> None:
    script = script_of(small, *mishaps)
    response = await client.post("/counters", json={"id": 7, "value": 7})

    assert response.status_code == 201
    assert response.json() == {"id": 7, "run": script.runs}
    assert script.runs == (2 if mishaps[-1] is LOST_AT_THE_COMMIT else len(mishaps) + 1)
    assert counters.values()[7] == 7


async def test_each_attempt_ends_before_the_next_begins(
    client_of: ClientOf, open_database: OpenDatabase, small: FastAPI, tenant_id: UUID
) -> None:
    """Else, with one connection, the second attempt would wait for the first for ever."""
    narrow: Database = await open_database(pool_min=1, pool_max=1, pool_wait_seconds=2)
    app = small_app(narrow, small.state.cache)
    script = script_of(app, DEADLOCK, DEADLOCK)
    async with client_of(tenant_id, app=app) as client:
        response = await client.post("/counters", json={"id": 7})
    assert (response.status_code, script.runs) == (201, 3)
    assert narrow.pool_in_use == 0


async def test_gives_up_with_503(
    small: FastAPI, client: httpx.AsyncClient, counters: Counters
) -> None:
    script = script_of(small, *[DEADLOCK] * 5)
    response = await client.post("/counters", json={"id": 7})
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert "retry-after" in response.headers
    assert script.runs == 3
    assert 7 not in counters.values()


async def test_a_failing_commit_is_no_success(
    small: FastAPI, client: httpx.AsyncClient, counters: Counters
) -> None:
    script = script_of(small, TWICE)
    response = await client.post("/counters", json={"id": 7})
    assert response.status_code == 500
    assert script.runs == 1
    assert 7 not in counters.values()


async def test_a_commit_cut_off_is_503_and_its_repeat_is_safe(
    client_of: ClientOf,
    open_database: OpenDatabase,
    small: FastAPI,
    proxy: Proxy,
    postgres: Postgres,
    tenant_id: UUID,
    counters: Counters,
) -> None:
    database: Database = await open_database(url=proxy.url(postgres.app_url), pool_min=1)
    app = small_app(database, small.state.cache)
    headers = {"Idempotency-Key": "cut"}
    async with client_of(tenant_id, app=app) as client:
        proxy.reset_at(b"COMMIT", after_answer=True)
        cut = await client.post("/counters", json={"id": 7}, headers=headers)
        assert (cut.status_code, cut.json()["code"]) == (503, "outcome_unknown")
        await eventually(lambda: 7 in counters.values())

        again = await client.post("/counters", json={"id": 7}, headers=headers)
        assert (again.status_code, again.json()) == (201, {"id": 7, "run": 1})
    assert app.state.script.runs == 1


async def test_an_expected_error_rolls_back(client: httpx.AsyncClient, counters: Counters) -> None:
    response = await client.post("/refusals")
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert counters.values() == {1: 0, 2: 0}


async def test_a_client_who_leaves_leaves_nothing_open(
    small: FastAPI, client: httpx.AsyncClient, counters: Counters
) -> None:
    script = script_of(small, "SELECT pg_sleep(30)")
    request = asyncio.create_task(client.post("/counters", json={"id": 7}))
    await eventually(lambda: script.runs)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)

    assert (await client.post("/counters", json={"id": 8})).status_code == 201
    assert set(counters.values()) == {1, 2, 8}
    assert small.state.database.pool_in_use == 0


async def test_anonymous_requests_are_refused(small: FastAPI) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(small), base_url="http://test"
    ) as anonymous:
        assert (await anonymous.get("/counters/1")).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "scope", "expected"),
    [
        ("GET", "/counters/1", "view", 200),
        ("GET", "/counters/1", "edit", 403),
        ("POST", "/refusals", "edit", 409),
        ("POST", "/refusals", "view", 403),
        ("DELETE", "/counters", "delete", 200),
        ("DELETE", "/counters", "edit", 403),
    ],
)
async def test_an_api_key_needs_the_scope_of_the_method(
    client: httpx.AsyncClient, method: str, path: str, scope: str, expected: int
) -> None:
    response = await client.request(method, path, headers={"x-scope": scope})
    assert response.status_code == expected


async def test_answers_json_with_its_tag_and_304_to_who_has_it(client: httpx.AsyncClient) -> None:
    first = await client.get("/counters/1")
    assert first.json() == {"value": 0}
    again = await client.get("/counters/1", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_query_knows_who_asks(client_of: ClientOf, tenant_id: UUID) -> None:
    async with client_of(tenant_id, user=42) as client:
        assert (await client.get("/identity")).json() == {"user": 42, "role": "owner"}


@pytest.mark.parametrize("path", ["/counters/3", "/cached/3"])
async def test_what_is_not_there_is_404(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_an_absence_is_not_cached(client: httpx.AsyncClient) -> None:
    assert (await client.get("/cached/3")).status_code == 404
    await client.post("/counters", json={"id": 3, "value": 3})
    assert (await client.get("/cached/3")).json() == {"value": 3}


async def test_answers_from_the_cache_until_a_write(
    client: httpx.AsyncClient, counters: Counters
) -> None:
    assert (await client.get("/cached/1")).json() == {"value": 0}
    counters.set(_1=5)  # behind the application's back
    assert (await client.get("/cached/1")).json() == {"value": 0}

    await client.post("/counters/1/increment")
    assert (await client.get("/cached/1")).json() == {"value": 6}


async def test_tenants_share_no_cached_answer(
    client_of: ClientOf, tenant_id: UUID, other_tenant_id: UUID, counters: Counters
) -> None:
    async with client_of(tenant_id) as ours, client_of(other_tenant_id) as theirs:
        assert (await ours.get("/cached/1")).json() == {"value": 0}
        counters.set(_1=5)
        assert (await theirs.get("/cached/1")).json() == {"value": 5}
