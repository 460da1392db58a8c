from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from motovaultpro.core.database import AsyncSession
from motovaultpro.core.errors import FieldError, InvalidError, NotFoundError
from motovaultpro.core.events import Event, publish
from motovaultpro.core.http.etags import Precondition
from motovaultpro.core.security.actor import Actor, Permission
from motovaultpro.core.units import IncompatibleUnitsError, VolumeUnit, convert_volume
from motovaultpro.features.documents import facade as documents
from motovaultpro.features.documents.contracts import AttachmentWrite
from motovaultpro.features.extra_fields import facade as extra_fields
from motovaultpro.features.extra_fields.contracts import ExtraFieldValue, RecordType
from motovaultpro.features.fuel.models import FuelRecord
from motovaultpro.features.fuel.repository import FuelRepository
from motovaultpro.features.fuel.schemas import FuelRecordCreate, FuelRecordUpdate
from motovaultpro.features.odometer import facade as odometer
from motovaultpro.features.users import facade as users
from motovaultpro.features.vehicles import facade as vehicles
from motovaultpro.features.vehicles.contracts import EnergyKind, EnergySource, VehicleUnits

_CENT = Decimal("0.01")
_BEYOND = Decimal(10) ** 10  # the domain `amount`


class FuelService:
    """Fill-ups of a vehicle. Writers of one vehicle take turns: each leaves a history whose derived values are right."""

    def __init__(self, session: AsyncSession, actor: Actor) -> None:
        self._session = session
        self._actor = actor
        self._records = FuelRepository(session, actor.tenant_id)

    async def record_fill_up(self, vehicle_id: int, data: FuelRecordCreate) -> tuple[int, bytes]:
        """The new record's id and JSON."""
        units = await self._start_writing(vehicle_id, Permission.EDIT)
        source = _source(units, data.energy_source_id)
        values = data.model_dump(exclude={"unit_price", "attachments"})
        values["energy_source_id"] = source.id
        values["volume_unit"] = data.volume_unit or source.volume_unit
        values["currency"] = data.currency or units.currency
        values["odometer"] = _reading(units, data.odometer)
        values["extra_fields"] = await self._checked(data.extra_fields)
        if data.unit_price is not None:
            values["cost"] = _cost(data.unit_price, data.volume)
        record = FuelRecord(vehicle_id=vehicle_id, **values)
        _check_energy(record, source)
        await self._records.add(record)
        if data.attachments:
            await self._attach(record, data.attachments)
        await self._records.recompute_changed(units.energy_sources, [(source.id, record.position)])
        await self._keep_reading(record, is_new=True)
        await self._publish(record, "created")
        return record.id, await self._records.json(record.id)

    async def update(
        self, vehicle_id: int, record_id: int, data: FuelRecordUpdate, precondition: Precondition
    ) -> bytes:
        units = await self._start_writing(vehicle_id, Permission.EDIT)
        record = await self._existing(vehicle_id, record_id, precondition)
        before = (record.energy_source_id, record.position)
        await self._apply(record, data, units)
        await self._session.flush()
        if "attachments" in data.model_fields_set:
            await self._attach(record, data.attachments)
        await self._records.recompute_changed(
            units.energy_sources, [before, (record.energy_source_id, record.position)]
        )
        await self._keep_reading(record, is_new=False)
        await self._publish(record, "updated")
        return await self._records.json(record_id)

    async def delete(self, vehicle_id: int, record_id: int, precondition: Precondition) -> None:
        units = await self._start_writing(vehicle_id, Permission.DELETE)
        record = await self._existing(vehicle_id, record_id, precondition)
        deleted = await self._records.delete(vehicle_id, [record_id])
        await self._records.recompute_changed(units.energy_sources, deleted.values())
        await documents.remove(self._session, self._actor.tenant_id, RecordType.FUEL, record_id)
        await odometer.remove_reading(
            self._session, self._actor, source_type=RecordType.FUEL, source_id=record_id
        )
        await self._publish(record, "deleted")

    async def _start_writing(self, vehicle_id: int, needed: Permission) -> VehicleUnits:
        await vehicles.authorize(self._session, self._actor, vehicle_id, needed)
        await vehicles.lock(self._session, self._actor.tenant_id, vehicle_id)
        return await vehicles.units(self._session, self._actor.tenant_id, vehicle_id)

    async def _existing(
        self, vehicle_id: int, record_id: int, precondition: Precondition
    ) -> FuelRecord:
        record = await self._records.get(vehicle_id, record_id)
        if record is None:
            raise NotFoundError("There is no such fuel record.")
        if precondition.is_given:
            precondition.check(await self._records.json(record_id))
        return record

    async def _apply(self, record: FuelRecord, data: FuelRecordUpdate, units: VehicleUnits) -> None:
        values = data.model_dump(exclude_unset=True, exclude={"attachments", "unit_price"})
        if "odometer" in values:
            values["odometer"] = _reading(units, data.odometer)
        if "extra_fields" in values:
            values["extra_fields"] = await self._checked(data.extra_fields)
        for name, value in values.items():
            setattr(record, name, value)
        if "unit_price" in data.model_fields_set:
            record.cost = _cost(data.unit_price, record.volume)
        # Why not always: records from elsewhere may break these rules, and still take other changes.
        if values.keys() & {"energy_source_id", "volume_unit", "soc_start", "soc_end"}:
            _check_energy(record, _source(units, record.energy_source_id))

    async def _checked(self, values: Sequence[ExtraFieldValue]) -> list[dict[str, str]]:
        return await extra_fields.checked(
            self._session, self._actor.tenant_id, RecordType.FUEL, values
        )

    async def _attach(self, record: FuelRecord, attachments: Sequence[AttachmentWrite]) -> None:
        await documents.replace(
            self._session,
            self._actor,
            vehicle_id=record.vehicle_id,
            record_type=RecordType.FUEL,
            record_id=record.id,
            attachments=attachments,
        )

    async def _keep_reading(self, record: FuelRecord, *, is_new: bool) -> None:
        """Give the reading to the odometer's history if the user wants that; keep one that it has right in any case."""
        preferences = await users.preferences(
            self._session, self._actor.tenant_id, self._actor.user_id
        )
        wanted = preferences.auto_odometer and record.odometer != 0
        if is_new and not wanted:
            return
        if record.odometer == 0:
            await odometer.remove_reading(
                self._session, self._actor, source_type=RecordType.FUEL, source_id=record.id
            )
        else:
            await odometer.record_reading(
                self._session,
                self._actor,
                record.vehicle_id,
                recorded_on=record.filled_on,
                odometer=record.odometer,
                source_type=RecordType.FUEL,
                source_id=record.id,
                create=wanted,
            )

    async def _publish(self, record: FuelRecord, what: str) -> None:
        data: dict[str, Any] = {  # Any: JSON
            name: getattr(record, name)
            for name in (
                "energy_source_id",
                "filled_on",
                "odometer",
                "volume",
                "volume_unit",
                "cost",
                "currency",
            )
        }
        await publish(
            self._session,
            Event(
                type=f"fuel_record.{what}",
                tenant_id=self._actor.tenant_id,
                user_id=self._actor.user_id,
                vehicle_id=record.vehicle_id,
                record_id=record.id,
                data=data,
            ),
        )


def _source(units: VehicleUnits, energy_source_id: int | None) -> EnergySource:
    """The vehicle's energy source of this id, or its only one."""
    if energy_source_id is None:
        if len(units.energy_sources) == 1:
            return units.energy_sources[0]
        raise InvalidError(
            "Say which of the vehicle's energy sources was filled up.",
            fields=[
                FieldError(
                    "energy_source_id", f"is needed: the vehicle has {len(units.energy_sources)}"
                )
            ],
        )
    for source in units.energy_sources:
        if source.id == energy_source_id:
            return source
    raise InvalidError(
        "The vehicle has no such energy source.",
        fields=[FieldError("energy_source_id", "is not one of this vehicle")],
    )


def _reading(units: VehicleUnits, reading: Decimal | None) -> Decimal:
    """0 stands for a reading that was not taken."""
    if reading is None and not units.odometer_optional:
        raise InvalidError(
            "Give the odometer, or make it optional for this vehicle.",
            fields=[FieldError("odometer", "is required for this vehicle")],
        )
    return Decimal(0) if reading is None else reading


def _cost(unit_price: Decimal, volume: Decimal) -> Decimal:
    cost = (unit_price * volume).quantize(_CENT, ROUND_HALF_UP)
    if cost >= _BEYOND:
        raise InvalidError(
            "The cost would be too large.",
            fields=[FieldError("unit_price", f"makes a cost of {cost}")],
        )
    return cost


def _check_energy(record: FuelRecord, source: EnergySource) -> None:
    """Refuse a volume that the source's history cannot count, and a battery level of what has no battery."""
    try:
        convert_volume(record.volume, VolumeUnit(record.volume_unit), source.volume_unit)
    except IncompatibleUnitsError:
        raise InvalidError(
            f"This energy source is counted in {source.volume_unit}.",
            fields=[FieldError("volume_unit", f"cannot be converted to {source.volume_unit}")],
        ) from None
    if source.kind is EnergyKind.ELECTRIC:
        return
    given = [name for name in ("soc_start", "soc_end") if getattr(record, name) is not None]
    if given:
        raise InvalidError(
            "Only electric energy sources have a state of charge.",
            fields=[FieldError(name, "is for electric energy sources") for name in given],
        )
