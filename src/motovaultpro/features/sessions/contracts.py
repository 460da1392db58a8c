from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class SessionKind(StrEnum):
    COOKIE = "cookie"
    """A browser; ends when it was unused for a while."""
    BEARER = "bearer"
    """A client with access tokens; lives as long as its refresh token."""


@dataclass(frozen=True, slots=True)
class Client:
    """Where a sign-in came from, shown to its user."""

    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Session:
    id: int
    user_id: int
    tenant_id: UUID
    is_remembered: bool
    last_used_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class BearerSession:
    """A session together with the only copy of its refresh token."""

    id: int
    user_id: int
    tenant_id: UUID
    refresh_token: str = field(repr=False)
