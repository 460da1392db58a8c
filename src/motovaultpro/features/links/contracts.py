from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Purpose(StrEnum):
    """What a link lets its holder do, once."""

    SETUP = "setup"
    """Create the first owner."""
    RESET = "reset"
    """Choose a new password for one user."""


@dataclass(frozen=True, slots=True)
class Link:
    """A new link. `path` carries the token and is known only now."""

    path: str = field(repr=False)
    expires_at: datetime
