"""Events: what happened, written to the outbox in the same transaction and delivered by the worker at least once."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text

from motovaultpro.core.cache import note_stale
from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.observability.context import current_context

DELIVER_TASK = "deliver_event"
QUEUE = "events"

_PUBLISH = text("""
    WITH event AS (
        INSERT INTO outbox (tenant_id, type, payload, user_id, correlation_id)
        VALUES (:tenant_id, :type, CAST(:payload AS jsonb), :user_id, :correlation_id)
        RETURNING id
    )
    SELECT procrastinate_defer_jobs_v1(ARRAY[ROW(
        :queue, :task, 0, NULL, NULL, jsonb_build_object('event_id', event.id), NULL
    )::procrastinate_job_to_defer_v1]) FROM event
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact. `type` is `<noun>.<past participle>`, as in `fuel_record.created`; `data` is JSON."""

    type: str
    tenant_id: UUID
    user_id: int | None = None
    vehicle_id: int | None = None
    record_id: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Handler:
    """Reacts to events whose type is in `types`, once each, in a transaction of the event's tenant.

    What `handle` writes commits together with the receipt; what it does outside the database may happen twice.
    """

    name: str
    types: frozenset[str]
    handle: Callable[[AsyncSession, Event], Awaitable[None]]


async def publish(session: AsyncSession, event: Event) -> None:
    """Write the event and its delivery job, and mark what the caches know of the vehicle and the garage as stale."""
    context = current_context()
    payload = {"vehicle_id": event.vehicle_id, "record_id": event.record_id, "data": event.data}
    await session.execute(
        _PUBLISH,
        {
            "tenant_id": event.tenant_id,
            "type": event.type,
            "payload": orjson.dumps(payload, default=str).decode(),
            "user_id": event.user_id,
            "correlation_id": context.correlation_id if context else None,
            "queue": QUEUE,
            "task": DELIVER_TASK,
        },
    )
    scopes = [f"garage:{event.tenant_id}"]
    if event.vehicle_id is not None:
        scopes.append(f"vehicle:{event.vehicle_id}")
    await note_stale(session, *scopes)


async def deliver(database: Database, event_id: int, handlers: tuple[Handler, ...]) -> None:
    """Hand one event to every handler that has no receipt for it yet.

    A handler that fails keeps it from no other. Raises `ExceptionGroup` of what they raised.
    """
    async with database.system_session() as session:
        row = (
            await session.execute(
                text(
                    "SELECT tenant_id, type, payload, user_id FROM outbox WHERE id = :id AND delivered_at IS NULL"
                ),
                {"id": event_id},
            )
        ).one_or_none()
    if row is None:
        return
    event = Event(type=row.type, tenant_id=row.tenant_id, user_id=row.user_id, **row.payload)
    failures: list[Exception] = []
    for handler in handlers:
        if event.type in handler.types:
            try:
                await _handle_once(database, event_id, event, handler)
            except Exception as error:  # noqa: BLE001 - raised below, when all had their turn
                failures.append(error)
    if failures:
        raise ExceptionGroup("event handlers failed", failures)
    async with database.system_session() as session:
        await session.execute(
            text(
                "UPDATE outbox SET delivered_at = now(), failed_at = NULL, last_error = NULL WHERE id = :id"
            ),
            {"id": event_id},
        )


async def _handle_once(database: Database, event_id: int, event: Event, handler: Handler) -> None:
    async with database.session(event.tenant_id) as session:
        receipt = await session.execute(
            text(
                "INSERT INTO event_receipts (tenant_id, event_id, handler) VALUES (:tenant_id, :event_id, :handler)"
                " ON CONFLICT DO NOTHING RETURNING event_id"
            ),
            {"tenant_id": event.tenant_id, "event_id": event_id, "handler": handler.name},
        )
        if receipt.one_or_none() is not None:
            await handler.handle(session, event)


async def set_aside(database: Database, event_id: int, error: str) -> None:
    """Mark an event whose deliveries all failed; `motovault_outbox_failed` counts these."""
    async with database.system_session() as session:
        await session.execute(
            text("UPDATE outbox SET failed_at = now(), last_error = :error WHERE id = :id"),
            {"id": event_id, "error": error[:2000]},
        )


async def lag(database: Database) -> timedelta:
    """The age of the oldest event that still waits for delivery; zero when none does."""
    async with database.system_session() as session:
        oldest: timedelta | None = await session.scalar(
            text(
                "SELECT now() - min(occurred_at) FROM outbox"
                " WHERE delivered_at IS NULL AND failed_at IS NULL"
            )
        )
    return oldest or timedelta(0)


async def count_set_aside(database: Database) -> int:
    """Events that nobody will deliver unless somebody looks into it."""
    async with database.system_session() as session:
        count: int = await session.scalar(
            text("SELECT count(*) FROM outbox WHERE failed_at IS NOT NULL AND delivered_at IS NULL")
        )
    return count


async def delete_delivered(database: Database, *, before: datetime) -> None:
    """Forget delivered events of long ago; those set aside stay."""
    async with database.system_session() as session:
        await session.execute(
            text("DELETE FROM outbox WHERE delivered_at < :before"), {"before": before}
        )
