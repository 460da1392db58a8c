"""Whatever is done to a history through the service: what is stored is what the rules say of the whole of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from fastapi import Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from motovaultpro.core.economy import FillUp, derive
from motovaultpro.core.http.etags import Precondition
from motovaultpro.core.units import VolumeUnit, convert_volume, economy_in
from motovaultpro.features.fuel import facade
from motovaultpro.features.fuel.contracts import ImportedFuelRecord
from motovaultpro.features.fuel.schemas import FuelRecordCreate, FuelRecordUpdate
from motovaultpro.features.fuel.service import FuelService
from tests.factories.fill_ups import charges, fuel_stops, ordered
from tests.factories.garages import Garage, make_vehicle
from tests.factories.reference_economy import reference

UNCONDITIONAL = Precondition(Request({"type": "http", "headers": []}))
SMALLEST = Decimal("0.001")
RESOLUTION = Decimal("1e-9")


_UNEQUAL_SUMS = text("""
    SELECT * FROM (
        SELECT energy_source_id, date_trunc('month', filled_on)::date AS month,
               sum(segment_distance) AS distance, sum(segment_volume) AS volume
          FROM fuel_records WHERE vehicle_id = :vehicle_id AND segment_volume IS NOT NULL GROUP BY 1, 2) records
      FULL JOIN monthly_economy kept USING (energy_source_id, month)
     WHERE coalesce(kept.vehicle_id, :vehicle_id) = :vehicle_id
       AND (coalesce(kept.distance, 0), coalesce(kept.volume, 0))
           <> (coalesce(records.distance, 0), coalesce(records.volume, 0))
""")


@dataclass(frozen=True)
class Step:
    """`add`, `edit` and `delete` go through the service, the others through the facade for imports.

    `pick` chooses the record to change (modulo how many there are), `source` the energy source it is of afterwards.
    """

    action: str
    fill_ups: tuple[FillUp, ...]
    pick: int
    source: int
    unit: VolumeUnit


def steps(fill_up: st.SearchStrategy[FillUp], *units: VolumeUnit) -> st.SearchStrategy[list[Step]]:
    actions = ["add", "add", "edit", "edit", "delete", "import", "update_imported", "remove"]
    step = st.builds(
        Step,
        action=st.sampled_from(actions),
        fill_ups=st.lists(fill_up, min_size=3, max_size=3).map(tuple),
        pick=st.integers(0, 99),
        source=st.sampled_from([0, 0, 0, 1]),
        unit=st.sampled_from(units),
    )
    return st.lists(step, min_size=2, max_size=14)


@dataclass
class History:
    """What a vehicle's records should be, kept beside the database."""

    garage: Garage
    vehicle_id: int
    sources: list[int]
    records: dict[int, tuple[int, VolumeUnit, FillUp]] = field(default_factory=dict)

    async def apply(self, step: Step) -> None:
        source = self.sources[step.source]
        first = step.fill_ups[0]
        known = sorted(self.records)
        record_id = known[step.pick % len(known)] if known else 0
        async with self.garage.database.session(self.garage.tenant_id) as session:
            tenant_id = self.garage.tenant_id
            service = FuelService(session, self.garage.owner)
            match step.action:
                case "import":
                    imported = [self._imported(f, source, step.unit) for f in step.fill_ups]
                    ids = await facade.import_records(session, tenant_id, self.vehicle_id, imported)
                    for new_id, fill_up in zip(ids, step.fill_ups, strict=True):
                        self._remember(new_id, source, step.unit, fill_up)
                case "add":
                    first = replace(first, volume=max(first.volume, SMALLEST))
                    data = FuelRecordCreate(
                        **self._fields(first, source, step.unit), cost=Decimal(1)
                    )
                    new_id, _ = await service.record_fill_up(self.vehicle_id, data)
                    self._remember(new_id, source, step.unit, first)
                case "edit" if known:
                    first = replace(first, volume=max(first.volume, SMALLEST))
                    change = FuelRecordUpdate(**self._fields(first, source, step.unit))
                    await service.update(self.vehicle_id, record_id, change, UNCONDITIONAL)
                    self._remember(record_id, source, step.unit, first)
                case "update_imported" if known:
                    assert await facade.update_imported(
                        session,
                        tenant_id,
                        self.vehicle_id,
                        record_id,
                        self._imported(first, source, step.unit),
                    )
                    self._remember(record_id, source, step.unit, first)
                case "delete" if known:
                    await service.delete(self.vehicle_id, record_id, UNCONDITIONAL)
                    del self.records[record_id]
                case "remove":
                    some = known[:: step.pick % 3 + 2]
                    removed = await facade.remove_records(session, tenant_id, self.vehicle_id, some)
                    assert removed == len(some)
                    for removed_id in some:
                        del self.records[removed_id]

    def of_source(self, source: int) -> list[FillUp]:
        """In the order of the history, with volumes in the source's unit (litres or kWh)."""
        target = {VolumeUnit.KWH: VolumeUnit.KWH}
        return ordered(
            replace(f, volume=convert_volume(f.volume, unit, target.get(unit, VolumeUnit.L)))
            for energy_source_id, unit, f in self.records.values()
            if energy_source_id == source
        )

    async def stored(self, source: int) -> dict[int, Any]:
        async with self.garage.database.session(self.garage.tenant_id) as session:
            rows = await session.execute(
                text(
                    "SELECT id, distance, segment_distance, segment_volume, economy FROM fuel_records"
                    " WHERE energy_source_id = :source"
                ),
                {"source": source},
            )
            return {row.id: row for row in rows}

    async def unequal_sums(self) -> list[Any]:
        """Months whose kept sums are not those of the records."""
        async with self.garage.database.session(self.garage.tenant_id) as session:
            rows = await session.execute(_UNEQUAL_SUMS, {"vehicle_id": self.vehicle_id})
            return list(rows)

    def _remember(self, record_id: int, source: int, unit: VolumeUnit, fill_up: FillUp) -> None:
        self.records[record_id] = (source, unit, replace(fill_up, id=record_id))

    def _fields(self, fill_up: FillUp, source: int, unit: VolumeUnit) -> dict[str, Any]:
        names = ("filled_on", "odometer", "volume", "is_full", "is_missed", "soc_start", "soc_end")
        fields = {name: getattr(fill_up, name) for name in names}
        return {**fields, "energy_source_id": source, "volume_unit": unit}

    def _imported(self, fill_up: FillUp, source: int, unit: VolumeUnit) -> ImportedFuelRecord:
        fields = self._fields(fill_up, source, unit)
        return ImportedFuelRecord(**fields, cost=Decimal(1), currency="EUR")


async def new_history(garage: Garage, kind: str, unit: VolumeUnit) -> History:
    source = {"kind": kind, "volume_unit": unit}
    vehicle = await make_vehicle(garage.client, energy_sources=[source, source])
    return History(garage, vehicle["id"], [s["id"] for s in vehicle["energy_sources"]])


def few_examples(test: Callable[..., Any]) -> Callable[..., Any]:
    return settings(
        max_examples=30,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )(test)


@given(todo=steps(fuel_stops(), VolumeUnit.L))
@few_examples
async def test_stored_values_are_those_of_the_reference(garage: Garage, todo: list[Step]) -> None:
    history = await new_history(garage, "petrol", VolumeUnit.L)
    for step in todo:
        await history.apply(step)
        for source in history.sources:
            rows = await history.stored(source)
            wanted = {
                row.id: row
                for row in reference(history.of_source(source), use_mpg=True, use_uk_mpg=False)
            }
            assert rows.keys() == wanted.keys()
            for record_id, row in rows.items():
                assert row.distance == wanted[record_id].delta
                economy = Decimal(0)
                if row.segment_distance is not None:
                    economy = economy_in(row.segment_distance, row.segment_volume, inverted=False)
                assert economy == wanted[record_id].economy
                assert abs((row.economy or 0) - economy) < RESOLUTION
    assert await history.unequal_sums() == []


@given(todo=steps(charges(), VolumeUnit.KWH))
@few_examples
async def test_stored_values_of_charges_are_those_of_the_whole_history(
    garage: Garage, todo: list[Step]
) -> None:
    await follow(await new_history(garage, "electric", VolumeUnit.KWH), todo)


@given(todo=steps(fuel_stops(), VolumeUnit.L, VolumeUnit.US_GAL, VolumeUnit.UK_GAL))
@few_examples
async def test_stored_values_are_in_the_unit_of_the_energy_source(
    garage: Garage, todo: list[Step]
) -> None:
    await follow(await new_history(garage, "lpg", VolumeUnit.L), todo)


async def follow(history: History, todo: list[Step]) -> None:
    for step in todo:
        await history.apply(step)
        for source in history.sources:
            rows = await history.stored(source)
            walk = history.of_source(source)
            wanted = {f.id: row for f, row in zip(walk, derive(walk), strict=True)}
            assert {
                row.id: (row.distance, row.segment_distance, row.segment_volume)
                for row in rows.values()
            } == {
                key: (row.distance, row.segment_distance, row.segment_volume)
                for key, row in wanted.items()
            }
    assert await history.unequal_sums() == []
