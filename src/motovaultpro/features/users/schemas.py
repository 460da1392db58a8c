from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
)

from motovaultpro.core.security.actor import Role, Scope
from motovaultpro.core.types import Name
from motovaultpro.core.units import DistanceUnit, VolumeUnit, is_currency
from motovaultpro.features.users.contracts import EconomyStyle, Theme

_MAX_PASSWORD = 1024
"""Above what the policy takes, so that the policy can say what is wrong."""


def _known_currency(code: str) -> str:
    if not is_currency(code):
        raise ValueError("must be an ISO 4217 code like EUR")
    return code


@lru_cache
def _time_zones() -> set[str]:
    return available_timezones()  # walks a directory


def _known_time_zone(name: str) -> str:
    if name not in _time_zones():
        raise ValueError("must be an IANA time zone like Europe/Berlin")
    return name


def _works_with_basic(name: str) -> str:
    if ":" in name:
        raise ValueError("must not contain a colon")
    return name


Currency = Annotated[str, Field(min_length=3, max_length=3), AfterValidator(_known_currency)]
Locale = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")]
TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_known_time_zone)]
UserName = Annotated[Name, AfterValidator(_works_with_basic)]
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        max_length=254,
        pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$",
    ),
]
Password = Annotated[SecretStr, Field(max_length=_MAX_PASSWORD)]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PreferencesUpdate(_Input):
    """A partial change; null goes back to the garage's value."""

    distance_unit: DistanceUnit | None = None
    volume_unit: VolumeUnit | None = None
    currency: Currency | None = None
    locale: Locale | None = None
    time_zone: TimeZone | None = None
    theme: Theme | None = None
    auto_odometer: bool | None = None
    economy_style: EconomyStyle | None = None


class MeUpdate(_Input):
    """A partial change: what is left out stays."""

    email: Email | None = None
    preferences: PreferencesUpdate = Field(default_factory=PreferencesUpdate)
    current_password: Password | None = Field(
        None, description="Needed to change `email`: a link for a new password would go there."
    )


class SetupRequest(_Input):
    token: Annotated[SecretStr, Field(max_length=500)]
    name: UserName
    password: Password
    garage: Name | None = Field(None, description="What to call the garage.")


class SetupAnswer(BaseModel):
    id: int
    name: str


class UserCreate(_Input):
    name: UserName
    email: Email | None = None
    role: Role
    password: Password | None = Field(
        None, description="Without one, the answer has a link with which the user chooses it."
    )


class UserUpdate(_Input):
    """A partial change: what is left out stays."""

    name: UserName = ""
    email: Email | None = None
    role: Role = Role.VIEWER
    is_disabled: bool = False


class GarageUpdate(_Input):
    """A partial change: what is left out stays."""

    name: Name = ""
    currency: Currency = ""
    distance_unit: DistanceUnit = DistanceUnit.KM
    volume_unit: VolumeUnit = VolumeUnit.L


class PreferencesRead(BaseModel):
    distance_unit: DistanceUnit | None
    volume_unit: VolumeUnit | None
    currency: str | None
    locale: str | None
    time_zone: str | None
    theme: Theme
    auto_odometer: bool
    economy_style: EconomyStyle | None
    lubelogger: dict[str, Any]  # Any: settings as LubeLogger had them


class TenantRead(BaseModel):
    id: UUID
    name: str


class MeRead(BaseModel):
    id: int
    name: str | None
    email: str | None
    role: Role
    tenant: TenantRead
    preferences: PreferencesRead
    scopes: list[Scope]


class UserRead(BaseModel):
    id: int
    name: str | None
    email: str | None
    role: Role
    is_disabled: bool
    created_at: datetime


class LinkRead(BaseModel):
    url: str
    expires_at: datetime


class UserCreated(UserRead):
    password_link: LinkRead | None


class UserPage(BaseModel):
    items: list[UserRead]
    next_cursor: str | None


class GarageRead(BaseModel):
    id: UUID
    name: str
    currency: str
    distance_unit: DistanceUnit
    volume_unit: VolumeUnit
