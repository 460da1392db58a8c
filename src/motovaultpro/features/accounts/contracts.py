from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from motovaultpro.core.security.actor import Role


@dataclass(frozen=True, slots=True)
class Account:
    """What sign-in needs to know of a user. `roles` by tenant, the oldest membership first."""

    user_id: int
    name: str | None
    is_disabled: bool
    roles: Mapping[UUID, Role]
    password_hash: str | None = field(repr=False)


def user_scope(user_id: int) -> str:
    """The cache scope of everything sign-in remembers of a user: name, roles, disabled, password."""
    return f"user:{user_id}"
