"""How `motovault import` shows what it did: tables for people, progress on a terminal."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from decimal import Decimal
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Column, Table

from motovaultpro.lubelogger.importer import Finding, Level, Report, Rollback, Run, StepReport

_SHOWN = 20
_LEVELS = {Level.WARNING: "Did not come along", Level.NOTE: "Stored in another form"}


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


class ProgressBars:
    """One bar for each step, on a terminal only; standard output stays clean."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, title: str, done: int, total: int) -> None:
        if total:
            if title not in self._tasks:
                self._tasks[title] = self._progress.add_task(title, total=total)
            self._progress.update(self._tasks[title], completed=done)


def print_report(report: Report) -> None:
    console = _console()
    console.print(_headline(report), style="bold")
    _print_counts(console, report.steps)
    _print_sums(console, report.steps)
    console.print(f"Files: {report.files_in_use} in use, {len(report.files)} brought now.")
    console.print(f"Currency: {report.currency} (--currency chooses another).")
    if report.waiting:
        waiting = ", ".join(f"{name} {count}" for name, count in report.waiting.items())
        console.print(f"Waiting until they have a home here: {waiting}.", style="yellow")
    _print_list(console, "Problems of the file", report.problems, "bold red")
    for level, title in _LEVELS.items():
        lines = [_line(finding) for finding in report.findings if finding.level is level]
        _print_list(console, title, lines, "yellow")
    invalid = [_line(finding) for finding in report.findings if finding.level is Level.INVALID]
    _print_list(console, "Left out, cannot be stored", invalid, "bold red")
    for step in report.steps:
        _print_list(
            console, f"{step.title} deleted here, not brought back", step.deleted_here, "yellow"
        )
        _print_list(
            console, f"{step.title} gone at the source, kept here", step.gone_at_source, "yellow"
        )
    _print_list(console, "Changed here since the import", report.differences, "yellow")
    _print_list(console, "MISMATCHES", report.mismatches, "bold red")


def print_invalid(findings: Sequence[Finding]) -> None:
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    _print_list(console, "Cannot be stored", [_line(finding) for finding in findings], "bold red")


def print_runs(runs: Sequence[Run], output: Format) -> None:
    if output is Format.JSON:
        plain = [{k: v for k, v in asdict(run).items() if k != "report"} for run in runs]
        print(json.dumps(plain, indent=2, default=str))
        return
    table = Table(
        "id", Column("source", overflow="fold"), "status", "started", "brought", "changed", box=None
    )
    for run in runs:
        steps = run.report.get("steps", {}).values()
        table.add_row(
            str(run.id),
            run.source,
            run.status.replace("_", " "),
            f"{run.started_at:%Y-%m-%d %H:%M}",
            str(sum(step["new"] for step in steps)),
            str(sum(len(step["changed"]) for step in steps)),
        )
    _console().print(table if runs else "Nothing was imported yet.")


def print_rollback(rollback: Rollback) -> None:
    console = _console()
    table = Table("to be deleted", "items", box=None)
    for title, count in rollback.removes.items():
        table.add_row(title, str(count))
    console.print(table if rollback.removes else "This import created nothing.")
    _print_list(console, "Changed by this import, stays as it is", rollback.stays, "yellow")


def _headline(report: Report) -> str:
    if report.dry_run:
        return f"What an import of {report.source} would do" + (
            ":" if report.has_work else ": nothing, all of it is here already."
        )
    if report.run is None:
        return f"Nothing to do: all of {report.source} is here already."
    again = ", which had broken off," if report.resumed else ""
    return f"Import {report.run}{again} of {report.source} is done."


def _print_counts(console: Console, steps: Iterable[StepReport]) -> None:
    table = Table("", "source", "new", "changed", "unchanged", "skipped", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for step in steps:
        if step.source or step.gone_at_source:
            counts = (step.source, step.new, len(step.changed), step.unchanged, step.skipped)
            table.add_row(step.title, *map(str, counts))
    console.print(table)


def _print_sums(console: Console, steps: Iterable[StepReport]) -> None:
    table = Table("sums", "", "source", "here", box=None)
    for step in steps:
        if step.source_sums is None or step.target_sums is None or not step.source_sums.records:
            continue
        for name in ("records", "cost", "volume", "distance"):
            source, target = getattr(step.source_sums, name), getattr(step.target_sums, name)
            if source is not None:
                table.add_row(step.title, name, _number(source), _number(target))
    if table.rows:
        console.print(table)


def _print_list(console: Console, title: str, lines: Sequence[str], style: str) -> None:
    if not lines:
        return
    console.print(f"{title}:", style=style)
    for line in lines[:_SHOWN]:
        console.print(f"  {line}")
    if len(lines) > _SHOWN:
        console.print(f"  and {len(lines) - _SHOWN} more (--report has all)")


def _line(finding: Finding) -> str:
    return f"{finding.collection} {finding.source_id}: {finding.field}: {finding.message}"


def _number(value: Any) -> str:  # Any: int or Decimal
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False, markup=False)
