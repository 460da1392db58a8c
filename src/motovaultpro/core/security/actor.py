"""Who acts, in which tenant, with what rights."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self
from uuid import UUID

from motovaultpro.core.errors import ForbiddenError

Method = Literal["session", "bearer", "api_key", "basic"]
"""How the actor proved who it is."""


class _Ladder(StrEnum):
    """Members are written from the most to the least powerful; each includes those after it.

    Compare with `at_least`: `<` on a `StrEnum` compares letters.
    """

    def at_least(self, needed: Self) -> bool:
        order = list(type(self))
        return order.index(self) <= order.index(needed)


class Role(_Ladder):
    """What a user may do in a tenant."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class Permission(_Ladder):
    """What a share of a vehicle or a garage grants."""

    MANAGE = "manage"
    DELETE = "delete"
    EDIT = "edit"
    VIEW = "view"


class Scope(StrEnum):
    """What an API key may be used for. Each is granted by itself: `delete` does not include `edit`."""

    VIEW = "view"
    EDIT = "edit"
    DELETE = "delete"


ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Actor:
    """The verified sender of a request.

    `scopes` is `ALL_SCOPES` unless `method` is `api_key`. `session_id` is set for `session` and
    `bearer`. `name` is for logs and the audit trail: the user's name, or the API key's.
    """

    user_id: int
    tenant_id: UUID
    role: Role
    scopes: frozenset[Scope]
    method: Method
    session_id: int | None
    name: str

    def require(self, scope: Scope) -> None:
        """Raise `ForbiddenError` where the API key in use lacks the scope."""
        if scope not in self.scopes:
            raise ForbiddenError(f"This API key lacks the scope '{scope}'.")
