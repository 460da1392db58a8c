"""Fuel economy of one energy source of one vehicle, as LubeLogger computes it.

The rules, over fill-ups in order of `FillUp.position`:

- The first fill-up only sets the start: distance 0, nothing accumulated.
- Distance is the odometer minus the last non-zero odometer, never below 0.
- A missed fill-up discards what has accumulated and starts anew.
- A full tank with an odometer closes the segment: everything accumulated since the last close
  belongs to it. It is left out when this fill-up has no volume or no distance of its own.
- Any other fill-up (partial, or without odometer, which is 0) accumulates.

State of charge (LubeLogger 1.6.9): a charge with `soc_end > soc_start` closes like a full tank,
whatever `is_full` says. It shows the battery's capacity, and so what was used on the way and not
only what was charged: `kWh + (level at the segment's start - soc_end) / 100 * capacity`, uncorrected
when that level is unknown. The level at the start is the `soc_end` of the fill-up that opened the
segment: the first, or the last that closed or discarded. Missed and without odometer go before, as
for fuel. A segment that used nothing (charged elsewhere, unrecorded) closes without a result.

Recomputing after a change. After an *anchor* (`is_anchor`) nothing earlier matters, so whoever
stores `Derived` recomputes, after inserting, deleting or editing fill-ups, only this window.
"Changed" are all old and new positions of them; an edited fill-up is never its own border.

- Start: `state_after` the last anchor strictly before the first changed position, walking from
  the record that follows it. No such anchor: `State()`, walking from the very first fill-up.
- End: the first anchor strictly after the last changed position, itself included (its segment
  reaches back into the window). No such anchor: the last fill-up.

Arithmetic is exact while inputs have up to 18 digits (the default decimal context has 28); only the
correction for state of charge divides, and is rounded to `SOC_RESOLUTION`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

ZERO = Decimal(0)
SOC_RESOLUTION = Decimal("0.000001")
"""A column that stores `Derived.segment_volume` must hold at least these places of a kWh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FillUp:
    """One purchase of fuel or charge: `volume` in the source's unit, `odometer` 0 when unknown.

    Neither is ever negative. `soc_start` and `soc_end` are percent, None where unknown and for all
    but electric sources: LubeLogger writes 20 and 80 into petrol records as well.
    """

    id: int
    filled_on: date
    odometer: Decimal
    volume: Decimal
    is_full: bool
    is_missed: bool
    soc_start: int | None = None
    soc_end: int | None = None

    @property
    def position(self) -> tuple[date, Decimal, int]:
        return (self.filled_on, self.odometer, self.id)

    @property
    def charged_percent(self) -> int:
        """Percent of the battery put in; 0 when unknown or when the level did not rise."""
        if self.soc_start is None or self.soc_end is None:
            return 0
        return max(0, self.soc_end - self.soc_start)


@dataclass(frozen=True, slots=True)
class Derived:
    """What a fill-up's neighbours say about it. The segment is set on the record that closes it.

    Economy is `units.economy_in(segment_distance, segment_volume, ...)`, and 0 without a segment.
    """

    distance: Decimal
    segment_distance: Decimal | None = None
    segment_volume: Decimal | None = None


@dataclass(frozen=True, slots=True)
class State:
    """All that later fill-ups need to know of the earlier ones; `State()` is before the first."""

    distance: Decimal = ZERO
    volume: Decimal = ZERO
    odometer: Decimal = ZERO
    soc: int | None = None
    """Battery level at the start of the open segment, in percent."""
    is_first: bool = True


def is_anchor(fill_up: FillUp) -> bool:
    """Whether the state after it depends on nothing before it.

    In SQL: `odometer <> 0 and (is_missed or is_full or coalesce(soc_end > soc_start, false))`.
    """
    return fill_up.odometer != 0 and _ends_segment(fill_up)


def state_after(anchor: FillUp) -> State:
    """Right for anchors only, and for those wherever they stand, the first record included."""
    return State(odometer=anchor.odometer, soc=anchor.soc_end, is_first=False)


def step(state: State, fill_up: FillUp) -> tuple[State, Derived]:
    odometer = fill_up.odometer or state.odometer
    fresh = State(odometer=odometer, soc=fill_up.soc_end, is_first=False)
    if state.is_first:
        return fresh, Derived(ZERO)
    delta = max(ZERO, fill_up.odometer - state.odometer)
    if fill_up.is_missed:
        return fresh, Derived(delta)
    if _ends_segment(fill_up) and fill_up.odometer != 0:
        return fresh, _close(state, fill_up, delta)
    accumulated = replace(
        state,
        distance=state.distance + delta,
        volume=state.volume + fill_up.volume,
        odometer=odometer,
    )
    return accumulated, Derived(delta)


def derive(fill_ups: Iterable[FillUp], start: State | None = None) -> list[Derived]:
    """One `Derived` for each fill-up, which must come in order of `position`."""
    state = State() if start is None else start
    derived = []
    for fill_up in fill_ups:
        state, values = step(state, fill_up)
        derived.append(values)
    return derived


def _ends_segment(fill_up: FillUp) -> bool:
    return fill_up.is_missed or fill_up.is_full or fill_up.charged_percent > 0


def _close(state: State, fill_up: FillUp, delta: Decimal) -> Derived:
    volume = state.volume + fill_up.volume + _drawn_beyond_charge(state, fill_up)
    if delta == 0 or fill_up.volume == 0 or volume <= 0:
        return Derived(delta)
    return Derived(delta, state.distance + delta, volume)


def _drawn_beyond_charge(state: State, fill_up: FillUp) -> Decimal:
    """What the battery holds less than at the segment's start; negative when it holds more."""
    charged = fill_up.charged_percent
    if not charged or state.soc is None or fill_up.soc_end is None:
        return ZERO
    drawn = fill_up.volume * (state.soc - fill_up.soc_end) / charged
    return drawn.quantize(SOC_RESOLUTION)
