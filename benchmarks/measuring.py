"""Measures requests: every target in every round, so that what else the machine does hits all of them alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from benchmarks.load import Invalidation, LoadError, Order, Sample, run
from benchmarks.servers import Server

CONNECTIONS = 4
_SERVER, _POSTGRES = "server", "postgres"
# Of requests that should have found nothing in the cache (or something): a few race with what they should not.
_TOLERATED = 0.02


@dataclass(frozen=True)
class Target:
    """One kind of request to one server. `misses_cache`: what must be true of all of them, None if they use none."""

    name: str
    server: Server
    path: str
    cookies: Sequence[str] = ("",) * CONNECTIONS
    invalidation: Invalidation | None = None
    misses_cache: bool | None = None
    times: int = 1
    """As many requests more for what takes so little that the kernel's clock (10 ms) would be too coarse."""


@dataclass(frozen=True)
class Effort:
    rounds: int
    requests: int
    warm_up: int


@dataclass
class Figures:
    """Per request, in milliseconds: CPU as the median of the rounds, latencies over all of them."""

    body_bytes: int = 0
    cpu_by_round: list[float] = field(default_factory=list)
    postgres_cpu_by_round: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list, repr=False)

    def add(self, sample: Sample) -> None:
        self.body_bytes = sample.body_bytes
        self.cpu_by_round.append(sample.cpu_seconds[_SERVER] * 1000 / sample.requests)
        self.postgres_cpu_by_round.append(sample.cpu_seconds[_POSTGRES] * 1000 / sample.requests)
        self.latencies += sample.latencies_ms

    @property
    def cpu(self) -> float:
        return median(self.cpu_by_round)

    @property
    def postgres_cpu(self) -> float:
        return median(self.postgres_cpu_by_round)

    @property
    def p50(self) -> float:
        return median(self.latencies)

    @property
    def p99(self) -> float:
        return quantiles(self.latencies, n=100)[98]


def measure(
    targets: Sequence[Target],
    effort: Effort,
    postgres_pid: int,
    *,
    progress: Callable[[str], None],
) -> dict[str, Figures]:
    """Figures by the names of the targets. Raises `LoadError` where an answer, or its way, was not the expected one."""
    figures = {target.name: Figures() for target in targets}
    for number in range(1, effort.rounds + 1):
        for target in targets:
            progress(f"round {number} of {effort.rounds}: {target.name}")
            figures[target.name].add(_sample(target, effort, postgres_pid))
    return figures


def _sample(target: Target, effort: Effort, postgres_pid: int) -> Sample:
    order = Order(
        port=target.server.port,
        path=target.path,
        cookies=target.cookies,
        requests=effort.requests * target.times,
        warm_up=effort.warm_up,
        processes={_SERVER: target.server.pid, _POSTGRES: postgres_pid},
        invalidation=target.invalidation,
    )
    if target.misses_cache is None:
        return run(order)
    before = target.server.cache_misses()
    sample = run(order)
    _check(target, target.server.cache_misses() - before, effort)
    return sample


def _check(target: Target, misses: int, effort: Effort) -> None:
    """What is reported as uncached must have been loaded, and the reverse."""
    sent = effort.requests * target.times + effort.warm_up
    expected = sent if target.misses_cache else 0
    # The first requests of each person fill the cache, and find who they are.
    if abs(misses - expected) > sent * _TOLERATED + 2 * CONNECTIONS:
        raise LoadError(
            f"{target.name}: {misses} of {sent} requests were not answered from the cache; {expected} should be"
        )
