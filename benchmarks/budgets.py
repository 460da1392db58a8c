"""What is measured, beside what it may cost and what a bare framework takes for the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.garages import Garage
from benchmarks.load import Invalidation
from benchmarks.measuring import Figures, Target
from benchmarks.servers import Server
from motovaultpro.core.cache import CHANNEL

MEMORY_MEGABYTES = 150
SERVICE_START_SECONDS = 3
STACK_FIRST_SECONDS, STACK_SECOND_SECONDS = 60, 15
LATENCY_RATIO = 1.2

_CACHED_MS, _UNCACHED_MS = 1, 5
_VEHICLES_MS, _FUEL_MS = 3, 5
FUEL_PAGE = 200


@dataclass(frozen=True)
class Scenario:
    """`answer` names what the yardstick gives for the same; `history` is of each vehicle."""

    target: Target
    budget_ms: float
    answer: str
    history: int | None = None


@dataclass(frozen=True)
class Finding:
    """One measured value beside its budget. `yardstick` is in the same unit."""

    what: str
    value: float
    unit: str
    budget: float
    yardstick: float | None = None

    @property
    def held(self) -> bool:
        return self.value <= self.budget

    @property
    def verdict(self) -> str:
        share = self.value / self.budget
        return f"held, {share:.0%} used" if self.held else f"MISSED by {share - 1:.0%}"


def lists(server: Server, garage: Garage) -> list[Scenario]:
    vehicle = garage.vehicles[0].id
    page = f"/api/v1/vehicles/{vehicle}/fuel-records?limit={FUEL_PAGE}"
    return [
        Scenario(
            Target("vehicle list, 10 vehicles", server, "/api/v1/vehicles", garage.cookies),
            _VEHICLES_MS,
            "vehicles",
        ),
        Scenario(
            Target(f"fuel list, {FUEL_PAGE} records", server, page, garage.cookies),
            _FUEL_MS,
            "fuel",
        ),
    ]


def dashboards(server: Server, garage: Garage, history: int, database_url: str) -> list[Scenario]:
    """Cached and uncached, of the garage and of a vehicle."""
    vehicle = garage.vehicles[0].id
    kinds = (
        ("garage", "/api/dashboard", f"garage:{garage.tenant_id}"),
        ("vehicle", f"/api/v1/vehicles/{vehicle}/dashboard", f"vehicle:{vehicle}"),
    )
    scenarios = []
    for kind, path, scope in kinds:
        for cached in (True, False):
            target = Target(
                name=f"{kind} dashboard, {'cached' if cached else 'uncached'}, {history:,} records",
                server=server,
                path=path,
                cookies=garage.cookies,
                invalidation=None if cached else Invalidation(database_url, CHANNEL, scope),
                misses_cache=not cached,
                times=2 if cached else 1,
            )
            budget = _CACHED_MS if cached else _UNCACHED_MS
            scenarios.append(Scenario(target, budget, f"{kind}-dashboard", history))
    return scenarios


def latency_findings(
    scenarios: Sequence[Scenario], figures: Mapping[str, Figures]
) -> list[Finding]:
    """How much slower each dashboard is with the longest history than with the shortest."""
    by_kind: dict[str, list[Scenario]] = {}
    for scenario in scenarios:
        if scenario.history is not None:
            by_kind.setdefault(scenario.target.name.rpartition(", ")[0], []).append(scenario)
    findings = []
    for kind, members in by_kind.items():
        short, *_, long = sorted(members, key=lambda scenario: scenario.history or 0)
        ratio = figures[long.target.name].p50 / figures[short.target.name].p50
        what = f"{kind}: p50 at {long.history:,} / at {short.history:,} records"
        findings.append(Finding(what, ratio, "x", LATENCY_RATIO, 1.0))
    return findings
