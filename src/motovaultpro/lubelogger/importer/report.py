"""What an import did, or would do: for people and for programs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from motovaultpro.lubelogger.importer.findings import Finding
from motovaultpro.lubelogger.importer.items import Totals
from motovaultpro.lubelogger.importer.store import FileCopy


@dataclass(slots=True, kw_only=True)
class StepReport:
    """Counts of items. `source` is what the installation holds, `skipped` what of it does not come along.

    `names` of `changed`, `deleted_here` and `gone_at_source` are source ids. `sums` compare what is stored with the
    source, of all items that are in both.
    """

    name: str
    title: str
    source: int = 0
    new: int = 0
    changed: list[str] = field(default_factory=list)
    unchanged: int = 0
    skipped: int = 0
    deleted_here: list[str] = field(default_factory=list)
    gone_at_source: list[str] = field(default_factory=list)
    source_sums: Totals | None = None
    target_sums: Totals | None = None

    def add(self, other: "StepReport") -> None:
        """What another transaction of the same step did."""
        self.new += other.new
        self.changed += other.changed
        self.unchanged += other.unchanged
        self.skipped += other.skipped
        self.deleted_here += other.deleted_here

    @property
    def has_work(self) -> bool:
        return bool(self.new or self.changed)


@dataclass(slots=True, kw_only=True)
class Report:
    """`run` is None when nothing was written. `mismatches` say where both sides differ and must not."""

    source: str
    installation: str
    tenant: str
    currency: str
    dry_run: bool = False
    run: int | None = None
    resumed: bool = False
    steps: list[StepReport] = field(default_factory=list)
    waiting: dict[str, int] = field(default_factory=dict)
    files_in_use: int = 0
    """Files of the source that records here use; `files` are those that this run brought."""
    files: list[FileCopy] = field(default_factory=list)
    findings: Sequence[Finding] = ()
    problems: Sequence[str] = ()
    differences: list[str] = field(default_factory=list)
    """Where people changed here what was imported: right, but good to know."""
    mismatches: list[str] = field(default_factory=list)

    @property
    def has_work(self) -> bool:
        return any(step.has_work for step in self.steps)

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        plain: dict[str, Any] = orjson.loads(orjson.dumps(asdict(self), default=str))
        return plain
