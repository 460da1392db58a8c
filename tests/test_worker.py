import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from sqlalchemy import text
from structlog.testing import capture_logs

from motovaultpro import worker
from motovaultpro.core import events
from motovaultpro.core.clock import system_clock
from motovaultpro.core.database import Database
from motovaultpro.core.job_runner import Pace
from motovaultpro.core.resources import Resources, open_resources
from motovaultpro.core.settings import Settings
from motovaultpro.migrations.runner import migrate
from motovaultpro.standalone.components.ports import LOOPBACK, free_port
from motovaultpro.standalone.components.postgres import APP_ROLE, OWNER_ROLE, Postgres
from tests.factories.eventually import eventually


@pytest.fixture
def own_settings(postgres: Postgres, settings: Settings) -> Iterator[Settings]:
    """Settings with a database that holds no other test's events and jobs."""
    name = f"worker_{uuid4().hex}"
    postgres.create_database(name)
    migrate(postgres.url(OWNER_ROLE, name), app_role=APP_ROLE)
    url = SecretStr(postgres.url(APP_ROLE, name))
    database = settings.database.model_copy(update={"url": url})
    yield settings.model_copy(update={"database": database})
    postgres.drop_database(name)


@pytest.fixture
async def resources(own_settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(own_settings, system_clock) as opened:
        yield opened


async def publish(database: Database) -> None:
    async with database.system_session() as session:
        tenant = (await session.execute(text("SELECT id FROM tenants"))).scalar_one()
    async with database.session(tenant) as session:
        await events.publish(session, events.Event(type="test.happened", tenant_id=tenant))


def lag() -> float | None:
    return REGISTRY.get_sample_value("motovault_outbox_lag_seconds")


async def test_every_schedule_does_its_work(resources: Resources) -> None:
    schedules = worker.schedules(resources)
    assert len(schedules) >= 4
    for _cron, work in schedules.values():
        await work()
        await work()  # running twice does no harm


async def test_every_event_handler_has_a_name_of_its_own(resources: Resources) -> None:
    names = [handler.name for handler in worker.handlers(resources)]
    assert len(names) == len(set(names)) > 0


async def test_knows_every_job_by_its_name(resources: Resources) -> None:
    queue = worker.create_worker(resources, Pace())
    ours = {name for name in queue.tasks if not name.startswith(("procrastinate.", "builtin:"))}
    assert ours == {
        events.DELIVER_TASK,
        "rescue_stalled_jobs",
        "forget_failed_jobs",
        *worker.schedules(resources),
    }
    periodic = {name for name, _ in queue.periodic_registry.periodic_tasks}
    assert periodic == ours - {events.DELIVER_TASK}


async def test_measures_how_far_delivery_is_behind(resources: Resources) -> None:
    await publish(resources.database)
    measuring = asyncio.create_task(worker._measure_outbox(resources.database))
    await eventually(lambda: (lag() or 0) > 0)
    measuring.cancel()
    await asyncio.gather(measuring, return_exceptions=True)


async def test_measures_on_when_the_database_is_away(resources: Resources) -> None:
    await resources.database.close()
    with capture_logs() as logs:
        measuring = asyncio.create_task(worker._measure_outbox(resources.database))
        await eventually(lambda: logs)
        assert not measuring.done()
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)
    assert [entry["event"] for entry in logs] == ["outbox_not_measured"]


async def test_works_as_a_process_until_it_is_told_to_stop(
    own_settings: Settings, resources: Resources, tmp_path: Path
) -> None:
    await publish(resources.database)
    port = free_port()
    environment = {
        "PATH": os.defpath,
        "MVP_SECRETS_DIR": str(tmp_path),
        "MVP_DATABASE__URL": own_settings.database.url.get_secret_value(),
        "MVP_STORAGE__URL": f"file://{tmp_path}",
        "MVP_SECURITY__SECRET_KEY": uuid4().hex,
        "MVP_SERVER__METRICS_PORT": str(port),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "motovaultpro.cli", "worker", env=environment
    )
    try:
        delivered = "SELECT count(*) FROM outbox WHERE delivered_at IS NOT NULL"

        async def is_delivered() -> bool:
            async with resources.database.system_session() as session:
                return bool(await session.scalar(text(delivered)))

        await eventually(is_delivered, within=30)
        async with httpx.AsyncClient() as client:
            metrics = (await client.get(f"http://{LOOPBACK}:{port}/metrics")).text
        assert 'motovault_jobs_total{job="deliver_event",outcome="succeeded"} 1.0' in metrics
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
