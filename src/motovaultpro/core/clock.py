"""The only source of the present moment, so that tests can choose it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""A function that answers the present as an aware UTC datetime."""


def system_clock() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the one place the ban points to
