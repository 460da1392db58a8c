"""A worker as a process of its own: `python -m tests.core.worker_process SETTINGS MARKS [hang]`.

Leaves a file in the directory MARKS for each event it begins to handle; with `hang`, it comes no further.
"""

import asyncio
import sys
from pathlib import Path

from sqlalchemy import text

from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.events import Event, Handler
from motovaultpro.core.job_runner import Pace, add_delivery, add_rescue, create_queue, run_jobs
from motovaultpro.core.settings import Settings

KIND = "fuel_record.created"
PACE = Pace(heartbeat=0.2, stalled_after=1.0, rescue_cron="* * * * * *", poll=0.2)
"""A fiftieth of a day's work: everything else as in production."""


async def main(settings: Settings, marks: Path, *, hang: bool) -> None:
    database = Database(settings.database)
    await database.open()

    async def handle(session: AsyncSession, event: Event) -> None:
        await session.execute(
            text(
                "INSERT INTO extra_field_definitions (tenant_id, record_type, name, field_type, position)"
                " VALUES (:tenant_id, 'done', :name, 'text', 1)"
            ),
            {"tenant_id": event.tenant_id, "name": str(event.record_id)},
        )
        marks.joinpath(str(event.record_id)).touch()
        if hang:
            await asyncio.Event().wait()

    queue = create_queue(settings)
    handlers = (Handler("process", frozenset({KIND}), handle),)
    add_delivery(queue, database, handlers, attempts=10)
    add_rescue(queue, PACE)
    await run_jobs(queue, settings, PACE)
    await database.close()


if __name__ == "__main__":
    asyncio.run(
        main(
            Settings.model_validate_json(Path(sys.argv[1]).read_text()),
            Path(sys.argv[2]),
            hang="hang" in sys.argv,
        )
    )
