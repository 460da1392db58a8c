"""Traces: on when an OTLP address is configured; else nothing of the SDK is even imported."""

from typing import TYPE_CHECKING

from motovaultpro.core.settings import ObservabilitySettings

if TYPE_CHECKING:
    from motovaultpro.core.observability.otlp import OtlpTracing

_active: "OtlpTracing | None" = None


def configure_tracing(settings: ObservabilitySettings, *, service: str) -> None:
    """Start exporting spans if an address is configured. `service` is the name shown in the traces."""
    global _active  # noqa: PLW0603 - tracing belongs to the process, as logging does
    if settings.otlp_endpoint is not None:
        # Why: the SDK and its exporter cost 20 MB of memory and a third of a second at start.
        from motovaultpro.core.observability.otlp import OtlpTracing  # noqa: PLC0415

        _active = OtlpTracing(settings.otlp_endpoint, service)


def shutdown_tracing() -> None:
    """Send what is still buffered, then stop. Blocks until sent, or until the exporter's timeout."""
    global _active  # noqa: PLW0603 - as above
    if _active is not None:
        _active.shutdown()
        _active = None


def active() -> "OtlpTracing | None":
    return _active
