"""Prometheus metrics of the process, by the names the dashboards and alerts use, and the server that shows them."""

from collections.abc import Callable
from functools import lru_cache

from prometheus_client import (
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    start_http_server,
)

# Why: a second series for each counter and histogram, that nothing reads.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's function has no annotations

HTTP_REQUESTS = Counter(
    "motovault_http_requests_total",
    "HTTP requests answered; endpoint is the route template.",
    ["method", "endpoint", "status_code"],
)
HTTP_REQUEST_DURATION = Histogram(
    "motovault_http_request_duration_seconds",
    "Time from the head of a request to the end of its answer.",
    ["method", "endpoint"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
ACTIVE_CONNECTIONS = Gauge("motovault_active_connections", "HTTP requests being answered.")

DATABASE_OPERATIONS = Counter(
    "motovault_database_operations_total",
    "SQL statements run; status is ok or error.",
    ["operation", "table", "status"],
)
DATABASE_OPERATION_DURATION = Histogram(
    "motovault_database_operation_duration_seconds",
    "Time of one SQL statement, the way to the database included.",
    ["operation", "table"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15),
)
DATABASE_POOL_IN_USE = Gauge("motovault_database_pool_in_use", "Pooled connections handed out.")
DATABASE_POOL_MAX = Gauge("motovault_database_pool_max", "Most connections the pool opens.")

CACHE_EVENTS = Counter(
    "motovault_cache_events_total",
    "Cache events: level is l1 or l2, event is hit, miss or eviction.",
    ["level", "event"],
)
OUTBOX_LAG = Gauge("motovault_outbox_lag_seconds", "Age of the oldest event not yet delivered.")
OUTBOX_FAILED = Gauge("motovault_outbox_failed", "Events set aside after their last attempt.")
JOB_OUTCOMES = Counter(
    "motovault_jobs_total", "Background jobs finished, by outcome.", ["job", "outcome"]
)
STORAGE_OPERATIONS = Counter(
    "motovault_storage_operations_total", "Object storage calls.", ["operation", "status"]
)
LOGINS = Counter("motovault_logins_total", "Sign-in attempts.", ["method", "outcome"])

UNMATCHED = "unmatched"
"""The endpoint of a request no route answered: a scanner's paths must not become series."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def record_request(method: str, endpoint: str, status: int, seconds: float) -> None:
    requests, duration = _request_series(
        method if method in _METHODS else "OTHER", endpoint, status
    )
    requests.inc()
    duration.observe(seconds)


# Why: finding a series by its labels costs more than counting.
@lru_cache(maxsize=4096)
def _request_series(method: str, endpoint: str, status: int) -> tuple[Counter, Histogram]:
    return (
        HTTP_REQUESTS.labels(method, endpoint, str(status)),
        HTTP_REQUEST_DURATION.labels(method, endpoint),
    )


def observe_pool(in_use: Callable[[], int], maximum: int) -> None:
    """Show a connection pool; `in_use` is asked at each scrape."""
    DATABASE_POOL_IN_USE.set_function(in_use)
    DATABASE_POOL_MAX.set(maximum)


class MetricsServer:
    """Serves the metrics from a thread of its own, so that a busy event loop cannot hide that it is busy."""

    def __init__(self, host: str, port: int) -> None:
        self._server, self._thread = start_http_server(port, host)
        self.port = self._server.server_port
        """The port listened on, also when asked for port 0."""

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def start_metrics_server(host: str, port: int) -> MetricsServer:
    return MetricsServer(host, port)
