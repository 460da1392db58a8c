"""Shows the figures: tables for people, JSON for programs."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.budgets import Finding, Scenario
from benchmarks.measuring import Figures
from motovaultpro import __version__

FIXED, ROW = "fixed", "row"


@dataclass(frozen=True)
class RequestRow:
    """A kind of request: the product's figures beside those of the yardstick with the same bytes."""

    scenario: Scenario
    product: Figures
    fixed: Figures
    row: Figures

    @property
    def finding(self) -> Finding:
        return Finding(
            self.scenario.target.name,
            self.product.cpu,
            "ms CPU",
            self.scenario.budget_ms,
            self.fixed.cpu,
        )


def request_rows(scenarios: Sequence[Scenario], figures: Mapping[str, Figures]) -> list[RequestRow]:
    return [
        RequestRow(
            scenario,
            figures[scenario.target.name],
            figures[f"{FIXED} {scenario.answer}"],
            figures[f"{ROW} {scenario.answer}"],
        )
        for scenario in scenarios
    ]


def machine() -> dict[str, Any]:  # Any: JSON
    return {
        "version": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": psutil.cpu_count(),
        "load_average": psutil.getloadavg()[0],
    }


class Report:
    """Prints each part as soon as it is measured; `save` writes all of them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._data: dict[str, Any] = {}  # Any: JSON
        self._findings: list[Finding] = []

    def show_machine(self) -> None:
        about = self._data["machine"] = machine()
        self._console.print(
            f"MotoVaultPro {about['version']}, Python {about['python']}, {about['cpus']} CPUs, "
            f"load average {about['load_average']:.1f} before the start"
        )

    def show_requests(self, rows: Sequence[RequestRow]) -> None:
        table = Table(title="CPU of the server per request, and latency over 4 connections, in ms")
        for column in ("request", "body"):
            table.add_column(column)
        for column in (
            "CPU",
            "fixed",
            "row",
            "CPU / row",
            "PostgreSQL",
            "p50",
            "p99",
            "p50 row",
            "budget",
        ):
            table.add_column(column, justify="right")
        table.add_column("")
        for row in rows:
            product = row.product
            table.add_row(
                row.scenario.target.name,
                f"{product.body_bytes / 1000:.1f} kB",
                *(f"{value:.2f}" for value in (product.cpu, row.fixed.cpu, row.row.cpu)),
                f"{product.cpu / row.row.cpu:.1f}x" if row.row.cpu else "-",
                *(
                    f"{value:.2f}"
                    for value in (product.postgres_cpu, product.p50, product.p99, row.row.p50)
                ),
                f"{row.scenario.budget_ms:g}",
                row.finding.verdict,
            )
        self._console.print(table)
        self._data["requests"] = [_request_data(row) for row in rows]
        self._findings += [row.finding for row in rows]

    def show_findings(self, title: str, findings: Sequence[Finding]) -> None:
        table = Table(title=title)
        table.add_column("what")
        for column in ("measured", "yardstick", "budget"):
            table.add_column(column, justify="right")
        table.add_column("")
        for finding in findings:
            table.add_row(
                finding.what,
                f"{finding.value:.2f} {finding.unit}",
                "-" if finding.yardstick is None else f"{finding.yardstick:.2f}",
                f"{finding.budget:g}",
                finding.verdict,
            )
        self._console.print(table)
        self._data[title.replace(" ", "_")] = [_finding_data(finding) for finding in findings]
        self._findings += findings

    def conclude(self) -> None:
        missed = [finding for finding in self._findings if not finding.held]
        self._data["held"] = not missed
        self._data["load_average_after"] = psutil.getloadavg()[0]
        self._console.print(
            f"{len(self._findings) - len(missed)} of {len(self._findings)} budgets held; "
            f"load average {self._data['load_average_after']:.1f} after the end"
        )
        for finding in missed:
            self._console.print(f"  {finding.what}: {finding.verdict}")

    def save(self, file: Path) -> None:
        file.write_text(json.dumps(self._data, indent=2) + "\n")


def _request_data(row: RequestRow) -> dict[str, Any]:  # Any: JSON
    return {
        **_finding_data(row.finding),
        "body_bytes": row.product.body_bytes,
        "product": _figures_data(row.product),
        FIXED: _figures_data(row.fixed),
        ROW: _figures_data(row.row),
    }


def _figures_data(figures: Figures) -> dict[str, Any]:  # Any: JSON
    return {
        "cpu_ms": figures.cpu,
        "cpu_ms_by_round": figures.cpu_by_round,
        "postgres_cpu_ms": figures.postgres_cpu,
        "p50_ms": figures.p50,
        "p99_ms": figures.p99,
    }


def _finding_data(finding: Finding) -> dict[str, Any]:  # Any: JSON
    return {
        "what": finding.what,
        "value": finding.value,
        "unit": finding.unit,
        "budget": finding.budget,
        "yardstick": finding.yardstick,
        "held": finding.held,
    }
