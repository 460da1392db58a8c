"""The steps for records with sums, and for what is attached to them."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from typing_extensions import override

from motovaultpro.core.errors import NotFoundError
from motovaultpro.features.documents import facade as documents
from motovaultpro.features.documents.contracts import AttachmentWrite
from motovaultpro.features.fuel import facade as fuel
from motovaultpro.features.fuel.contracts import ImportedFuelRecord
from motovaultpro.features.maintenance import facade as maintenance
from motovaultpro.features.odometer import facade as odometer
from motovaultpro.features.odometer.contracts import ImportedOdometerRecord
from motovaultpro.features.vehicles import facade as vehicles
from motovaultpro.lubelogger.importer.findings import Level
from motovaultpro.lubelogger.importer.items import (
    Attachment,
    Attachments,
    ImportedRecord,
    Item,
    Totals,
)
from motovaultpro.lubelogger.importer.kinds import VEHICLES, record_type_of
from motovaultpro.lubelogger.importer.planning import ATTACHMENTS
from motovaultpro.lubelogger.importer.repository import Stored
from motovaultpro.lubelogger.importer.steps import Created, Step
from motovaultpro.lubelogger.importer.store import Unit


@dataclass(frozen=True, slots=True)
class Capsule:
    """The functions of a record capsule's facade. Any: each capsule has its own records and sums, with the same verbs."""

    import_records: Callable[..., Awaitable[list[int]]]
    update_imported: Callable[..., Awaitable[bool]]
    remove_records: Callable[..., Awaitable[int]]
    sums: Callable[..., Awaitable[Any]]


_FUEL: Final = Capsule(fuel.import_records, fuel.update_imported, fuel.remove_records, fuel.sums)
_MAINTENANCE: Final = Capsule(
    maintenance.import_records,
    maintenance.update_imported,
    maintenance.remove_records,
    maintenance.sums,
)
_ODOMETER: Final = Capsule(
    odometer.import_records, odometer.update_imported, odometer.remove_records, odometer.sums
)
RECORDS: Final = {
    "odometerrecords": ("odometer readings", _ODOMETER),
    "servicerecords": ("service records", _MAINTENANCE),
    "collisionrecords": ("repair records", _MAINTENANCE),
    "upgraderecords": ("upgrade records", _MAINTENANCE),
    "gasrecords": ("fuel records", _FUEL),
}


class RecordStep(Step[ImportedRecord]):
    def __init__(self, name: str, items: Sequence[Item[ImportedRecord]] = ()) -> None:
        title, self._capsule = RECORDS[name]
        super().__init__(name, title, items)

    @override
    async def create(self, unit: Unit, items: Sequence[Item[ImportedRecord]]) -> Created:
        created: Created = {}
        by_vehicle: dict[str, list[Item[ImportedRecord]]] = defaultdict(list)
        for item in items:
            by_vehicle[item.vehicle or ""].append(item)
        for vehicle, of_vehicle in by_vehicle.items():
            vehicle_id = await unit.record_id(VEHICLES, vehicle)
            source_id = vehicle_id and await _energy_source(unit, vehicle_id)
            if vehicle_id is None or source_id is None:
                for item in of_vehicle:
                    unit.findings.add(
                        Level.WARNING, self.name, item.source_id, "VehicleId",
                        f"vehicle {vehicle} was deleted here; left out",
                    )  # fmt: skip
                continue
            records = [_with_source(item.value, source_id) for item in of_vehicle]
            ids = await self._capsule.import_records(
                unit.session, unit.tenant_id, vehicle_id, records
            )
            for item, record_id in zip(of_vehicle, ids, strict=True):
                created[item.source_id] = (record_id, False)
        return created

    @override
    async def update(self, unit: Unit, item: Item[ImportedRecord], stored: Stored) -> bool:
        vehicle_id = await unit.record_id(VEHICLES, item.vehicle or "")
        source_id = vehicle_id and await _energy_source(unit, vehicle_id)
        if source_id is None:
            return False
        return await self._capsule.update_imported(
            unit.session,
            unit.tenant_id,
            vehicle_id,
            stored.record_id,
            _with_source(item.value, source_id),
        )

    @override
    async def gone(self, unit: Unit, stored: dict[str, Stored]) -> set[str]:
        """By halves: counting is what the capsules offer, and seldom anything is gone."""
        if not stored:
            return set()
        ids = [item.record_id for item in stored.values()]
        present = (await self.stored_totals(unit, ids)).records
        if present == len(ids):
            return set()
        if present == 0:
            return set(stored)
        halves = list(stored.items())
        middle = len(halves) // 2
        return await self.gone(unit, dict(halves[:middle])) | await self.gone(
            unit, dict(halves[middle:])
        )

    @override
    async def remove(self, unit: Unit, stored: dict[str, Stored]) -> None:
        """From every vehicle of the import: where a record went is known, under which vehicle only its capsule knows."""
        ids = [item.record_id for item in stored.values()]
        for vehicle in (await unit.stored(VEHICLES)).values():
            if await _energy_source(unit, vehicle.record_id) is not None:
                await self._capsule.remove_records(
                    unit.session, unit.tenant_id, vehicle.record_id, ids
                )

    @override
    def totals(self, items: Sequence[Item[ImportedRecord]]) -> Totals | None:
        records = [item.value for item in items]
        if self.name == "odometerrecords":
            readings = [r for r in records if isinstance(r, ImportedOdometerRecord)]
            distance = sum((r.odometer - r.initial_odometer for r in readings), Decimal(0))
            return Totals(records=len(items), distance=distance)
        costs = [r.cost for r in records if not isinstance(r, ImportedOdometerRecord)]
        if self.name != "gasrecords":
            return Totals(records=len(items), cost=sum(costs, Decimal(0)))
        volumes = [r.volume for r in records if isinstance(r, ImportedFuelRecord)]
        return Totals(
            records=len(items),
            cost=sum(costs, Decimal(0)),
            volume=sum(volumes, Decimal(0)),
            distance=_distance(items),
        )

    @override
    async def stored_totals(self, unit: Unit, ids: Sequence[int]) -> Totals:
        sums = await self._capsule.sums(unit.session, unit.tenant_id, ids)
        return Totals(
            records=sums.records,
            cost=getattr(sums, "cost", None),
            volume=getattr(sums, "volume", None),
            distance=getattr(sums, "distance", None),
        )


class AttachmentStep(Step[Attachments]):
    """`record_id` is that of the record: a record has all its attachments or none."""

    def __init__(self, items: Sequence[Item[Attachments]] = ()) -> None:
        super().__init__(ATTACHMENTS, "records with attachments", items)

    @override
    def needs(self, item: Item[Attachments]) -> list[tuple[str, str]]:
        return [(item.value.collection, item.value.record)]

    @override
    async def create(self, unit: Unit, items: Sequence[Item[Attachments]]) -> Created:
        created: Created = {}
        for item in items:
            record_id = await unit.record_id(item.value.collection, item.value.record)
            vehicle_id = await unit.record_id(VEHICLES, item.vehicle or "")
            if record_id is None or vehicle_id is None:
                continue  # the record was left out, which was said
            if await _energy_source(unit, vehicle_id) is None:
                continue
            await documents.attach(
                unit.session,
                unit.tenant_id,
                vehicle_id=vehicle_id,
                record_type=record_type_of(item.value.collection),
                record_id=record_id,
                attachments=[
                    written
                    for attachment in item.value.attachments
                    if (written := await self._written(unit, item, attachment))
                ],
            )
            created[item.source_id] = (record_id, False)
        return created

    @override
    async def update(self, unit: Unit, item: Item[Attachments], stored: Stored) -> bool:
        return await self.create(unit, [item]) == {item.source_id: (stored.record_id, False)}

    @override
    async def remove(self, unit: Unit, stored: dict[str, Stored]) -> None:
        for source_id, item in stored.items():
            record_type = record_type_of(source_id.partition(":")[0])
            await documents.remove(unit.session, unit.tenant_id, record_type, item.record_id)

    async def _written(
        self, unit: Unit, item: Item[Attachments], attachment: Attachment
    ) -> AttachmentWrite | None:
        if attachment.location:
            document_id = await unit.document(attachment.location)
            return AttachmentWrite(name=attachment.name, document_id=document_id)
        if attachment.target is None:
            return AttachmentWrite(name=attachment.name, url=attachment.url)
        collection, source_id = attachment.target
        target_id = await unit.record_id(collection, source_id)
        if target_id is None:
            unit.findings.add(
                Level.WARNING, item.value.collection, item.value.record, "Files",
                f"the link '{attachment.name}' leads to a record that was left out",
            )  # fmt: skip
            return None
        return AttachmentWrite(
            name=attachment.name, target_type=record_type_of(collection), target_id=target_id
        )


async def _energy_source(unit: Unit, vehicle_id: int) -> int | None:
    """The first one: LubeLogger's vehicles have one. None = the vehicle is gone."""
    try:
        units = await vehicles.units(unit.session, unit.tenant_id, vehicle_id)
    except NotFoundError:
        return None
    return units.energy_sources[0].id if units.energy_sources else 0


def _with_source(record: ImportedRecord, source_id: int) -> ImportedRecord:
    if isinstance(record, ImportedFuelRecord):
        return replace(record, energy_source_id=source_id)
    return record


def _distance(items: Sequence[Item[ImportedRecord]]) -> Decimal:
    """As LubeLogger has it: from reading to reading by day and odometer, never below 0; 0 is no reading."""
    by_vehicle: dict[str | None, list[tuple[date, Decimal]]] = defaultdict(list)
    for item in items:
        if isinstance(item.value, ImportedFuelRecord):
            by_vehicle[item.vehicle].append((item.value.filled_on, item.value.odometer))
    distance = Decimal(0)
    for readings in by_vehicle.values():
        previous: Decimal | None = None
        for _, reading in sorted(readings):
            if previous is not None:
                distance += max(Decimal(0), reading - previous)
            previous = reading or previous
    return distance
