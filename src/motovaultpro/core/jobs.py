"""Background jobs: deferred in the caller's transaction, run by `motovault worker` (procrastinate)."""

from typing import Any

import orjson
from sqlalchemy import text

from motovaultpro.core.database import AsyncSession

_DEFER = text(
    "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW("
    ":queue, :task, 0, NULL, :queueing_lock, CAST(:arguments AS jsonb), NULL)::procrastinate_job_to_defer_v1])"
)


async def defer(
    session: AsyncSession,
    task: str,
    *,
    queue: str = "default",
    queueing_lock: str | None = None,
    **arguments: Any,  # Any: whatever JSON holds
) -> None:
    """Queue a task of `worker.py` by its name; it runs only if this transaction commits.

    Two waiting jobs with the same `queueing_lock` raise an integrity error.
    """
    await session.execute(
        _DEFER,
        {
            "queue": queue,
            "task": task,
            "queueing_lock": queueing_lock,
            "arguments": orjson.dumps(arguments).decode(),
        },
    )
