import asyncio

import pytest

from motovaultpro.core.observability.context import (
    current_context,
    identify,
    outgoing_headers,
    request_context,
)

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_keeps_a_well_formed_correlation_id() -> None:
    with request_context("phone-1.2_3") as context:
        assert context.correlation_id == "phone-1.2_3"


@pytest.mark.parametrize("given", [None, "", "a" * 65, "a b", "a\n", "ä", "<script>"])
def test_replaces_a_malformed_correlation_id(given: str | None) -> None:
    with request_context(given) as context:
        assert context.correlation_id != given
        assert len(context.correlation_id) == 32


@pytest.mark.parametrize(
    "given",
    [
        "",
        "garbage",
        TRACEPARENT.upper(),
        TRACEPARENT + "\n",
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
    ],
)
def test_drops_a_malformed_traceparent(given: str | None) -> None:
    with request_context(traceparent=given) as context:
        assert context.traceparent is None
        assert context.trace_id is None


def test_names_the_trace_it_was_called_in() -> None:
    with request_context(traceparent=TRACEPARENT) as context:
        assert context.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_is_gone_after_the_request() -> None:
    with request_context():
        pass
    assert current_context() is None


async def test_what_a_child_task_learns_is_known_to_its_parent() -> None:
    async def sign_in() -> None:
        identify(user=7, tenant="t-1")

    with request_context() as context:
        await asyncio.create_task(sign_in())
    assert (context.user, context.tenant) == ("7", "t-1")


def test_identifies_nobody_outside_a_request() -> None:
    identify(user=7, tenant="t-1")
    assert current_context() is None


def test_outgoing_calls_carry_the_ids() -> None:
    with request_context("abc", TRACEPARENT):
        assert outgoing_headers() == {"X-Correlation-ID": "abc", "traceparent": TRACEPARENT}
    with request_context("abc"):
        assert outgoing_headers() == {"X-Correlation-ID": "abc"}
    assert outgoing_headers() == {}
