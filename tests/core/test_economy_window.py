"""Recomputing only the window around a change, as the docstring of `core.economy` says."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import count

from hypothesis import event, given, settings
from hypothesis import strategies as st

from motovaultpro.core.economy import Derived, FillUp, State, derive, is_anchor, state_after
from tests.factories.fill_ups import charges, fuel_stops, numbered, ordered, stop


@given(history=st.lists(charges(), min_size=1, max_size=30).map(numbered))
@settings(deadline=None)
def test_after_an_anchor_the_history_does_not_matter(history: list[FillUp]) -> None:
    walk = ordered(history)
    whole = derive(walk)
    for index, fill_up in enumerate(walk):
        if is_anchor(fill_up):
            assert derive(walk[index + 1 :], state_after(fill_up)) == whole[index + 1 :]


class Stored:
    """Records with their derived values, recomputed as the module's docstring says."""

    def __init__(self, fill_ups: Iterable[FillUp]) -> None:
        self.records = {fill_up.id: fill_up for fill_up in fill_ups}
        walk = ordered(self.records.values())
        self.derived = {f.id: row for f, row in zip(walk, derive(walk), strict=True)}

    def apply(self, changes: dict[int, FillUp | None]) -> list[int]:
        """Inserts, replaces and deletes (None) at once; returns the ids it recomputed."""
        old = [self.records.pop(key) for key in changes if key in self.records]
        new = [fill_up for fill_up in changes.values() if fill_up is not None]
        positions = [fill_up.position for fill_up in old + new]
        others = ordered(filter(is_anchor, self.records.values()))
        start = [anchor for anchor in others if anchor.position < min(positions)][-1:]
        end = [anchor for anchor in others if anchor.position > max(positions)][:1]
        self.records.update((fill_up.id, fill_up) for fill_up in new)
        window = [
            fill_up
            for fill_up in ordered(self.records.values())
            if all(fill_up.position > anchor.position for anchor in start)
            and all(fill_up.position <= anchor.position for anchor in end)
        ]
        for key in changes:
            self.derived.pop(key, None)
        rows = derive(window, state_after(start[0]) if start else State())
        self.derived.update((f.id, row) for f, row in zip(window, rows, strict=True))
        return [fill_up.id for fill_up in window]


@given(data=st.data(), kind=st.sampled_from([fuel_stops, charges]))
@settings(deadline=None, max_examples=300)
def test_recomputing_the_window_gives_what_recomputing_everything_gives(
    data: st.DataObject, kind: Callable[[], st.SearchStrategy[FillUp]]
) -> None:
    stored = Stored(data.draw(st.lists(kind(), max_size=15).map(numbered)))
    new_ids = count(100)
    for _ in range(data.draw(st.integers(1, 4))):
        changes: dict[int, FillUp | None] = {}
        for _ in range(data.draw(st.sampled_from([1, 1, 1, 2, 3]))):
            known = st.sampled_from(sorted(stored.records)) if stored.records else st.nothing()
            key = data.draw(known | st.builds(lambda: next(new_ids)))
            after = data.draw(kind())
            deletes = key in stored.records and data.draw(st.booleans())
            changes[key] = None if deletes else replace(after, id=key)
        recomputed = stored.apply(changes)
        event(f"recomputed all: {len(recomputed) == len(stored.records)}")
        assert stored.derived == Stored(stored.records.values()).derived


def test_a_change_in_a_long_history_recomputes_three_records() -> None:
    stored = Stored(stop(day, str(1000 + day * 100), "7") for day in range(0, 400, 2))
    assert stored.apply({201: stop(201, "21050", "3", is_full=False)}) == [201, 202]
    assert stored.apply({201: stop(201, "21050", "4")}) == [201, 202]
    assert stored.apply({200: None}) == [201]
    assert stored.apply({300: stop(300, "0", "4")}) == [300, 302]


def test_a_missed_partial_tank_borders_a_window_unless_it_has_no_odometer() -> None:
    missed = {"is_full": False, "is_missed": True}
    stored = Stored(stop(day, str(1000 + day * 100), "7", **missed) for day in range(0, 20, 2))
    assert stored.apply({9: stop(9, "1950", "3")}) == [9, 10]
    assert stored.apply({10: stop(10, "0", "7", **missed)}) == [10, 12]
    assert stored.apply({9: None}) == [10, 12]


def test_deleting_the_first_record_makes_the_second_the_first() -> None:
    stored = Stored([stop(0, "1000", "40"), stop(1, "1500", "35"), stop(2, "1900", "30")])
    assert stored.apply({0: None}) == [1]
    assert stored.derived[1] == Derived(Decimal(0))
    assert stored.derived[2] == Derived(Decimal(400), Decimal(400), Decimal(30))


def test_a_record_before_the_first_gives_the_former_first_a_segment() -> None:
    stored = Stored([stop(1, "1500", "35"), stop(2, "1900", "30")])
    assert stored.apply({0: stop(0, "1000", "40")}) == [0, 1]
    assert stored.derived[1] == Derived(Decimal(500), Decimal(500), Decimal(35))


def test_a_record_moved_across_others_recomputes_from_its_old_to_its_new_place() -> None:
    stored = Stored(stop(day, str(1000 + day * 100), "7") for day in range(10))
    assert stored.apply({6: stop(3, "1350", "7", id=6)}) == [6, 4, 5, 7]
