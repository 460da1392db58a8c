from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from motovaultpro.core.security.actor import Scope


@dataclass(frozen=True, slots=True)
class ApiKeyGrant:
    """What a key lets its bearer do, in whose name."""

    id: int
    user_id: int
    tenant_id: UUID
    name: str
    scopes: frozenset[Scope]
    expires_at: datetime | None
    last_used_at: datetime | None


def key_scope(key_hash: bytes) -> str:
    """The cache scope of a key's grant."""
    return f"credential:{key_hash.hex()}"
