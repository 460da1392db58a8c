from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from motovaultpro.core.security.actor import Role


@dataclass(frozen=True, slots=True)
class KnownUser:
    """What every request needs to know of its user. `roles` by tenant, the oldest membership first.

    `password_mark` changes with the name and the stored password, and tells nothing about either.
    """

    user_id: int
    name: str
    roles: Mapping[UUID, Role]
    password_mark: str = field(repr=False)

    @property
    def home(self) -> UUID:
        """The garage that a sign-in by password leads to."""
        return next(iter(self.roles))


@dataclass(frozen=True, slots=True)
class Tokens:
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    """Seconds that the access token lives."""
