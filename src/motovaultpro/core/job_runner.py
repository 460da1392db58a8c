"""Runs jobs with procrastinate over PostgreSQL: delivery of events, schedules, and the rescue of what a dead worker left.

Apart from `core.jobs`, which defers them, so that a process that runs none does not load procrastinate.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from procrastinate import App, JobContext, PsycopgConnector, RetryStrategy
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import DeleteJobCondition, Job, Status
from procrastinate.worker import Worker

from motovaultpro.core import events
from motovaultpro.core.database import Database, connection_string
from motovaultpro.core.observability.context import request_context
from motovaultpro.core.observability.metrics import JOB_OUTCOMES
from motovaultpro.core.settings import Settings

log = structlog.get_logger()

# Seconds are the sixth field.
EVERY_15_SECONDS = "* * * * * */15"
EVERY_MINUTE = "* * * * *"
HOURLY = "7 * * * *"
DAILY = "23 3 * * *"

_KEEP_FAILED_HOURS = 30 * 24


@dataclass(frozen=True, slots=True)
class Pace:
    """The jobs of a worker that died run again after `stalled_after`, the time to the next rescue, and `poll` seconds."""

    heartbeat: float = 10.0
    stalled_after: float = 30.0
    rescue_cron: str = EVERY_15_SECONDS
    poll: float = 5.0


def create_queue(settings: Settings) -> App:
    """The procrastinate application, without tasks."""
    database = settings.database
    return App(
        connector=PsycopgConnector(
            conninfo=connection_string(
                (database.listen_url or database.url).get_secret_value(),
                application_name="motovault-worker",
            ),
            min_size=1,
            max_size=settings.worker.concurrency + 2,
        )
    )


def add_delivery(
    queue: App, database: Database, handlers: tuple[events.Handler, ...], *, attempts: int
) -> None:
    """Deliver events; one that failed `attempts` times is set aside."""

    @queue.task(
        name=events.DELIVER_TASK,
        queue=events.QUEUE,
        pass_context=True,
        retry=RetryStrategy(max_attempts=attempts - 1, exponential_wait=2) if attempts > 1 else 0,
    )
    async def deliver_event(context: JobContext, event_id: int) -> None:
        attempt = context.job.attempts + 1
        if attempt > attempts:
            # Why: a rescued job comes back whatever its count; this one takes its workers down.
            log.error("event_set_aside", event_id=event_id)
            await events.set_aside(database, event_id, "no delivery came to an end")
            return
        try:
            await events.deliver(database, event_id, handlers)
        except Exception as error:
            if attempt == attempts:
                log.exception("event_set_aside", event_id=event_id)
                await events.set_aside(database, event_id, repr(error))
            raise


def add_rescue(queue: App, pace: Pace) -> None:
    """Why: procrastinate leaves the jobs of a killed worker `doing` for ever unless they are asked for."""

    @queue.periodic(cron=pace.rescue_cron)
    @queue.task(name="rescue_stalled_jobs", queueing_lock="rescue_stalled_jobs")
    async def rescue_stalled_jobs(timestamp: int) -> None:  # noqa: ARG001 - procrastinate passes it
        stalled = await queue.job_manager.get_stalled_jobs(
            seconds_since_heartbeat=pace.stalled_after
        )
        for job in stalled:
            await _rescue(queue, job)

    async def forget_failed_jobs() -> None:
        await queue.job_manager.delete_old_jobs(
            _KEEP_FAILED_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
        )

    add_schedule(queue, "forget_failed_jobs", DAILY, forget_failed_jobs)


async def _rescue(queue: App, job: Job) -> None:
    try:
        await queue.job_manager.retry_job(job)
    except UniqueViolation:  # a scheduled job whose successor waits already
        await queue.job_manager.finish_job(job, Status.ABORTED, delete_job=True)
    except ConnectorException as error:  # another worker was faster, most likely
        log.info("job_not_rescued", job=job.task_name, job_id=job.id, error=repr(error))
        return
    log.warning("job_rescued", job=job.task_name, job_id=job.id)


def add_schedule(queue: App, name: str, cron: str, work: Callable[[], Awaitable[object]]) -> None:
    """Run `work` at its times, by one worker. After a failure it waits for its next time."""

    @queue.periodic(cron=cron)
    @queue.task(name=name, queueing_lock=name)
    async def scheduled(timestamp: int) -> None:  # noqa: ARG001 - procrastinate passes it
        await work()


async def run_jobs(queue: App, settings: Settings, pace: Pace) -> None:
    """Work until SIGTERM or SIGINT; jobs that run then get `drain_seconds` to finish."""
    async with queue.open_async():
        log.info("worker_started", concurrency=settings.worker.concurrency)
        await queue.run_worker_async(
            concurrency=settings.worker.concurrency,
            shutdown_graceful_timeout=settings.server.drain_seconds,
            fetch_job_polling_interval=pace.poll,
            update_heartbeat_interval=pace.heartbeat,
            stalled_worker_timeout=pace.stalled_after,
            delete_jobs=DeleteJobCondition.SUCCESSFUL.value,
            worker_middleware=[_observed],
        )
    log.info("worker_stopped")


async def _observed(
    call_next: Callable[[], Awaitable[object]], context: JobContext, _worker: Worker
) -> object:
    job = context.job.task_name
    with request_context():
        try:
            result = await call_next()
        except Exception as error:
            JOB_OUTCOMES.labels(job, "failed").inc()
            log.warning("job_failed", job=job, job_id=context.job.id, error=repr(error))
            raise
    JOB_OUTCOMES.labels(job, "succeeded").inc()
    return result
