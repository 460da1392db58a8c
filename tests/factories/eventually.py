"""Waiting for what will be true, without sleeping for longer than it takes."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable


async def eventually(
    condition: Callable[[], object | Awaitable[object]], *, within: float = 10.0
) -> float:
    """Wait until the condition holds; answers the seconds it took."""
    started = time.monotonic()
    while True:
        answer = condition()
        if inspect.isawaitable(answer):
            answer = await answer
        waited = time.monotonic() - started
        if answer:
            return waited
        assert waited < within, f"did not become true within {within} s"
        await asyncio.sleep(0.01)
