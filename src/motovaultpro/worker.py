"""The worker: every background job and schedule there is, run by procrastinate over PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import structlog
from procrastinate import App
from sqlalchemy import text

from motovaultpro.core import events, idempotency
from motovaultpro.core.clock import Clock, system_clock
from motovaultpro.core.database import Database
from motovaultpro.core.errors import UnavailableError
from motovaultpro.core.job_runner import (
    DAILY,
    EVERY_MINUTE,
    HOURLY,
    Pace,
    add_delivery,
    add_rescue,
    add_schedule,
    create_queue,
    run_jobs,
)
from motovaultpro.core.observability.logging import configure_logging
from motovaultpro.core.observability.metrics import OUTBOX_FAILED, OUTBOX_LAG, start_metrics_server
from motovaultpro.core.observability.tracing import configure_tracing, shutdown_tracing
from motovaultpro.core.resources import Resources, open_resources
from motovaultpro.core.settings import Settings
from motovaultpro.features.access_tokens import tasks as access_tokens
from motovaultpro.features.documents import tasks as documents
from motovaultpro.features.fuel import tasks as fuel
from motovaultpro.features.links import tasks as links
from motovaultpro.features.sessions import tasks as sessions
from motovaultpro.features.vehicles import tasks as vehicles

log = structlog.get_logger()

_KEEP_EVENTS = timedelta(days=90)
_MEASURE_SECONDS = 15


def handlers(resources: Resources) -> tuple[events.Handler, ...]:
    """Everything that reacts to events."""
    return (documents.file_deletion(resources.storage), fuel.recomputing())


def schedules(resources: Resources) -> dict[str, tuple[str, Callable[[], Awaitable[object]]]]:
    """Jobs by name, when they run, and what they do. Each may run twice, or late, without harm."""
    database, clock = resources.database, resources.clock

    async def purge_garages() -> None:
        for tenant_id in await _tenants(database):
            await vehicles.purge_deleted(database, tenant_id, clock)
            await documents.delete_orphans(database, tenant_id, clock)

    async def forget_the_past() -> None:
        await sessions.delete_expired_sessions(database, clock)
        await links.delete_expired_links(database, clock)
        await idempotency.delete_old(database, clock)
        await events.delete_delivered(database, before=clock() - _KEEP_EVENTS)

    async def rotate_signing_keys() -> None:
        await access_tokens.rotate_signing_keys(resources.settings, database, clock)

    return {
        "drain_spool": (EVERY_MINUTE, resources.storage.drain_spool),
        "rotate_signing_keys": (HOURLY, rotate_signing_keys),
        "purge_garages": (DAILY, purge_garages),
        "forget_the_past": (DAILY, forget_the_past),
    }


def create_worker(resources: Resources, pace: Pace) -> App:
    """The procrastinate application with all tasks; `run` runs it."""
    queue = create_queue(resources.settings)
    attempts = resources.settings.worker.max_attempts
    add_delivery(queue, resources.database, handlers(resources), attempts=attempts)
    add_rescue(queue, pace)
    for name, (cron, work) in schedules(resources).items():
        add_schedule(queue, name, cron, work)
    return queue


async def _tenants(database: Database) -> list[UUID]:
    async with database.system_session() as session:
        return list((await session.execute(text("SELECT id FROM tenants ORDER BY id"))).scalars())


async def _measure_outbox(database: Database) -> None:
    """By every worker itself, and not as a job: a queue that stands still must be seen."""
    while True:
        try:
            OUTBOX_LAG.set((await events.lag(database)).total_seconds())
            OUTBOX_FAILED.set(await events.count_set_aside(database))
        except UnavailableError as error:
            log.warning("outbox_not_measured", error=repr(error))
        await asyncio.sleep(_MEASURE_SECONDS)


def run(settings: Settings, *, clock: Clock = system_clock) -> None:
    """Work until SIGTERM or SIGINT; jobs that run then get `drain_seconds` to finish."""
    configure_logging(settings.observability)
    configure_tracing(settings.observability, service="admin-worker")
    metrics = start_metrics_server(settings.server.host, settings.server.metrics_port)
    try:
        asyncio.run(_run(settings, clock))
    finally:
        metrics.stop()
        shutdown_tracing()


async def _run(settings: Settings, clock: Clock) -> None:
    pace = Pace()
    async with open_resources(settings, clock) as resources:
        measuring = asyncio.create_task(_measure_outbox(resources.database))
        try:
            await run_jobs(create_worker(resources, pace), settings, pace)
        finally:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)
