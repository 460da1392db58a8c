import asyncio
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from motovaultpro.core.clock import system_clock
from motovaultpro.core.database import Database
from motovaultpro.core.idempotency import HEADER, delete_old
from tests.core.conftest import Counters

ClientOf = Callable[..., httpx.AsyncClient]
KEY = {HEADER: "5f0c"}
INCREMENT = "/counters/1/increment"


async def test_a_repeat_gets_the_first_answer_and_does_nothing(
    small: FastAPI, client: httpx.AsyncClient, counters: Counters
) -> None:
    first = await client.post("/counters", json={"id": 7}, headers=KEY)
    again = await client.post("/counters", json={"id": 7}, headers=KEY)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"] == "/counters/7"
    assert again.headers["Idempotency-Replayed"] == "true"
    same = {**again.headers}
    del same["idempotency-replayed"]
    assert same == {**first.headers}
    assert small.state.script.runs == 1
    assert counters.values() == {1: 0, 2: 0, 7: 0}


async def test_without_a_key_every_request_counts(
    client: httpx.AsyncClient, counters: Counters
) -> None:
    for _ in range(2):
        response = await client.post(INCREMENT)
        assert response.status_code == 201
        assert "Idempotency-Replayed" not in response.headers
    assert counters.values()[1] == 2


async def test_concurrent_repeats_create_one(
    small: FastAPI, client: httpx.AsyncClient, counters: Counters
) -> None:
    answers = await asyncio.gather(*(client.post(INCREMENT, headers=KEY) for _ in range(10)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 9
    assert small.state.script.runs == 1
    assert counters.values()[1] == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [("/counters", {"id": 8}), ("/counters?x=1", {"id": 7}), (INCREMENT, {"id": 7})],
)
async def test_a_key_of_another_request_is_refused(
    client: httpx.AsyncClient, counters: Counters, path: str, body: dict[str, int]
) -> None:
    await client.post("/counters", json={"id": 7}, headers=KEY)
    response = await client.post(path, json=body, headers=KEY)

    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert counters.values() == {1: 0, 2: 0, 7: 0}


async def test_keys_of_others_are_their_own(
    client_of: ClientOf, tenant_id: UUID, other_tenant_id: UUID, counters: Counters
) -> None:
    for tenant, user in ((tenant_id, 1), (tenant_id, 2), (other_tenant_id, 1)):
        async with client_of(tenant, user=user) as client:
            response = await client.post(INCREMENT, headers=KEY)
            assert "Idempotency-Replayed" not in response.headers
    assert counters.values()[1] == 3


async def test_a_failed_first_attempt_does_not_use_up_the_key(
    small: FastAPI, client: httpx.AsyncClient, counters: Counters
) -> None:
    small.state.script.statements = ["SELECT absent"]
    failed = await client.post("/counters", json={"id": 7}, headers=KEY)
    assert failed.status_code == 500

    # Not even for another body: nothing was saved under it.
    answer = await client.post("/counters", json={"id": 8}, headers=KEY)
    assert answer.status_code == 201
    assert set(counters.values()) == {1, 2, 8}


async def test_a_repeat_that_waited_for_a_failure_does_the_work(
    small: FastAPI, client: httpx.AsyncClient, counters: Counters
) -> None:
    small.state.script.statements = ["SELECT absent FROM pg_sleep(0.2)"] * 3
    answers = await asyncio.gather(*(client.post(INCREMENT, headers=KEY) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [500] * 3
    assert counters.values()[1] == 1


@pytest.mark.parametrize("key", ["", " ", "two words", "x" * 256, "caf\u00e9", "tab\there"])
async def test_refuses_a_malformed_key(
    client: httpx.AsyncClient, counters: Counters, key: str
) -> None:
    headers = [(HEADER.encode(), key.encode("latin-1"))]
    response = await client.post(INCREMENT, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_idempotency_key")
    assert counters.values()[1] == 0


@pytest.mark.parametrize("key", ["x", "x" * 255, "!~\"'"])
async def test_takes_any_visible_key(client: httpx.AsyncClient, key: str) -> None:
    for replayed in (False, True):
        response = await client.post(INCREMENT, headers={HEADER: key})
        assert response.status_code == 201
        assert ("Idempotency-Replayed" in response.headers) is replayed


async def test_keys_are_forgotten_after_a_day(
    client: httpx.AsyncClient, database: Database, counters: Counters
) -> None:
    now = system_clock()  # as the database stamps keys with the real time
    await client.post(INCREMENT, headers=KEY)
    await delete_old(database, lambda: now + timedelta(hours=23))
    await client.post(INCREMENT, headers=KEY)
    assert counters.values()[1] == 1

    await delete_old(database, lambda: now + timedelta(hours=25))
    await client.post(INCREMENT, headers=KEY)
    assert counters.values()[1] == 2
