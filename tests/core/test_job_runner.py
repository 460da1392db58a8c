import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from procrastinate import App
from procrastinate.jobs import DeleteJobCondition
from prometheus_client import REGISTRY
from sqlalchemy import text
from structlog.testing import capture_logs

from motovaultpro.core import events
from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.events import Event, Handler
from motovaultpro.core.job_runner import (
    HOURLY,
    Pace,
    _observed,
    add_delivery,
    add_rescue,
    add_schedule,
    create_queue,
)
from motovaultpro.core.jobs import defer
from motovaultpro.core.settings import Settings
from tests.core.conftest import new_tenant
from tests.core.worker_process import KIND
from tests.factories.eventually import eventually

ATTEMPTS = 3


class Flaky:
    """A handler that fails for the records it is told to."""

    def __init__(self) -> None:
        self.broken: set[int] = set()
        self.calls: list[int] = []
        self.handler = Handler("flaky", frozenset({KIND}), self._handle)

    async def _handle(self, _session: AsyncSession, event: Event) -> None:
        assert event.record_id is not None
        self.calls.append(event.record_id)
        if event.record_id in self.broken:
            raise RuntimeError(f"record {event.record_id}")


@pytest.fixture
def flaky() -> Flaky:
    return Flaky()


@pytest.fixture
def queue(own_settings: Settings, own_database: Database, flaky: Flaky) -> App:
    made = create_queue(own_settings)
    add_delivery(made, own_database, (flaky.handler,), attempts=ATTEMPTS)
    return made


async def work(queue: App) -> None:
    """Run what is due, then stop."""
    async with queue.open_async():
        await queue.run_worker_async(
            wait=False,
            install_signal_handlers=False,
            listen_notify=False,
            delete_jobs=DeleteJobCondition.SUCCESSFUL.value,
            worker_middleware=[_observed],
        )


async def query(database: Database, sql: str) -> list[tuple[Any, ...]]:
    async with database.system_session() as session:
        return [tuple(row) for row in await session.execute(text(sql))]


async def change(database: Database, sql: str) -> None:
    async with database.system_session() as session:
        await session.execute(text(sql))


async def publish(database: Database, *records: int) -> UUID:
    tenant = await new_tenant(database)
    async with database.session(tenant) as session:
        for record in records:
            await events.publish(session, Event(type=KIND, tenant_id=tenant, record_id=record))
    return tenant


async def skip_the_wait(database: Database) -> None:
    await change(
        database, "UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'"
    )


async def jobs(database: Database) -> list[tuple[Any, ...]]:
    return await query(
        database, "SELECT task_name, status::text, attempts FROM procrastinate_jobs ORDER BY id"
    )


def outcomes(job: str, outcome: str) -> float:
    labels = {"job": job, "outcome": outcome}
    return REGISTRY.get_sample_value("motovault_jobs_total", labels) or 0


async def test_delivers_and_leaves_no_job_behind(
    queue: App, own_database: Database, flaky: Flaky
) -> None:
    before = outcomes("deliver_event", "succeeded")
    await publish(own_database, 1, 2, 3)
    await work(queue)
    assert sorted(flaky.calls) == [1, 2, 3]
    assert await jobs(own_database) == []
    assert outcomes("deliver_event", "succeeded") == before + 3


async def test_a_failing_delivery_is_repeated_later_and_holds_up_no_other(
    queue: App, own_database: Database, flaky: Flaky
) -> None:
    flaky.broken = {1}
    await publish(own_database, 1, 2)
    await work(queue)
    assert flaky.calls == [1, 2]
    assert await jobs(own_database) == [("deliver_event", "todo", 1)]
    wait = "SELECT extract(epoch FROM scheduled_at - now())::float FROM procrastinate_jobs"
    assert 0.5 < (await query(own_database, wait))[0][0] < 2.5

    flaky.broken = set()
    await skip_the_wait(own_database)
    await work(queue)
    assert flaky.calls == [1, 2, 1]
    assert await jobs(own_database) == []


async def test_waits_longer_after_each_failure_and_then_sets_aside(
    queue: App, own_database: Database, flaky: Flaky
) -> None:
    flaky.broken = {1}
    await publish(own_database, 1, 2)
    waits = []
    for _ in range(ATTEMPTS + 2):
        await work(queue)
        waits += await query(
            own_database,
            "SELECT round(extract(epoch FROM scheduled_at - now()))::int FROM procrastinate_jobs WHERE status = 'todo'",
        )
        await skip_the_wait(own_database)

    assert flaky.calls.count(1) == ATTEMPTS
    assert waits in ([(2,), (4,)], [(1,), (4,)], [(2,), (3,)], [(1,), (3,)])
    assert await jobs(own_database) == [("deliver_event", "failed", ATTEMPTS)]
    aside = "SELECT payload->>'record_id', last_error FROM outbox WHERE failed_at IS NOT NULL"
    ((record, error),) = await query(own_database, aside)
    assert record == "1"
    assert "RuntimeError('record 1')" in error


async def test_a_single_attempt_is_not_repeated(
    own_settings: Settings, own_database: Database, flaky: Flaky
) -> None:
    queue = create_queue(own_settings)
    add_delivery(queue, own_database, (flaky.handler,), attempts=1)
    flaky.broken = {1}
    await publish(own_database, 1)
    await work(queue)
    assert await jobs(own_database) == [("deliver_event", "failed", 1)]
    assert await query(own_database, "SELECT failed_at IS NULL FROM outbox") == [(False,)]


async def test_an_event_that_takes_down_its_workers_is_set_aside(
    queue: App, own_database: Database, flaky: Flaky
) -> None:
    """Each death counts as an attempt, as the rescue counts it."""
    await publish(own_database, 1)
    await change(own_database, "UPDATE procrastinate_jobs SET attempts = 3")
    await work(queue)
    assert flaky.calls == []
    assert await jobs(own_database) == []
    assert await query(own_database, "SELECT last_error FROM outbox") == [
        ("no delivery came to an end",)
    ]


class TestRescue:
    """What a worker left that was killed in the midst of its jobs."""

    @pytest.fixture
    def rescuer(self, queue: App) -> App:
        add_rescue(queue, Pace(rescue_cron="* * * * * *"))
        return queue

    async def leave(self, database: Database, *tasks: str, lock: str | None = None) -> None:
        """Jobs that are `doing`, of a worker whose last sign of life was a minute ago."""
        async with database.system_session() as session:
            for task in tasks:
                await defer(session, task, queueing_lock=lock, queue="elsewhere")
            await session.execute(
                text(
                    "WITH dead AS (INSERT INTO procrastinate_workers (last_heartbeat)"
                    "  VALUES (now() - interval '1 minute') RETURNING id)"
                    " UPDATE procrastinate_jobs SET status = 'doing', worker_id = dead.id FROM dead"
                    "  WHERE queue_name = 'elsewhere' AND status = 'todo'"
                )
            )

    async def rescue(self, rescuer: App) -> None:
        task = rescuer.tasks["rescue_stalled_jobs"]
        async with rescuer.open_async():
            await task(timestamp=0)

    async def test_makes_them_run_again(self, rescuer: App, own_database: Database) -> None:
        await self.leave(own_database, "one", "two")
        with capture_logs() as logs:
            await self.rescue(rescuer)
        assert await jobs(own_database) == [("one", "todo", 1), ("two", "todo", 1)]
        assert [entry["event"] for entry in logs] == ["job_rescued"] * 2

    async def test_leaves_those_of_living_workers_alone(
        self, rescuer: App, own_database: Database
    ) -> None:
        await self.leave(own_database, "one")
        await change(own_database, "UPDATE procrastinate_workers SET last_heartbeat = now()")
        await self.rescue(rescuer)
        assert await jobs(own_database) == [("one", "doing", 0)]

    async def test_a_scheduled_job_whose_successor_waits_holds_up_no_other(
        self, rescuer: App, own_database: Database
    ) -> None:
        await self.leave(own_database, "drain", lock="drain")
        await self.leave(own_database, "other")
        async with own_database.system_session() as session:
            await defer(session, "drain", queueing_lock="drain")
        await self.rescue(rescuer)
        assert await jobs(own_database) == [("other", "todo", 1), ("drain", "todo", 0)]

    async def test_a_rescue_by_another_worker_at_once_is_no_failure(
        self, rescuer: App, own_database: Database
    ) -> None:
        await self.leave(own_database, "one")
        async with rescuer.open_async():
            manager = rescuer.job_manager
            (stalled,) = await manager.get_stalled_jobs(seconds_since_heartbeat=30)
            real, manager.get_stalled_jobs = manager.get_stalled_jobs, _answering([stalled])  # type: ignore[method-assign]  # the moment between two statements
            try:
                for _ in range(2):
                    await rescuer.tasks["rescue_stalled_jobs"](timestamp=0)
            finally:
                manager.get_stalled_jobs = real  # type: ignore[method-assign]  # as above
        assert await jobs(own_database) == [("one", "todo", 1)]

    async def test_forgets_failed_jobs_after_a_month(
        self, rescuer: App, own_database: Database
    ) -> None:
        await self.leave(own_database, "old", "recent")
        await change(own_database, "UPDATE procrastinate_jobs SET status = 'failed'")
        await change(
            own_database,
            "UPDATE procrastinate_events SET at = now() - interval '31 days'"
            " WHERE job_id = (SELECT id FROM procrastinate_jobs WHERE task_name = 'old')",
        )
        async with rescuer.open_async():
            await rescuer.tasks["forget_failed_jobs"](timestamp=0)
        assert await jobs(own_database) == [("recent", "failed", 0)]


def _answering(stalled: list[Any]) -> Any:
    async def answer(**_arguments: Any) -> list[Any]:
        return stalled

    return answer


async def test_a_schedule_runs_its_work_and_a_failure_waits_for_the_next_time(
    own_settings: Settings, own_database: Database
) -> None:
    queue = create_queue(own_settings)
    runs: list[int] = []

    async def sweep() -> None:
        runs.append(1)
        raise RuntimeError("busy")

    add_schedule(queue, "sweep", HOURLY, sweep)
    async with queue.open_async():
        await queue.tasks["sweep"].defer_async(timestamp=0)
    failed = outcomes("sweep", "failed")
    await work(queue)
    assert runs == [1]
    assert await jobs(own_database) == [("sweep", "failed", 1)]
    assert outcomes("sweep", "failed") == failed + 1


@pytest.fixture
def workers(own_settings: Settings, tmp_path: Path) -> Iterator[Any]:
    """`workers("hang")` starts one; those left at the end are told to stop."""
    file = tmp_path / "settings.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(_revealed(own_settings)))
    marks = tmp_path / "marks"
    marks.mkdir()
    with ExitStack() as stack:

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            command = [
                sys.executable,
                "-m",
                "tests.core.worker_process",
                str(file),
                str(marks),
                *arguments,
            ]
            process = subprocess.Popen(command)
            stack.callback(_stop, process)
            return process

        start.marks = marks  # type: ignore[attr-defined]  # where they leave their marks
        yield start


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    finally:
        process.kill()


def _revealed(settings: Settings) -> dict[str, Any]:
    """Settings as JSON, secrets and all: only for a file of this test."""
    content: dict[str, Any] = settings.model_dump(mode="json")
    content["database"]["url"] = settings.database.url.get_secret_value()
    content["database"]["owner_url"] = None
    content["cache"]["url"] = None
    content["security"]["secret_key"] = settings.security.secret_key.get_secret_value()
    return content


async def test_the_jobs_of_a_killed_worker_run_again(workers: Any, own_database: Database) -> None:
    tenant = await publish(own_database, 1, 2, 3)
    victim = workers("hang")
    await eventually(lambda: len(list(workers.marks.iterdir())) == 3, within=30)
    survivor = workers()
    registered = "SELECT FROM procrastinate_workers"

    async def both_work() -> bool:
        return len(await query(own_database, registered)) == 2

    await eventually(both_work, within=30)
    victim.kill()

    async def all_done() -> bool:
        async with own_database.session(tenant) as session:
            done = await session.scalars(text("SELECT name FROM extra_field_definitions"))
            return set(done) == {"1", "2", "3"}

    await eventually(all_done, within=15)
    survivor.send_signal(signal.SIGTERM)
    assert survivor.wait(10) == 0
    pending = [row for row in await jobs(own_database) if row[0] == "deliver_event"]
    assert pending == []


def test_the_jobs_of_a_killed_worker_run_again_within_a_minute() -> None:
    pace = Pace()
    longest_between_rescues = 15
    assert pace.rescue_cron == "* * * * * */15"
    assert pace.stalled_after + longest_between_rescues + pace.poll <= 60
    assert pace.heartbeat * 2 < pace.stalled_after
