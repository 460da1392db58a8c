"""The bookkeeping of imports: runs, and where every document went."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import CursorResult, Row, text

from motovaultpro.core.database import AsyncSession

_LINKED = "linked:"


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a document went. `is_linked`: to something that was here before, and is not ours to remove."""

    record_id: int
    fingerprint: bytes
    run_id: int
    is_linked: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """`report` holds `installation`, what each collection's checkpoint said, and at the end the whole report."""

    id: int
    source: str
    status: str
    report: Mapping[str, Any]  # Any: JSON
    started_at: datetime
    finished_at: datetime | None

    @property
    def wrote(self) -> bool:
        return any(
            step.get("new") or step.get("changed") for step in self.report.get("steps", {}).values()
        )


class ImportRepository:
    def __init__(self, session: AsyncSession, tenant_id: UUID) -> None:
        self._session = session
        self._tenant = {"tenant_id": tenant_id}

    async def lock(self) -> None:
        """Let imports into one garage take turns, until the transaction ends."""
        await self._run(
            "SELECT pg_advisory_xact_lock(hashtextextended('import ' || CAST(:tenant_id AS text), 0))"
        )

    async def start(self, source: str, report: Mapping[str, Any], now: datetime) -> int:
        result = await self._run(
            "INSERT INTO import_runs (tenant_id, source, status, report, started_at)"
            " VALUES (:tenant_id, :source, 'running', CAST(:report AS jsonb), :now) RETURNING id",
            source=source,
            report=_json(report),
            now=now,
        )
        run_id: int = result.scalar_one()
        return run_id

    async def resume(self, run_id: int) -> None:
        await self._run(
            "UPDATE import_runs SET status = 'running', finished_at = NULL"
            " WHERE tenant_id = :tenant_id AND id = :run_id",
            run_id=run_id,
        )

    async def checkpoint(self, run_id: int, step: str, *, new: int, changed: Sequence[str]) -> None:
        """Add what a transaction did to what the run did before."""
        await self._run(
            "UPDATE import_runs SET report = jsonb_set(report, CAST(ARRAY['steps', :step] AS text[]),"
            " jsonb_build_object("
            "  'new', coalesce(CAST(report #>> CAST(ARRAY['steps', :step, 'new'] AS text[]) AS integer), 0) + :new,"
            "  'changed', coalesce(report #> CAST(ARRAY['steps', :step, 'changed'] AS text[]), '[]')"
            "             || CAST(:changed AS jsonb)))"
            " WHERE tenant_id = :tenant_id AND id = :run_id",
            run_id=run_id,
            step=step,
            new=new,
            changed=_json(changed),
        )

    async def finish(
        self, run_id: int, status: str, report: Mapping[str, Any], now: datetime
    ) -> None:
        await self._run(
            "UPDATE import_runs SET status = :status, report = report || CAST(:report AS jsonb), finished_at = :now"
            " WHERE tenant_id = :tenant_id AND id = :run_id",
            run_id=run_id,
            status=status,
            report=_json(report),
            now=now,
        )

    async def runs(self) -> list[Run]:
        """Newest first."""
        rows = await self._run(
            "SELECT id, source, status, report, started_at, finished_at FROM import_runs"
            " WHERE tenant_id = :tenant_id ORDER BY id DESC"
        )
        return [
            Run(row.id, row.source, row.status, row.report, row.started_at, row.finished_at)
            for row in rows
        ]

    async def items(self, collection: str) -> dict[str, Stored]:
        """By source id."""
        rows = await self._run(
            "SELECT source_id, record_id, fingerprint, import_run_id FROM import_items"
            " WHERE tenant_id = :tenant_id AND collection = :collection",
            collection=collection,
        )
        return {row.source_id: _to_stored(row) for row in rows}

    async def items_of(self, run_id: int) -> dict[str, dict[str, Stored]]:
        """What a run brought, by collection and source id."""
        rows = await self._run(
            "SELECT collection, source_id, record_id, fingerprint, import_run_id FROM import_items"
            " WHERE tenant_id = :tenant_id AND import_run_id = :run_id",
            run_id=run_id,
        )
        items: dict[str, dict[str, Stored]] = {}
        for row in rows:
            items.setdefault(row.collection, {})[row.source_id] = _to_stored(row)
        return items

    async def save(self, collection: str, items: Mapping[str, Stored]) -> None:
        rows = [
            {
                "source_id": source_id,
                "record_id": f"{_LINKED if item.is_linked else ''}{item.record_id}",
                "fingerprint": item.fingerprint.hex(),
                "run_id": item.run_id,
            }
            for source_id, item in items.items()
        ]
        await self._run(
            "INSERT INTO import_items (tenant_id, collection, source_id, import_run_id, record_id, fingerprint)"
            " SELECT :tenant_id, :collection, source_id, run_id, record_id, decode(fingerprint, 'hex')"
            " FROM jsonb_to_recordset(CAST(:rows AS jsonb))"
            " AS r(source_id text, run_id bigint, record_id text, fingerprint text)"
            " ON CONFLICT (tenant_id, collection, source_id) DO UPDATE SET"
            " import_run_id = excluded.import_run_id, record_id = excluded.record_id, fingerprint = excluded.fingerprint",
            collection=collection,
            rows=_json(rows),
        )

    async def forget(self, collection: str, source_ids: Iterable[str]) -> None:
        await self._run(
            "DELETE FROM import_items WHERE tenant_id = :tenant_id AND collection = :collection"
            " AND source_id = ANY (:source_ids)",
            collection=collection,
            source_ids=list(source_ids),
        )

    async def _run(self, statement: str, **parameters: object) -> CursorResult[Any]:  # Any: rows
        result = await self._session.execute(text(statement), {**self._tenant, **parameters})
        assert isinstance(result, CursorResult)  # noqa: S101 - what text() gives
        return result


def _to_stored(row: Row[Any]) -> Stored:  # Any: columns of import_items
    record_id = row.record_id.removeprefix(_LINKED)
    return Stored(int(record_id), row.fingerprint, row.import_run_id, record_id != row.record_id)


def _json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    return orjson.dumps(value, default=str).decode()
