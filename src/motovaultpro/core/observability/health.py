"""Health: `/health`, `/health/ready` and `/health/live`, over a list of checks that probes cannot stampede."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal

import structlog
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

log = structlog.get_logger()

Status = Literal["healthy", "degraded", "unhealthy"]
_OK, _UNAVAILABLE = 200, 503


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A dependency. `probe` raises when it is away; without a `critical` one the service answers 503."""

    name: str
    probe: Callable[[], Awaitable[object]]
    critical: bool
    timeout_seconds: float = 2.0


class HealthEntry(BaseModel):
    status: Status
    duration_ms: float
    error: str | None = None
    """A kind of failure (`timeout`, `OperationalError`), never its text: that may hold addresses or secrets."""


class HealthReport(BaseModel):
    status: Status
    entries: dict[str, HealthEntry]


@dataclass
class HealthRegistry:
    """Runs the checks, at most once per `fresh_seconds` however many ask."""

    checks: Sequence[HealthCheck]
    fresh_seconds: float = 1.0
    _running: asyncio.Task[HealthReport] | None = field(default=None, init=False)
    _finished_at: float = field(default=float("-inf"), init=False)

    async def report(self) -> HealthReport:
        stale = perf_counter() - self._finished_at > self.fresh_seconds
        if self._running is None or (self._running.done() and stale):
            self._running = asyncio.create_task(self._run())
        # Why: a probe that gives up must not cancel the run others wait for.
        return await asyncio.shield(self._running)

    async def _run(self) -> HealthReport:
        results = await asyncio.gather(*(_entry(check) for check in self.checks))
        self._finished_at = perf_counter()
        entries = {check.name: entry for check, entry in zip(self.checks, results, strict=True)}
        statuses = {entry.status for entry in results}
        worst: Status = "healthy"
        if "unhealthy" in statuses:
            worst = "unhealthy"
        elif "degraded" in statuses:
            worst = "degraded"
        return HealthReport(status=worst, entries=entries)


async def _entry(check: HealthCheck) -> HealthEntry:
    started = perf_counter()
    error: str | None = None
    try:
        async with asyncio.timeout(check.timeout_seconds):
            await check.probe()
    except TimeoutError:
        error = "timeout"
    except Exception as failure:  # noqa: BLE001 - whatever a probe raises, the answer is "not healthy"
        error = type(failure).__name__
        log.warning("health_check_failed", check=check.name, error=repr(failure))
    status: Status = "healthy" if error is None else "unhealthy" if check.critical else "degraded"
    return HealthEntry(
        status=status, duration_ms=round((perf_counter() - started) * 1000, 3), error=error
    )


def health_router(registry: HealthRegistry) -> APIRouter:
    """The three routes. Ready asks `app.state.ready` first: false while starting and from the stop signal on."""
    router = APIRouter(tags=["health"])
    responses: dict[int | str, dict[str, Any]] = {  # Any: FastAPI's type for OpenAPI fragments
        503: {"model": HealthReport, "description": "A critical part is away, or not ready."}
    }

    async def report(request: Request) -> Response:
        if not getattr(request.app.state, "ready", False):
            entry = HealthEntry(status="unhealthy", duration_ms=0, error="starting or stopping")
            return _answer(HealthReport(status="unhealthy", entries={"service": entry}))
        return _answer(await registry.report())

    async def live() -> Response:
        return _answer(HealthReport(status="healthy", entries={}))

    for path in ("/health", "/health/ready"):
        router.add_api_route(path, report, response_model=HealthReport, responses=responses)
    router.add_api_route("/health/live", live, response_model=HealthReport)
    return router


def _answer(report: HealthReport) -> Response:
    return Response(
        report.model_dump_json(exclude_none=True),
        _UNAVAILABLE if report.status == "unhealthy" else _OK,
        {"Cache-Control": "no-store"},
        media_type="application/json",
    )
