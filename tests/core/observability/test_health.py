import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI

from motovaultpro.core.observability.health import HealthCheck, HealthRegistry, health_router


async def fine() -> None:
    pass


async def broken() -> None:
    raise ConnectionError("postgresql://mv:hunter2@10.0.0.7:5432/x refused")


def check(
    name: str, probe: Callable[[], Awaitable[object]], *, critical: bool = True
) -> HealthCheck:
    return HealthCheck(name, probe, critical, timeout_seconds=0.05)


async def get(path: str, *checks: HealthCheck, ready: bool | None = True) -> httpx.Response:
    app = FastAPI()
    app.include_router(health_router(HealthRegistry(checks)))
    if ready is not None:
        app.state.ready = ready
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path)


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_all_checks_passed_is_healthy(path: str) -> None:
    answer = await get(path, check("database", fine), check("cache", fine, critical=False))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["status"] == "healthy"
    assert [entry["status"] for entry in body["entries"].values()] == ["healthy", "healthy"]
    assert body["entries"]["database"]["duration_ms"] >= 0


async def test_a_critical_part_away_is_503() -> None:
    answer = await get("/health/ready", check("database", broken), check("cache", fine))
    assert answer.status_code == 503
    assert answer.json()["status"] == "unhealthy"
    assert answer.json()["entries"]["cache"]["status"] == "healthy"


async def test_another_part_away_is_degraded_but_serving() -> None:
    answer = await get(
        "/health/ready", check("database", fine), check("cache", broken, critical=False)
    )
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"


async def test_an_error_is_named_without_its_text() -> None:
    answer = await get("/health", check("database", broken))
    assert answer.json()["entries"]["database"]["error"] == "ConnectionError"
    assert "10.0.0.7" not in answer.text


async def test_a_check_that_hangs_is_cut_off() -> None:
    answer = await get("/health", check("database", asyncio.Event().wait))
    assert answer.json()["entries"]["database"]["error"] == "timeout"


@pytest.mark.parametrize("ready", [False, None])
async def test_a_service_that_is_not_ready_says_so_without_asking_anyone(
    ready: bool | None,
) -> None:
    async def forbidden() -> None:
        pytest.fail("asked")

    answer = await get("/health/ready", check("database", forbidden), ready=ready)
    assert answer.status_code == 503
    assert answer.json()["status"] == "unhealthy"


async def test_live_asks_nobody_and_does_not_depend_on_ready() -> None:
    answer = await get("/health/live", check("database", broken), ready=False)
    assert answer.status_code == 200
    assert answer.json() == {"status": "healthy", "entries": {}}


async def test_many_probes_are_one_round_of_checks() -> None:
    rounds = 0
    release = asyncio.Event()

    async def counted() -> None:
        nonlocal rounds
        rounds += 1
        await release.wait()

    registry = HealthRegistry([HealthCheck("database", counted, critical=True)])
    probes = [asyncio.create_task(registry.report()) for _ in range(50)]
    await asyncio.sleep(0)
    probes[0].cancel()
    release.set()
    reports = await asyncio.gather(*probes[1:])
    await registry.report()
    assert {report.status for report in reports} == {"healthy"}
    assert rounds == 1


async def test_an_old_result_is_not_repeated() -> None:
    results = [broken, fine]

    async def recovering() -> None:
        await results.pop(0)()

    registry = HealthRegistry([check("database", recovering)], fresh_seconds=0)
    assert (await registry.report()).status == "unhealthy"
    assert (await registry.report()).status == "healthy"
