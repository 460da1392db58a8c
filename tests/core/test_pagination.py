from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from motovaultpro.core.database import Database
from motovaultpro.core.http.problems import install_error_handlers
from motovaultpro.core.pagination import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    Page,
    PageRequest,
    _parse,
    page_query,
)

QUERY = page_query(
    row="r.id, r.recorded_on", table="odometer_records", day="recorded_on", where="true"
)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/pages")
    async def pages(page: Page) -> dict[str, Any]:
        return page.parameters()

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as opened:
        yield opened


async def vehicle_with(database: Database, tenant_id: UUID, days: list[str]) -> int:
    """A vehicle with one odometer record a day, in this order of ids."""
    async with database.session(tenant_id) as session:
        vehicle_id: int = (
            await session.execute(
                text(
                    "INSERT INTO vehicles (tenant_id, make, currency, distance_unit)"
                    " VALUES (:tenant_id, 'Fiat', 'EUR', 'km') RETURNING id"
                ),
                {"tenant_id": tenant_id},
            )
        ).scalar_one()
        for day in days:
            await session.execute(
                text(
                    "INSERT INTO odometer_records (tenant_id, vehicle_id, recorded_on, initial_odometer, odometer)"
                    " VALUES (:tenant_id, :vehicle_id, :day, 0, 1)"
                ),
                {"tenant_id": tenant_id, "vehicle_id": vehicle_id, "day": date.fromisoformat(day)},
            )
    return vehicle_id


async def fetch(
    database: Database, tenant_id: UUID, vehicle_id: int, page: PageRequest
) -> dict[str, Any]:
    identity = {"vehicle_id": vehicle_id, "user_id": 1, "role": "owner"}
    body = await database.fetch_json(tenant_id, QUERY, {**identity, **page.parameters()})
    assert body is not None
    answer: dict[str, Any] = orjson.loads(body)
    return answer


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 7, 8])
async def test_pages_show_every_row_once_newest_first(
    database: Database, tenant_id: UUID, limit: int
) -> None:
    days = ["2026-01-02", "2026-01-03", "2026-01-02", "2026-01-02", "2026-01-01", "2026-01-02"]
    vehicle_id = await vehicle_with(database, tenant_id, days)

    seen: list[tuple[str, int]] = []
    page: PageRequest | None = PageRequest(limit, "9999-12-31", 2**63 - 1)
    while page is not None:
        answer = await fetch(database, tenant_id, vehicle_id, page)
        assert 1 <= len(answer["items"]) <= limit
        seen.extend((item["recorded_on"], item["id"]) for item in answer["items"])
        cursor = answer["next_cursor"]
        page = None if cursor is None else PageRequest(limit, *_parse(cursor))

    assert len(seen) == len(days)
    assert seen == sorted(seen, reverse=True)


async def test_a_row_added_above_moves_no_page(database: Database, tenant_id: UUID) -> None:
    vehicle_id = await vehicle_with(database, tenant_id, ["2026-01-01", "2026-01-02"])
    first = await fetch(database, tenant_id, vehicle_id, PageRequest(1, "9999-12-31", 2**63 - 1))
    async with database.session(tenant_id) as session:
        await session.execute(
            text(
                "INSERT INTO odometer_records (tenant_id, vehicle_id, recorded_on, initial_odometer, odometer)"
                " SELECT tenant_id, vehicle_id, '2026-01-03', 0, 1 FROM odometer_records WHERE vehicle_id = :id LIMIT 1"
            ),
            {"id": vehicle_id},
        )
    second = await fetch(
        database, tenant_id, vehicle_id, PageRequest(1, *_parse(first["next_cursor"]))
    )
    days = [answer["items"][0]["recorded_on"] for answer in (first, second)]
    assert days == ["2026-01-02", "2026-01-01"]
    assert second["next_cursor"] is None


async def test_no_rows_are_a_page_too(database: Database, tenant_id: UUID) -> None:
    vehicle_id = await vehicle_with(database, tenant_id, [])
    page = PageRequest(5, "9999-12-31", 2**63 - 1)
    assert await fetch(database, tenant_id, vehicle_id, page) == {"items": [], "next_cursor": None}


async def test_without_access_there_is_no_page(
    database: Database, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    vehicle_id = await vehicle_with(database, tenant_id, ["2026-01-01"])
    page = PageRequest(5, "9999-12-31", 2**63 - 1).parameters()
    stranger = {"vehicle_id": vehicle_id, "user_id": 1, "role": "member", **page}
    assert await database.fetch_json(tenant_id, QUERY, stranger) is None
    assert await database.fetch_json(other_tenant_id, QUERY, {**stranger, "role": "owner"}) is None


async def test_the_first_page_needs_no_parameters(client: httpx.AsyncClient) -> None:
    response = await client.get("/pages")
    assert response.json() == {
        "limit": DEFAULT_LIMIT,
        "before_day": "9999-12-31",
        "before_id": 2**63 - 1,
    }


@pytest.mark.parametrize("limit", [1, MAX_LIMIT])
async def test_takes_limits_in_bounds(client: httpx.AsyncClient, limit: int) -> None:
    response = await client.get("/pages", params={"limit": limit, "cursor": "2026-01-31_7"})
    assert response.json() == {"limit": limit, "before_day": "2026-01-31", "before_id": 7}


@pytest.mark.parametrize("limit", ["0", "-1", str(MAX_LIMIT + 1), "many", "1.5", ""])
async def test_refuses_limits_out_of_bounds(client: httpx.AsyncClient, limit: str) -> None:
    response = await client.get("/pages", params={"limit": limit})
    assert response.status_code == 422
    assert response.json()["fields"][0]["field"] == "limit"


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "2026-01-31",
        "2026-01-31_",
        "_7",
        "2026-02-30_7",
        "0000-01-01_7",
        "2026-01-31_7\n",
        "2026-01-31_-7",
        "2026-01-31_7.0",
        "2026-01-31_9223372036854775808",
        "2026-01-31_99999999999999999999",
        "\u0662026-01-31_7",
        "2026-01-31_\u0667",
        "2026-01-31_7; SELECT",
        "2026-01-31_\x00",
        "2026-01-31_" + "7" * 100,
    ],
)
async def test_refuses_a_cursor_that_is_not_ours(client: httpx.AsyncClient, cursor: str) -> None:
    response = await client.get("/pages", params={"cursor": cursor})
    assert response.status_code == 422
    assert response.json()["fields"][0]["field"] == "cursor"
