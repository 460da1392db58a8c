"""LubeLogger's user settings, and what they mean for units and preferences here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from motovaultpro.core.units import DistanceUnit, VolumeUnit
from motovaultpro.features.users.contracts import EconomyStyle, Preferences, Theme
from motovaultpro.lubelogger.importer.fields import storable
from motovaultpro.lubelogger.importer.source import Source

ROOT_USER_ID: Final = -1
_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
# Credentials: they belong to the account, and must not be readable with the settings.
_SECRET: Final = frozenset({"UserNameHash", "UserPasswordHash"})


@dataclass(frozen=True, slots=True)
class TypedUnits:
    """What a user types readings and fill-ups in."""

    distance: DistanceUnit
    volume: VolumeUnit
    economy: EconomyStyle


class UserSettings:
    """The settings of each user. Those who never saved any have the root user's; `UseMPG` is on unless it was switched off."""

    def __init__(self, source: Source, *, currency: str | None = None) -> None:
        self._currency = currency
        self._root = source.root_config
        self._own: dict[int, Mapping[str, Any]] = {}  # Any: JSON
        for document in source.of("userconfigrecords"):
            config = document.get("UserConfig")
            if isinstance(document["_id"], int) and isinstance(config, Mapping):
                self._own[document["_id"]] = config

    @property
    def users(self) -> list[int]:
        """Users with settings of their own, the root user among them."""
        return [*([ROOT_USER_ID] if self._root else []), *self._own]

    def of(self, user_id: int | None) -> Mapping[str, Any]:
        return self._own.get(user_id, self._root) if user_id is not None else self._root

    def units(self, user_id: int | None) -> TypedUnits:
        """With `UseUKMPG` people type miles and litres, whatever is shown (LubeLogger's fuel form)."""
        config = self.of(user_id)
        mpg, uk = bool(config.get("UseMPG", True)), bool(config.get("UseUKMPG", False))
        if uk:
            style = EconomyStyle.MPG_UK if mpg else EconomyStyle.L_PER_100KM
            return TypedUnits(DistanceUnit.MI, VolumeUnit.L, style)
        if mpg:
            return TypedUnits(DistanceUnit.MI, VolumeUnit.US_GAL, EconomyStyle.MPG)
        return TypedUnits(DistanceUnit.KM, VolumeUnit.L, EconomyStyle.L_PER_100KM)

    def preferences(self, user_id: int) -> Preferences:
        config = self.of(user_id)
        units = self.units(user_id)
        theme: Theme = "dark" if config.get("UseDarkMode") else "light"
        if config.get("UseSystemColorMode"):
            theme = "system"
        language = str(config.get("UserLanguage") or "").replace("_", "-")
        return Preferences(
            distance_unit=units.distance,
            volume_unit=units.volume,
            currency=self._currency,
            economy_style=units.economy,
            locale=language if _LOCALE.fullmatch(language) else None,
            theme=theme,
            auto_odometer=bool(config.get("EnableAutoOdometerInsert", False)),
            lubelogger={str(k): _json(v) for k, v in config.items() if k not in _SECRET},
        )


def _json(value: Any) -> Any:  # Any: JSON on both sides
    """What PostgreSQL's jsonb can hold."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(str(key)): _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    return value if isinstance(value, bool | int | float | None) else str(value)
