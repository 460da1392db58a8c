"""Runs one service in one process: start, readiness, and a stop that loses no request.

On SIGTERM or SIGINT readiness turns 503 first, so that the balancer looks away; only after `ready_grace_seconds` does the
listener close, requests in flight get `drain_seconds` to finish, and the process exits with 0. A second signal skips the
grace, for a person who presses Ctrl-C twice.
"""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable

import structlog
from fastapi import FastAPI
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from motovaultpro.core.observability.logging import configure_logging
from motovaultpro.core.observability.metrics import start_metrics_server
from motovaultpro.core.observability.tracing import configure_tracing, shutdown_tracing
from motovaultpro.core.settings import ServerSettings, Settings

log = structlog.get_logger()

# Why: idle connections must outlive the proxy's pool of them (Traefik: 90 s), else it sends requests into closed ones.
# granian's limit for reading a request head (default 30 s) also ends idle connections.
_IDLE_MILLISECONDS = 120_000
_BACKLOG = 1024
# Its lines go through our handler, as everyone's.
_GRANIAN_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}

AppFactory = Callable[[Settings], FastAPI]


def serve(app_factory: AppFactory, settings: Settings, *, service: str) -> int:
    """Run until a signal; answers the exit code. The app's lifespan sets `app.state.ready` when it can serve."""
    configure_logging(settings.observability)
    try:
        with contextlib.ExitStack() as stack:
            configure_tracing(settings.observability, service=service)
            stack.callback(shutdown_tracing)
            metrics = start_metrics_server(settings.server.host, settings.server.metrics_port)
            stack.callback(metrics.stop)
            return asyncio.run(_serve(app_factory(settings), settings.server))
    except Exception:
        log.exception("service_failed")
        return 1


async def _serve(app: FastAPI, settings: ServerSettings) -> int:
    stopping, hurrying = _listen_for_signals()
    _refuse_taken_port(settings.host, settings.port)
    # Why: granian's own lifespan goes on serving after a failed start; this one ends the process.
    async with app.router.lifespan_context(app):
        server = _server(app, settings)
        serving = asyncio.create_task(server.serve())
        # What start left behind lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        log.info("service_started", host=settings.host, port=settings.port)
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            stop.cancel()
            await serving
            raise RuntimeError("the HTTP server ended by itself")
        app.state.ready = False
        log.info("service_stopping", grace_seconds=settings.ready_grace_seconds)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hurrying.wait(), settings.ready_grace_seconds)
        await _drain(server, serving, settings.drain_seconds)
    log.info("service_stopped")
    return 0


def _listen_for_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Events set by the first and by the second signal."""
    first, second = asyncio.Event(), asyncio.Event()

    def note() -> None:
        (second if first.is_set() else first).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, note)
    return first, second


def _refuse_taken_port(host: str, port: int) -> None:
    """Raise `OSError` if somebody listens there: granian would share the port (SO_REUSEPORT) without a word."""
    family, kind, protocol, _name, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _server(app: FastAPI, settings: ServerSettings) -> Server:
    return Server(
        app,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_IDLE_MILLISECONDS),
        websockets=False,
        backlog=_BACKLOG,
        log_dictconfig=_GRANIAN_LOGGING,
    )


async def _drain(server: Server, serving: "asyncio.Task[None]", seconds: float) -> None:
    """Stop accepting and wait for the requests in flight, no longer than `seconds`."""
    server.stop()  # type: ignore[no-untyped-call]  # granian annotates its arguments only
    done, _ = await asyncio.wait({serving}, timeout=seconds)
    if not done:
        log.warning("drain_timed_out", seconds=seconds)
        serving.cancel()
