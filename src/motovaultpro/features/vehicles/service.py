from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson

from motovaultpro.core.cache import note_stale
from motovaultpro.core.clock import Clock
from motovaultpro.core.database import AsyncSession
from motovaultpro.core.errors import (
    ConflictError,
    FieldError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from motovaultpro.core.events import Event, publish
from motovaultpro.core.http.etags import Precondition
from motovaultpro.core.security.actor import Actor, Permission, Role
from motovaultpro.core.units import (
    DistanceUnit,
    IncompatibleUnitsError,
    VolumeUnit,
    convert_volume,
)
from motovaultpro.features.extra_fields import facade as extra_fields
from motovaultpro.features.extra_fields.contracts import ExtraFieldValue, RecordType
from motovaultpro.features.users import facade as users
from motovaultpro.features.vehicles.contracts import EnergyKind
from motovaultpro.features.vehicles.models import EnergySource, Share, Vehicle
from motovaultpro.features.vehicles.repository import VehicleRepository
from motovaultpro.features.vehicles.schemas import (
    EnergySourceWrite,
    ShareWrite,
    VehicleCreate,
    VehicleUpdate,
)

_FIXED_UNITS = {
    EnergyKind.ELECTRIC: VolumeUnit.KWH,
    EnergyKind.HYDROGEN: VolumeUnit.KG,
    EnergyKind.CNG: VolumeUnit.KG,
}


class VehicleInUseError(ConflictError):
    code = "energy_source_in_use"


class VehicleService:
    def __init__(self, session: AsyncSession, actor: Actor, clock: Clock) -> None:
        self._session = session
        self._actor = actor
        self._clock = clock
        self._vehicles = VehicleRepository(session, actor.tenant_id)

    async def create(self, data: VehicleCreate) -> tuple[int, bytes]:
        """The new vehicle's id and JSON. Its creator manages it, whatever their role."""
        if self._actor.role is Role.VIEWER:
            raise ForbiddenError("Viewers of a garage cannot add vehicles.")
        defaults = await users.units_for(self._session, self._actor.tenant_id, self._actor.user_id)
        values = data.model_dump(exclude={"energy_sources", "extra_fields"})
        values["currency"] = data.currency or defaults.currency
        values["distance_unit"] = data.distance_unit or DistanceUnit(defaults.distance_unit)
        values["extra_fields"] = await self._checked(data.extra_fields)
        await self._check_documents(values)
        vehicle = await self._vehicles.add(Vehicle(**values, updated_at=self._clock()))
        sources = data.energy_sources or [EnergySourceWrite(kind=EnergyKind.PETROL)]
        await self._set_energy_sources(vehicle.id, sources, VolumeUnit(defaults.volume_unit))
        if self._actor.role is Role.MEMBER:
            await self._vehicles.save_share(
                Share(
                    user_id=self._actor.user_id, vehicle_id=vehicle.id, permission=Permission.MANAGE
                )
            )
        return vehicle.id, await self._changed(vehicle, "created")

    async def update(
        self, vehicle_id: int, data: VehicleUpdate, precondition: Precondition
    ) -> bytes:
        vehicle = await self._editable(vehicle_id, Permission.EDIT, precondition)
        values = data.model_dump(
            exclude_unset=True, exclude={"energy_sources", "extra_fields", "is_archived"}
        )
        if "extra_fields" in data.model_fields_set:
            values["extra_fields"] = await self._checked(data.extra_fields)
        await self._check_documents(values)
        for name, value in values.items():
            setattr(vehicle, name, value)
        if "is_archived" in data.model_fields_set:
            vehicle.archived_at = (
                (vehicle.archived_at or self._clock()) if data.is_archived else None
            )
        if not vehicle.make and not vehicle.model:
            raise InvalidError(
                "A vehicle needs a make or a model.",
                fields=[FieldError("make", "must not be empty")],
            )
        if vehicle.sold_on and vehicle.purchased_on and vehicle.sold_on < vehicle.purchased_on:
            raise InvalidError(
                "A vehicle is sold after it was bought.",
                fields=[FieldError("sold_on", "must not be before purchased_on")],
            )
        vehicle.updated_at = self._clock()
        await self._vehicles.save()
        is_recounted = False
        if "energy_sources" in data.model_fields_set:
            defaults = await users.units_for(
                self._session, self._actor.tenant_id, self._actor.user_id
            )
            is_recounted = await self._set_energy_sources(
                vehicle_id, data.energy_sources, VolumeUnit(defaults.volume_unit)
            )
        return await self._changed(vehicle, "updated", energy_units_changed=is_recounted)

    async def delete(self, vehicle_id: int, precondition: Precondition) -> None:
        """Hide the vehicle and all its records; `restore` brings them back for 30 days."""
        vehicle = await self._editable(vehicle_id, Permission.DELETE, precondition)
        vehicle.deleted_at = self._clock()
        await self._session.flush()
        await self._publish(vehicle, "deleted")

    async def restore(self, vehicle_id: int) -> bytes:
        vehicle = await self._vehicles.get(vehicle_id, lock=True)
        if vehicle is None or vehicle.deleted_at is None:
            raise NotFoundError("There is no such deleted vehicle.")
        vehicle.deleted_at = None
        await self._session.flush()
        # Why after: access is defined for vehicles that are not deleted; a refusal rolls the change back.
        await self.authorize(vehicle_id, Permission.DELETE)
        return await self._changed(vehicle, "restored")

    async def authorize(self, vehicle_id: int, needed: Permission) -> None:
        """Raise `NotFoundError` where the actor may not even see the vehicle, `ForbiddenError` where more is needed."""
        granted = await self._vehicles.permission(
            vehicle_id, user_id=self._actor.user_id, role=self._actor.role
        )
        if granted is None:
            raise NotFoundError("There is no such vehicle, or it is not shared with you.")
        if not granted.at_least(needed):
            raise ForbiddenError(f"This vehicle is not shared with you for '{needed}'.")

    async def share(self, data: ShareWrite) -> tuple[int, bytes]:
        users.require_person(self._actor)
        await self._authorize_sharing(data.vehicle_id)
        if await users.role_of(self._session, self._actor.tenant_id, data.user_id) is None:
            raise InvalidError(
                "There is no such member of the garage.",
                fields=[FieldError("user_id", "is not a member")],
            )
        share_id = await self._vehicles.save_share(
            Share(user_id=data.user_id, vehicle_id=data.vehicle_id, permission=data.permission)
        )
        await self._publish_share("share.changed", data.vehicle_id, data.user_id)
        return share_id, orjson.dumps({"id": share_id, **data.model_dump()})

    async def unshare(self, share_id: int) -> None:
        users.require_person(self._actor)
        share = await self._vehicles.share(share_id)
        if share is None:
            raise NotFoundError("There is no such share.")
        if share.user_id != self._actor.user_id:  # everybody may leave
            try:
                await self._authorize_sharing(share.vehicle_id)
            except ForbiddenError:
                raise NotFoundError("There is no such share.") from None
        await self._vehicles.delete_share(share_id)
        await self._publish_share("share.deleted", share.vehicle_id, share.user_id)

    async def _authorize_sharing(self, vehicle_id: int | None) -> None:
        if vehicle_id is not None:
            await self.authorize(vehicle_id, Permission.MANAGE)
        elif not self._actor.role.at_least(Role.ADMIN):
            raise ForbiddenError("Only owners and administrators share the whole garage.")

    async def _publish_share(self, event_type: str, vehicle_id: int | None, user_id: int) -> None:
        if vehicle_id is None:  # what somebody may see of every vehicle has changed
            ids = await self._vehicles.all_ids()
            await note_stale(self._session, *(f"vehicle:{each}" for each in ids))
        await publish(
            self._session,
            Event(
                type=event_type,
                tenant_id=self._actor.tenant_id,
                user_id=self._actor.user_id,
                vehicle_id=vehicle_id,
                data={"user_id": user_id},
            ),
        )

    async def _editable(
        self, vehicle_id: int, needed: Permission, precondition: Precondition
    ) -> Vehicle:
        vehicle = await self._vehicles.get(vehicle_id, lock=True)
        await self.authorize(vehicle_id, needed)
        if vehicle is None:
            raise NotFoundError("There is no such vehicle.")
        if precondition.is_given:
            precondition.check(await self._json(vehicle_id))
        return vehicle

    async def _set_energy_sources(
        self, vehicle_id: int, wanted: Sequence[EnergySourceWrite], fallback: VolumeUnit
    ) -> bool:
        """Make the vehicle's energy sources those wanted; whether one is now counted in another unit."""
        existing = {source.id: source for source in await self._vehicles.energy_sources(vehicle_id)}
        kept: set[int] = set()
        is_recounted = False
        for position, data in enumerate(wanted):
            unit = data.volume_unit or _FIXED_UNITS.get(data.kind, fallback)
            if data.id is None:
                source = EnergySource(vehicle_id=vehicle_id)
            elif data.id in existing and data.id not in kept:
                source = existing[data.id]
                kept.add(data.id)
                before = VolumeUnit(source.volume_unit)
                unit = data.volume_unit or before
                _check_convertible(before, unit, position)
                is_recounted = is_recounted or unit is not before
            else:
                raise InvalidError(
                    "The vehicle has no such energy source.",
                    fields=[
                        FieldError(f"energy_sources.{position}.id", "is not one of this vehicle")
                    ],
                )
            source.kind, source.capacity, source.position = data.kind, data.capacity, position
            source.volume_unit = unit
            await self._vehicles.add_energy_source(source)
        for source_id, source in existing.items():
            if source_id not in kept:
                await self._remove_energy_source(source)
        return is_recounted

    async def _remove_energy_source(self, source: EnergySource) -> None:
        if not await self._vehicles.delete_energy_source(source):
            raise VehicleInUseError(
                f"The energy source {source.id} has fuel records. Delete or move them first."
            )

    async def _check_documents(self, values: Mapping[str, Any]) -> None:
        """Why: who sees a vehicle sees its image; a document must not become visible by being named here."""
        for field in ("image_document_id", "map_document_id"):
            document_id = values.get(field)
            if document_id is not None and not await self._vehicles.sees_document(
                document_id, user_id=self._actor.user_id, role=self._actor.role
            ):
                raise InvalidError(
                    "There is no such document. Upload it first.",
                    fields=[FieldError(field, "is not a document of this garage")],
                )

    async def _checked(self, values: Sequence[ExtraFieldValue]) -> list[dict[str, str]]:
        return await extra_fields.checked(
            self._session, self._actor.tenant_id, RecordType.VEHICLE, values
        )

    async def _changed(self, vehicle: Vehicle, what: str, **news: bool) -> bytes:
        await self._publish(vehicle, what, **news)
        return await self._json(vehicle.id)

    async def _json(self, vehicle_id: int) -> bytes:
        return await self._vehicles.json(
            vehicle_id, user_id=self._actor.user_id, role=self._actor.role
        )

    async def _publish(self, vehicle: Vehicle, what: str, **news: bool) -> None:
        # Any: whatever JSON holds
        data: dict[str, Any] = {
            "year": vehicle.year,
            "make": vehicle.make,
            "model": vehicle.model,
            **news,
        }
        await publish(
            self._session,
            Event(
                type=f"vehicle.{what}",
                tenant_id=self._actor.tenant_id,
                user_id=self._actor.user_id,
                vehicle_id=vehicle.id,
                record_id=vehicle.id,
                data=data,
            ),
        )


def _check_convertible(before: VolumeUnit, unit: VolumeUnit, position: int) -> None:
    try:
        convert_volume(Decimal(1), before, unit)
    except IncompatibleUnitsError:
        raise InvalidError(
            "Litres do not become kilowatt-hours. Add another energy source instead.",
            fields=[
                FieldError(
                    f"energy_sources.{position}.volume_unit", f"{before} cannot become {unit}"
                )
            ],
        ) from None
