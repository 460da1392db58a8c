from typing import Any

import httpx
import pytest


async def put(client: httpx.AsyncClient, body: Any) -> dict[str, str]:
    answer = await client.put("/api/vehicles/3", json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid"
    return {item["field"]: item["message"] for item in answer.json()["fields"]}


async def test_an_expected_error_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("/failures/conflict", headers={"X-Correlation-ID": "abc"})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "Such a vehicle exists already.",
        "code": "conflict",
        "instance": "/failures/conflict",
        "correlation_id": "abc",
        "fields": [],
    }


async def test_an_error_brings_its_headers(client: httpx.AsyncClient) -> None:
    answer = await client.get("/failures/too-fast")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "60"


async def test_http_exceptions_are_problems(client: httpx.AsyncClient) -> None:
    answer = await client.get("/failures/teapot")
    assert answer.status_code == 418
    assert answer.json()["detail"] == "Short and stout."


async def test_an_unknown_path_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nowhere/ü")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
    assert answer.json()["instance"] == "/nowhere/%C3%BC"


async def test_a_wrong_method_names_all_the_right_ones(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/api/vehicles/3")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, PUT"
    assert answer.json()["code"] == "method_not_allowed"


async def test_malformed_json_is_told_by_line_and_column(client: httpx.AsyncClient) -> None:
    answer = await client.put(
        "/api/vehicles/3",
        content='{"name": "a",\n  oops}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 400
    assert answer.json()["code"] == "malformed_json"
    assert "line 2, column 3" in answer.json()["detail"]


async def test_fields_have_the_names_the_client_sent(client: httpx.AsyncClient) -> None:
    fields = await put(client, {"modelYear": "x", "extra": 1})
    assert list(fields) == ["name", "modelYear", "extra"]
    assert fields["name"] == "Field required"


async def test_the_path_of_a_field_has_no_names_of_ours(client: httpx.AsyncClient) -> None:
    fields = await put(client, {"name": "a", "sources": [{"octane": 95}, {"octane": "x"}]})
    assert list(fields) == ["sources.1.octane", "sources.1.kilowatts"]


async def test_a_rule_of_ours_is_told_in_its_own_words(client: httpx.AsyncClient) -> None:
    assert await put(client, {"name": "a", "password": "hunter2"}) == {"password": "is too simple"}


async def test_never_echoes_what_was_sent(client: httpx.AsyncClient) -> None:
    for body in ({"name": "a", "password": ["hunter2"]}, {"password": "hunter2"}, ["hunter2"]):
        answer = await client.put("/api/vehicles/3", json=body)
        assert answer.status_code == 422
        assert "hunter2" not in answer.text


@pytest.mark.parametrize("body", [[1], "text", None])
async def test_a_body_of_another_shape_is_about_the_body(
    client: httpx.AsyncClient, body: Any
) -> None:
    assert list(await put(client, body)) == ["body"]


async def test_a_missing_or_untyped_body_is_about_the_body(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.put("/api/vehicles/3"),
        await client.put("/api/vehicles/3", content=b"{}", headers={"Content-Type": "text/plain"}),
    ):
        assert answer.status_code == 422
        assert [item["field"] for item in answer.json()["fields"]] == ["body"]


async def test_a_form_names_its_missing_field(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/vehicles/form", data={"other": "x"})
    assert [item["field"] for item in answer.json()["fields"]] == ["name"]


@pytest.mark.parametrize("number", ["0", "-1", "x", str(2**63), "9" * 400])
async def test_ids_the_database_cannot_have_are_invalid(
    client: httpx.AsyncClient, number: str
) -> None:
    answer = await client.get(f"/api/vehicles/{number}")
    assert answer.status_code == 422
    assert [item["field"] for item in answer.json()["fields"]] == ["vehicle_id"]


async def test_a_thousand_mistakes_are_told_by_the_first_hundred(client: httpx.AsyncClient) -> None:
    fields = await put(client, {"name": "a", "sources": [1] * 300})
    assert len(fields) <= 100
