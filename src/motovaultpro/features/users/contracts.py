"""What other rooms see of users and their garage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from motovaultpro.core.security.actor import Role
from motovaultpro.core.units import DistanceUnit, VolumeUnit


class EconomyStyle(StrEnum):
    """How the economy of liquid fuels is shown; others keep the vehicle's own units."""

    MPG = "mpg"
    MPG_UK = "mpg_uk"
    L_PER_100KM = "l_per_100km"
    KM_PER_L = "km_per_l"


Theme = Literal["system", "light", "dark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """A user's own choices; None = what the garage says."""

    distance_unit: DistanceUnit | None = None
    volume_unit: VolumeUnit | None = None
    currency: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    theme: Theme = "system"
    auto_odometer: bool = False
    """Records that name a reading also add it to the odometer's history."""
    economy_style: EconomyStyle | None = None
    lubelogger: Mapping[str, Any] = field(
        default_factory=dict
    )  # Any: settings as LubeLogger had them


@dataclass(frozen=True, slots=True)
class Units:
    """What new vehicles start with."""

    currency: str
    distance_unit: DistanceUnit
    volume_unit: VolumeUnit


@dataclass(frozen=True, slots=True)
class Member:
    """A user in one garage. `name` is None until an imported root user has signed in once."""

    user_id: int
    name: str | None
    email: str | None
    role: Role
    is_disabled: bool
