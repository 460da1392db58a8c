"""`python -m benchmarks`: measures the product beside the yardstick, and both beside the budgets."""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx
from rich.console import Console

from benchmarks.budgets import (
    FUEL_PAGE,
    MEMORY_MEGABYTES,
    SERVICE_START_SECONDS,
    STACK_FIRST_SECONDS,
    STACK_SECOND_SECONDS,
    Finding,
    Scenario,
    dashboards,
    latency_findings,
    lists,
)
from benchmarks.garages import make_garage, settle
from benchmarks.measuring import CONNECTIONS, Effort, Target, measure
from benchmarks.report import FIXED, ROW, Report, request_rows
from benchmarks.servers import BACKEND, YARDSTICK, Server, Surroundings
from benchmarks.starts import FirstAndSecond, service_starts, stack_starts, timed_postgres
from benchmarks.yardstick import keep_answers
from motovaultpro.migrations.runner import migrate
from motovaultpro.standalone.components.postgres import APP_ROLE, DATABASE, OWNER_ROLE, Postgres
from motovaultpro.standalone.components.valkey import Valkey

_YARDSTICK_DATABASE = "yardstick"
_VEHICLES = 10
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Plan:
    """`histories`: fill-ups of each vehicle, and the years they spread over."""

    effort: Effort
    histories: Sequence[tuple[int, int]]
    starts: int


_FULL = Plan(Effort(rounds=5, requests=300, warm_up=40), ((100, 2), (100_000, 30)), starts=3)
_QUICK = Plan(Effort(rounds=3, requests=100, warm_up=40), ((100, 2), (10_000, 30)), starts=1)


class Bench:
    def __init__(self, directory: Path, plan: Plan, report: Report, console: Console) -> None:
        self._directory = directory
        self._plan = plan
        self._report = report
        self._status = console.status("")
        self._bare_start = 0.0

    def run(self) -> None:
        self._report.show_machine()
        with self._status, ExitStack() as stack:
            self._status.update("starting PostgreSQL and Valkey")
            postgres, postgres_starts = timed_postgres(self._directory / "postgres")
            stack.callback(postgres.stop)
            valkey = stack.enter_context(Valkey(self._directory / "valkey"))
            migrate(postgres.owner_url, app_role=APP_ROLE)
            around = Surroundings(self._directory, postgres.app_url, valkey.url)
            with Server(BACKEND, around, name="backend") as backend:
                self._measure_requests(postgres, backend, around)
            bare_around = replace(around, database_url=_yardstick_url(postgres))
            self._measure_service_starts(around, bare_around)
        with self._status:
            self._measure_stack_starts(postgres_starts)
        self._report.conclude()

    def _measure_requests(self, postgres: Postgres, backend: Server, around: Surroundings) -> None:
        scenarios = self._scenarios(postgres, backend)
        answers = {s.answer: _answer(s.target) for s in scenarios}
        postgres.create_database(_YARDSTICK_DATABASE)
        keep_answers(_yardstick_url(postgres), answers)
        self._status.update("settling the database")
        settle(map(postgres.superuser_url, (DATABASE, _YARDSTICK_DATABASE)))
        bare_around = replace(around, database_url=_yardstick_url(postgres))
        with Server(YARDSTICK, bare_around, name="yardstick") as yardstick:
            bare = [
                Target(f"{kind} {answer}", yardstick, f"/{kind}/{answer}", times=4)
                for answer in answers
                for kind in (FIXED, ROW)
            ]
            figures = measure(
                [*(s.target for s in scenarios), *bare],
                self._plan.effort,
                postgres.pid or 0,
                progress=self._status.update,
            )
            self._report.show_requests(request_rows(scenarios, figures))
            self._report.show_findings("latency", latency_findings(scenarios, figures))
            self._report.show_findings("memory", _memory(backend, yardstick))

    def _scenarios(self, postgres: Postgres, backend: Server) -> list[Scenario]:
        self._status.update("making the garage for the lists")
        garage = make_garage(
            postgres.app_url,
            backend.url,
            people=CONNECTIONS,
            vehicles=_VEHICLES,
            records=FUEL_PAGE,
            years=4,
        )
        scenarios = lists(backend, garage)
        for records, years in self._plan.histories:
            self._status.update(
                f"making a garage with {records:,} fill-ups for each of {_VEHICLES} vehicles"
            )
            garage = make_garage(
                postgres.app_url,
                backend.url,
                people=CONNECTIONS,
                vehicles=_VEHICLES,
                records=records,
                years=years,
            )
            scenarios += dashboards(backend, garage, records, postgres.app_url)
        return scenarios

    def _measure_service_starts(self, around: Surroundings, bare_around: Surroundings) -> None:
        self._status.update("starting the services")
        seconds = median(service_starts(BACKEND, around, times=self._plan.starts))
        self._bare_start = median(service_starts(YARDSTICK, bare_around, times=self._plan.starts))
        finding = Finding(
            "backend, start to ready", seconds, "s", SERVICE_START_SECONDS, self._bare_start
        )
        self._report.show_findings("start of a service", [finding])

    def _measure_stack_starts(self, postgres: FirstAndSecond) -> None:
        """The yardstick is the least any such system needs: PostgreSQL, then a bare service."""
        self._status.update("starting the whole system, twice")
        seconds = stack_starts(self._directory / "stack")
        findings = [
            Finding(
                "motovault up, first run",
                seconds.first,
                "s",
                STACK_FIRST_SECONDS,
                postgres.first + self._bare_start,
            ),
            Finding(
                "motovault up, second run",
                seconds.second,
                "s",
                STACK_SECOND_SECONDS,
                postgres.second + self._bare_start,
            ),
        ]
        self._report.show_findings("start of the whole system", findings)


def _memory(backend: Server, yardstick: Server) -> list[Finding]:
    moments = {
        "after the start": (backend.start_memory, yardstick.start_memory),
        "after the load": (backend.memory(), yardstick.memory()),
    }
    return [
        Finding(
            f"backend, resident {moment}",
            mine / _MEGABYTE,
            "MB",
            MEMORY_MEGABYTES,
            bare / _MEGABYTE,
        )
        for moment, (mine, bare) in moments.items()
    ]


def _answer(target: Target) -> bytes:
    answer = httpx.get(
        f"{target.server.url}{target.path}",
        headers={"Cookie": target.cookies[0]},
        timeout=30,
        trust_env=False,
    )
    return answer.raise_for_status().content


def _yardstick_url(postgres: Postgres) -> str:
    return postgres.url(OWNER_ROLE, _YARDSTICK_DATABASE)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument(
        "--quick", action="store_true", help="fewer requests, a shorter long history"
    )
    arguments = parser.parse_args()
    console = Console(width=160 if not Console().is_terminal else None, highlight=False)
    report = Report(console)
    with TemporaryDirectory(prefix="motovault-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)  # as root, PostgreSQL runs under an account of its own
        Bench(directory, _QUICK if arguments.quick else _FULL, report, console).run()
    if arguments.json:
        report.save(arguments.json)


if __name__ == "__main__":
    main()
