import json
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motovaultpro.core.http.bodies import UnstorableTextError, check_body, replay
from tests.core.http.conftest import LIMIT

JSON = {"Content-Type": "application/json"}


async def chunks(size: int, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


async def test_passes_a_body_on_as_it_came(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/vehicles/raw", content=chunks(100, 10))
    assert answer.json() == {"size": 1000}


async def test_a_body_at_the_limit_is_taken(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/vehicles/raw", content=b"x" * LIMIT)
    assert answer.json() == {"size": LIMIT}


async def test_a_body_that_says_it_is_too_large_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/vehicles/raw", content=b"x" * (LIMIT + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "too_large"


async def test_a_body_of_unknown_length_is_counted(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/vehicles/raw", content=chunks(LIMIT, 2))
    assert answer.status_code == 413


async def test_stops_reading_an_endless_body(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 1024 * 1024

    answer = await client.post("/api/vehicles/raw", content=endless())
    assert answer.status_code == 413
    assert sent <= 18


async def test_a_client_that_asks_first_is_told_before_it_sends(client: httpx.AsyncClient) -> None:
    async def unsent() -> AsyncIterator[bytes]:
        pytest.fail("read")
        yield b""

    headers = {"Expect": "100-continue", "Content-Length": str(LIMIT + 1)}
    answer = await client.post("/api/vehicles/raw", content=unsent(), headers=headers)
    assert answer.status_code == 413


async def test_uploads_are_streamed_without_limit(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/octet-stream"}
    answer = await client.post("/api/vehicles/uploads", content=chunks(LIMIT, 20), headers=headers)
    assert answer.json() == {"size": 20 * LIMIT}


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
async def test_what_is_no_file_is_limited_on_upload_paths_too(
    client: httpx.AsyncClient, kind: str
) -> None:
    headers = {"Content-Type": kind}
    answer = await client.post("/api/vehicles/uploads", content=chunks(LIMIT, 2), headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "text",
    [
        r'"\u0000"',
        r'{"\u0000": 1}',
        r'"\\\u0000"',
        r'"\ud800"',
        r'"\uDFFF"',
        r'"\ud800\n"',
        r'"\ud800\ud800"',
        r'"\udc00\ud800"',
        r'"\ud83d\u0041"',
    ],
)
async def test_refuses_json_that_the_database_cannot_store(
    client: httpx.AsyncClient, text: str
) -> None:
    answer = await client.post("/api/vehicles/echo", content=text, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["code"] == "unstorable_text"


@pytest.mark.parametrize(
    "text",
    [r'"\\u0000"', r'"\\\\ud800"', r'"\ud83d\ude97"', r'"\u00e9\n\"\/"', '"ü🚗"', r'"u0000"'],
)
async def test_takes_json_that_only_looks_like_it(client: httpx.AsyncClient, text: str) -> None:
    answer = await client.post("/api/vehicles/echo", content=text, headers=JSON)
    assert answer.json() == {"value": json.loads(text)}


@given(
    st.text(alphabet=st.characters(exclude_categories=[]) | st.sampled_from("\0\\u0d8\ud83d\ude97"))
)
def test_refuses_exactly_the_text_that_cannot_be_encoded(text: str) -> None:
    # Adjacent halves written as escapes are one character to the parser.
    parsed = json.loads(json.dumps(text))
    try:
        storable = "\0" not in parsed and bool(parsed.encode() or True)
    except UnicodeEncodeError:
        storable = False
    try:
        check_body(json.dumps(text).encode(), b"application/json")
    except UnstorableTextError:
        assert not storable
    else:
        assert storable


@pytest.mark.parametrize(
    "body", ['"ü"'.encode("latin-1"), '"\\u0000"'.encode("utf-16"), '"a"'.encode("utf-32-le")]
)
async def test_refuses_json_in_another_encoding(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/api/vehicles/echo", content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["code"] == "malformed_json"


async def test_deep_nesting_is_the_clients_mistake(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/vehicles/echo", content=b"[" * LIMIT, headers=JSON)
    assert answer.status_code == 400


def test_checks_a_large_body_of_escapes_in_linear_time() -> None:
    check_body(b'"' + rb"\\u0000\ud83d\ude97" * 60_000 + b'"', b"application/json")


async def test_refuses_nul_in_forms(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.post("/api/vehicles/form", data={"name": "a\0b"}),
        await client.post("/api/vehicles/form", files={"name": (None, "a\0b")}),
    ):
        assert answer.status_code == 400
        assert answer.json()["code"] == "unstorable_text"


async def test_takes_ordinary_forms(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.post("/api/vehicles/form", data={"name": "100 %00"}),
        await client.post("/api/vehicles/form", files={"name": (None, "100 %00")}),
    ):
        assert answer.json() == {"name": "100 %00"}


async def test_a_route_still_hears_of_a_disconnect_after_the_body() -> None:
    async def gone() -> dict[str, str]:
        return {"type": "http.disconnect"}

    receive = replay(b"x", gone)
    assert await receive() == {"type": "http.request", "body": b"x", "more_body": False}
    assert await receive() == {"type": "http.disconnect"}
