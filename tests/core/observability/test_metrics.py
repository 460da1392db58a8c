import socket

import httpx
import pytest
from prometheus_client import REGISTRY

from motovaultpro.core.observability.metrics import (
    observe_pool,
    record_request,
    start_metrics_server,
)


def test_counts_and_times_a_request_by_its_labels() -> None:
    labels = {"method": "GET", "endpoint": "/test/counts"}
    for _ in range(2):
        record_request("GET", "/test/counts", 200, 0.02)
    name = "motovault_http_request"
    assert REGISTRY.get_sample_value(f"{name}s_total", {**labels, "status_code": "200"}) == 2
    assert REGISTRY.get_sample_value(f"{name}_duration_seconds_count", labels) == 2
    assert (
        REGISTRY.get_sample_value(f"{name}_duration_seconds_bucket", {**labels, "le": "0.01"}) == 0
    )
    assert (
        REGISTRY.get_sample_value(f"{name}_duration_seconds_bucket", {**labels, "le": "0.025"}) == 2
    )


def test_invented_methods_are_one_series() -> None:
    for method in ("BREW", "WHEN"):
        record_request(method, "/test/methods", 405, 0.01)
    labels = {"method": "OTHER", "endpoint": "/test/methods", "status_code": "405"}
    assert REGISTRY.get_sample_value("motovault_http_requests_total", labels) == 2


def test_serves_every_metric_of_the_design_on_a_port_of_its_own() -> None:
    observe_pool(lambda: 3, 10)
    server = start_metrics_server("127.0.0.1", 0)
    try:
        text = httpx.get(f"http://127.0.0.1:{server.port}/metrics").text
    finally:
        server.stop()
    for name in (
        "motovault_http_requests_total",
        "motovault_http_request_duration_seconds",
        "motovault_active_connections",
        "motovault_database_operations_total",
        "motovault_database_operation_duration_seconds",
        "motovault_cache_events_total",
        "motovault_outbox_lag_seconds",
        "motovault_jobs_total",
        "motovault_storage_operations_total",
        "motovault_logins_total",
    ):
        assert f"# TYPE {name} " in text
    assert "motovault_database_pool_in_use 3.0" in text
    assert "motovault_database_pool_max 10.0" in text


def test_a_stopped_server_frees_its_port() -> None:
    server = start_metrics_server("127.0.0.1", 0)
    server.stop()
    with (
        pytest.raises(ConnectionRefusedError),
        socket.create_connection(("127.0.0.1", server.port)),
    ):
        pass
