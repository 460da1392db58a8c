"""The steps of an import: how the items of each collection are created, brought up to date and taken back."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from typing_extensions import override

from motovaultpro.core.errors import NotFoundError
from motovaultpro.core.events import Event, publish
from motovaultpro.features.documents import facade as documents
from motovaultpro.features.extra_fields import facade as extra_fields
from motovaultpro.features.users import facade as users
from motovaultpro.features.vehicles import facade as vehicles
from motovaultpro.features.vehicles.contracts import ImportedVehicle
from motovaultpro.lubelogger.importer.items import FieldDefinition, Item, Share, Totals, Vehicle
from motovaultpro.lubelogger.importer.kinds import (
    COLLECTION_OF_MODE,
    VEHICLES,
    mode_of,
    record_type_of,
)
from motovaultpro.lubelogger.importer.people import SHARES, USERS
from motovaultpro.lubelogger.importer.planning import DEFINITIONS
from motovaultpro.lubelogger.importer.repository import Stored
from motovaultpro.lubelogger.importer.store import Unit, vehicle_exists
from motovaultpro.lubelogger.importer.uploads import FILES

V = TypeVar("V")

Created = dict[str, tuple[int, bool]]
"""Record id, and whether it is only linked, by source id. What is missing was left out, with a finding."""


class Step(ABC, Generic[V]):
    """`title` is what people call the items. Methods run in the transaction of the unit."""

    def __init__(self, name: str, title: str, items: Sequence[Item[V]] = ()) -> None:
        self.name = name
        self.title = title
        self.items = items

    @abstractmethod
    async def create(self, unit: Unit, items: Sequence[Item[V]]) -> Created: ...

    @abstractmethod
    async def update(self, unit: Unit, item: Item[V], stored: Stored) -> bool:
        """False when the record is gone, or must be made again."""

    @abstractmethod
    async def remove(self, unit: Unit, stored: dict[str, Stored]) -> None:
        """Take back what a run created; what is gone already is fine."""

    def needs(self, item: Item[V]) -> list[tuple[str, str]]:
        """Items (collection, source id) that this one is worthless without: it is made again when they are."""
        return [(VEHICLES, item.vehicle)] if item.vehicle else []

    async def gone(self, _unit: Unit, _stored: dict[str, Stored]) -> set[str]:
        """Source ids of what was deleted here."""
        return set()

    def totals(self, _items: Sequence[Item[V]]) -> Totals | None:
        """Of the source; None where there is nothing to sum up."""
        return None

    async def stored_totals(self, _unit: Unit, ids: Sequence[int]) -> Totals:
        return Totals(records=len(ids))


class DefinitionStep(Step[FieldDefinition]):
    """Definitions that exist here already stay as they are."""

    def __init__(self, items: Sequence[Item[FieldDefinition]] = ()) -> None:
        super().__init__(DEFINITIONS, "extra field definitions", items)

    @override
    async def create(self, unit: Unit, items: Sequence[Item[FieldDefinition]]) -> Created:
        created: Created = {}
        for item in items:
            wanted = item.value
            added = await extra_fields.define(
                unit.session,
                unit.tenant_id,
                wanted.record_type,
                [(wanted.name, wanted.field_type, wanted.is_required)],
            )
            created[item.source_id] = (0, not added)
        return created

    @override
    async def update(self, _unit: Unit, _item: Item[FieldDefinition], _stored: Stored) -> bool:
        return True

    @override
    async def remove(self, unit: Unit, stored: dict[str, Stored]) -> None:
        for source_id in stored:
            mode, _, name = source_id.partition(":")
            record_type = record_type_of(COLLECTION_OF_MODE[mode_of(mode)])
            await extra_fields.undefine(unit.session, unit.tenant_id, record_type, [name])


class VehicleStep(Step[Vehicle]):
    def __init__(self, items: Sequence[Item[Vehicle]] = ()) -> None:
        super().__init__(VEHICLES, "vehicles", items)

    @override
    async def create(self, unit: Unit, items: Sequence[Item[Vehicle]]) -> Created:
        created: Created = {}
        for item in items:
            data = await self._with_pictures(unit, item.value)
            vehicle_id = await vehicles.import_vehicle(
                unit.session, unit.tenant_id, data, now=unit.clock()
            )
            await self._publish(unit, vehicle_id, "imported")
            created[item.source_id] = (vehicle_id, False)
        return created

    @override
    async def update(self, unit: Unit, item: Item[Vehicle], stored: Stored) -> bool:
        data = await self._with_pictures(unit, item.value)
        try:
            await vehicles.update_imported_vehicle(
                unit.session, unit.tenant_id, stored.record_id, data, now=unit.clock()
            )
        except NotFoundError:
            return False
        await self._publish(unit, stored.record_id, "imported")
        return True

    @override
    async def gone(self, unit: Unit, stored: dict[str, Stored]) -> set[str]:
        return await unit.lost_vehicles() & set(stored)

    @override
    async def remove(self, unit: Unit, stored: dict[str, Stored]) -> None:
        for item in stored.values():
            await vehicles.remove_vehicle(unit.session, unit.tenant_id, item.record_id)
            await self._publish(unit, item.record_id, "purged")

    async def _with_pictures(self, unit: Unit, vehicle: Vehicle) -> ImportedVehicle:
        return replace(
            vehicle.data,
            image_document_id=await unit.document(vehicle.image) if vehicle.image else None,
            map_document_id=await unit.document(vehicle.map) if vehicle.map else None,
        )

    async def _publish(self, unit: Unit, vehicle_id: int, what: str) -> None:
        await publish(
            unit.session,
            Event(
                type=f"vehicle.{what}",
                tenant_id=unit.tenant_id,
                vehicle_id=vehicle_id,
                record_id=vehicle_id,
            ),
        )


class ShareStep(Step[Share]):
    def __init__(self, items: Sequence[Item[Share]] = ()) -> None:
        super().__init__(SHARES, "shares", items)

    @override
    def needs(self, item: Item[Share]) -> list[tuple[str, str]]:
        return [(USERS, item.value.user), (VEHICLES, item.value.vehicle)]

    @override
    async def create(self, unit: Unit, items: Sequence[Item[Share]]) -> Created:
        created: Created = {}
        for item in items:
            user_id = await unit.record_id(USERS, item.value.user)
            vehicle_id = await unit.record_id(VEHICLES, item.value.vehicle)
            if user_id is None or vehicle_id is None:
                continue
            role = await users.role_of(unit.session, unit.tenant_id, user_id)
            if role is None or not await vehicle_exists(unit, vehicle_id):
                continue
            share_id = await vehicles.import_share(
                unit.session, unit.tenant_id, user_id, vehicle_id, item.value.permission
            )
            await publish(
                unit.session,
                Event(
                    type="share.changed",
                    tenant_id=unit.tenant_id,
                    vehicle_id=vehicle_id,
                    data={"user_id": user_id},
                ),
            )
            created[item.source_id] = (share_id, False)
        return created

    @override
    async def update(self, unit: Unit, item: Item[Share], stored: Stored) -> bool:
        """Saving a share again is how it changes; it is another one where user or vehicle were made again."""
        return await self.create(unit, [item]) == {item.source_id: (stored.record_id, False)}

    @override
    async def remove(self, unit: Unit, stored: dict[str, Stored]) -> None:
        for item in stored.values():
            await vehicles.remove_share(unit.session, unit.tenant_id, item.record_id)


class FileStep(Step[None]):
    """Only for taking back: files come with the records that use them."""

    def __init__(self) -> None:
        super().__init__(FILES, "files")

    @override
    async def create(self, _unit: Unit, _items: Sequence[Item[None]]) -> Created:
        return {}

    @override
    async def update(self, _unit: Unit, _item: Item[None], _stored: Stored) -> bool:
        return True

    @override
    async def remove(self, unit: Unit, stored: dict[str, Stored]) -> None:
        """The worker deletes them from the storage. What something else uses by now stays."""
        ids = [item.record_id for item in stored.values()]
        await documents.remove_documents(unit.session, unit.tenant_id, ids)
