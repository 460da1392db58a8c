import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from motovaultpro.core import events
from motovaultpro.core.cache import stale_scopes
from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.errors import ConflictError
from motovaultpro.core.events import Event, Handler
from motovaultpro.core.jobs import defer
from motovaultpro.core.observability.context import request_context
from tests.core.conftest import new_tenant

KIND = "fuel_record.created"


class Listener:
    """A handler that counts, can fail, and writes where its tenant's rows are."""

    def __init__(self, name: str = "listener", types: frozenset[str] = frozenset({KIND})) -> None:
        self.seen: list[Event] = []
        self.error: Exception | None = None
        self.handler = Handler(name, types, self._handle)

    async def _handle(self, session: AsyncSession, event: Event) -> None:
        self.seen.append(event)
        await session.execute(
            text(
                "INSERT INTO extra_field_definitions (tenant_id, record_type, name, field_type, position)"
                " VALUES (:tenant_id, :name, :event, 'text', 1)"
            ),
            {
                "tenant_id": event.tenant_id,
                "name": self.handler.name,
                "event": str(event.record_id),
            },
        )
        if self.error is not None:
            raise self.error


@pytest.fixture
async def tenant(own_database: Database) -> UUID:
    return await new_tenant(own_database)


async def query(database: Database, sql: str) -> list[tuple[Any, ...]]:
    async with database.system_session() as session:
        return [tuple(row) for row in await session.execute(text(sql))]


async def published(database: Database, tenant: UUID, *, record: int = 1) -> int:
    async with database.session(tenant) as session:
        await events.publish(session, Event(type=KIND, tenant_id=tenant, record_id=record))
    return int((await query(database, "SELECT max(id) FROM outbox"))[0][0])


async def written(database: Database, tenant: UUID) -> set[tuple[str, str]]:
    async with database.session(tenant) as session:
        rows = await session.execute(text("SELECT record_type, name FROM extra_field_definitions"))
        return {(row[0], row[1]) for row in rows}


async def test_an_event_leaves_with_the_commit(own_database: Database, tenant: UUID) -> None:
    event = Event(
        type=KIND,
        tenant_id=tenant,
        user_id=5,
        vehicle_id=12,
        record_id=34,
        data={"cost": Decimal("12.50"), "day": datetime(2026, 1, 31, tzinfo=UTC)},
    )
    with request_context("correlated"):
        async with own_database.session(tenant) as session:
            await events.publish(session, event)
            assert stale_scopes(session) == {f"garage:{tenant}", "vehicle:12"}
            assert await query(own_database, "SELECT FROM outbox") == []
            assert await query(own_database, "SELECT FROM procrastinate_jobs") == []

    payload = {
        "vehicle_id": 12,
        "record_id": 34,
        "data": {"cost": "12.50", "day": "2026-01-31T00:00:00+00:00"},
    }
    outbox = "SELECT tenant_id, type, payload, user_id, correlation_id, delivered_at FROM outbox"
    assert await query(own_database, outbox) == [(tenant, KIND, payload, 5, "correlated", None)]
    jobs = "SELECT task_name, queue_name, status::text, args->'event_id' = to_jsonb(outbox.id) FROM procrastinate_jobs, outbox"
    assert await query(own_database, jobs) == [("deliver_event", "events", "todo", True)]


async def test_an_event_of_a_failed_transaction_never_was(
    own_database: Database, tenant: UUID
) -> None:
    async def unit() -> None:
        async with own_database.session(tenant) as session:
            await events.publish(session, Event(type=KIND, tenant_id=tenant))
            raise ConflictError("No.")

    with pytest.raises(ConflictError):
        await unit()
    assert await query(own_database, "SELECT FROM outbox") == []
    assert await query(own_database, "SELECT FROM procrastinate_jobs") == []


async def test_an_event_without_a_vehicle_touches_the_garage_only(
    own_database: Database, tenant: UUID
) -> None:
    async with own_database.session(tenant) as session:
        await events.publish(session, Event(type="user.created", tenant_id=tenant))
        assert stale_scopes(session) == {f"garage:{tenant}"}


async def test_is_delivered_once_to_those_who_asked_for_it(
    own_database: Database, tenant: UUID
) -> None:
    listener, deaf = Listener(), Listener("deaf", frozenset({"vehicle.created"}))
    event_id = await published(own_database, tenant)
    for _ in range(2):
        await events.deliver(own_database, event_id, (listener.handler, deaf.handler))

    assert listener.seen == [Event(type=KIND, tenant_id=tenant, record_id=1)]
    assert deaf.seen == []
    assert await query(own_database, "SELECT handler FROM event_receipts") == [("listener",)]
    assert await query(own_database, "SELECT delivered_at IS NULL FROM outbox") == [(False,)]


async def test_an_event_that_is_gone_is_no_error(own_database: Database) -> None:
    await events.deliver(own_database, 404, (Listener().handler,))


async def test_a_handler_acts_within_the_tenant(own_database: Database, tenant: UUID) -> None:
    await new_tenant(own_database)  # whom it must not see
    seen: list[list[UUID]] = []

    async def look(session: AsyncSession, _event: Event) -> None:
        seen.append(list(await session.scalars(text("SELECT id FROM tenants"))))

    event_id = await published(own_database, tenant)
    await events.deliver(own_database, event_id, (Handler("look", frozenset({KIND}), look),))
    assert seen == [[tenant]]


async def test_a_handler_that_fails_keeps_the_event_from_no_other(
    own_database: Database, tenant: UUID
) -> None:
    first, failing, last = Listener("first"), Listener("failing"), Listener("last")
    failing.error = RuntimeError("away")
    handlers = (first.handler, failing.handler, last.handler)
    event_id = await published(own_database, tenant)

    with pytest.raises(ExceptionGroup) as failure:
        await events.deliver(own_database, event_id, handlers)
    assert [repr(error) for error in failure.value.exceptions] == ["RuntimeError('away')"]
    assert await written(own_database, tenant) == {("first", "1"), ("last", "1")}
    assert await query(own_database, "SELECT delivered_at FROM outbox") == [(None,)]

    failing.error = None
    await events.deliver(own_database, event_id, handlers)
    assert [len(each.seen) for each in (first, failing, last)] == [1, 2, 1]
    assert await written(own_database, tenant) == {("first", "1"), ("failing", "1"), ("last", "1")}


async def test_a_worker_that_died_before_the_end_repeats_no_handler(
    own_database: Database, tenant: UUID
) -> None:
    listener = Listener()
    event_id = await published(own_database, tenant)
    await events.deliver(own_database, event_id, (listener.handler,))
    async with own_database.system_session() as session:
        await session.execute(text("UPDATE outbox SET delivered_at = NULL"))

    await events.deliver(own_database, event_id, (listener.handler,))
    assert len(listener.seen) == 1


async def test_two_workers_with_the_same_event_handle_it_once(
    own_database: Database, tenant: UUID
) -> None:
    listener = Listener()
    event_id = await published(own_database, tenant)
    await asyncio.gather(
        *(events.deliver(own_database, event_id, (listener.handler,)) for _ in range(4))
    )
    assert len(listener.seen) == 1


async def test_lag_is_the_age_of_the_oldest_that_waits(
    own_database: Database, tenant: UUID
) -> None:
    assert await events.lag(own_database) == timedelta(0)
    old, aside, new = [await published(own_database, tenant) for _ in range(3)]
    async with own_database.system_session() as session:
        for event_id, hours in ((old, 1), (aside, 2)):
            await session.execute(
                text(
                    "UPDATE outbox SET occurred_at = now() - make_interval(hours => :hours) WHERE id = :id"
                ),
                {"id": event_id, "hours": hours},
            )
    await events.set_aside(own_database, aside, "reason")
    assert timedelta(hours=1) <= await events.lag(own_database) < timedelta(hours=1, minutes=1)

    await events.deliver(own_database, old, ())
    assert timedelta(0) < await events.lag(own_database) < timedelta(minutes=1)
    await events.deliver(own_database, new, ())
    assert await events.lag(own_database) == timedelta(0)

    assert await events.count_set_aside(own_database) == 1
    await events.deliver(own_database, aside, ())
    assert await events.count_set_aside(own_database) == 0


async def test_an_event_set_aside_says_why_and_can_be_delivered_later(
    own_database: Database, tenant: UUID
) -> None:
    event_id = await published(own_database, tenant)
    await events.set_aside(own_database, event_id, "x" * 5000)
    state = "SELECT failed_at IS NOT NULL, length(last_error), delivered_at IS NOT NULL FROM outbox"
    assert await query(own_database, state) == [(True, 2000, False)]

    await events.deliver(own_database, event_id, ())
    assert await query(own_database, state) == [(False, None, True)]


async def test_forgets_old_deliveries_but_nothing_that_failed_or_waits(
    own_database: Database, tenant: UUID
) -> None:
    listener = Listener()
    old, recent, aside, waiting = [
        await published(own_database, tenant, record=record) for record in range(4)
    ]
    for event_id in (old, recent):
        await events.deliver(own_database, event_id, (listener.handler,))
    await events.set_aside(own_database, aside, "reason")
    now = datetime.now(UTC)  # noqa: TID251 - compared with the database's own
    async with own_database.system_session() as session:
        await session.execute(
            text("UPDATE outbox SET delivered_at = :then WHERE id = :id"),
            {"then": now - timedelta(days=2), "id": old},
        )

    await events.delete_delivered(own_database, before=now - timedelta(days=1))
    kept = await query(own_database, "SELECT id FROM outbox ORDER BY id")
    assert kept == [(recent,), (aside,), (waiting,)]
    assert await query(own_database, "SELECT event_id FROM event_receipts") == [(recent,)]


async def test_a_job_leaves_with_the_commit_and_once_per_lock(
    own_database: Database, tenant: UUID
) -> None:
    async def unit(**lock: Any) -> None:
        async with own_database.session(tenant) as session:
            await defer(session, "purge", days=3, **lock)

    await unit()
    await unit(queueing_lock="purge", queue="slow")
    with pytest.raises(Exception, match="queueing_lock"):
        await unit(queueing_lock="purge")
    jobs = "SELECT task_name, queue_name, queueing_lock, args FROM procrastinate_jobs ORDER BY id"
    assert await query(own_database, jobs) == [
        ("purge", "default", None, {"days": 3}),
        ("purge", "slow", "purge", {"days": 3}),
    ]
