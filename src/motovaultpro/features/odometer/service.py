from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from motovaultpro.core.database import AsyncSession
from motovaultpro.core.errors import FieldError, InvalidError, NotFoundError
from motovaultpro.core.events import Event, publish
from motovaultpro.core.http.etags import Precondition
from motovaultpro.core.security.actor import Actor, Permission
from motovaultpro.features.documents import facade as documents
from motovaultpro.features.documents.contracts import AttachmentWrite
from motovaultpro.features.extra_fields import facade as extra_fields
from motovaultpro.features.extra_fields.contracts import RecordType
from motovaultpro.features.odometer.models import OdometerRecord
from motovaultpro.features.odometer.repository import OdometerRepository
from motovaultpro.features.odometer.schemas import OdometerRecordCreate, OdometerRecordUpdate
from motovaultpro.features.vehicles import facade as vehicles

_BEYOND = Decimal(10) ** 10  # the domain `reading`


class OdometerService:
    """Readings of a vehicle. Writers of one vehicle take turns, so that each starts where the one before ended."""

    def __init__(self, session: AsyncSession, actor: Actor) -> None:
        self._session = session
        self._actor = actor
        self._records = OdometerRepository(session, actor.tenant_id)

    async def create(self, vehicle_id: int, data: OdometerRecordCreate) -> tuple[int, bytes]:
        await vehicles.authorize(self._session, self._actor, vehicle_id, Permission.EDIT)
        values = data.model_dump(exclude={"adjust", "attachments"})
        values["extra_fields"] = await extra_fields.checked(
            self._session, self._actor.tenant_id, RecordType.ODOMETER, data.extra_fields
        )
        await vehicles.lock(self._session, self._actor.tenant_id, vehicle_id)
        record = OdometerRecord(vehicle_id=vehicle_id, **values)
        if data.adjust:
            record.odometer = await self._adjusted(vehicle_id, data.odometer)
        if data.initial_odometer is None:
            record.initial_odometer = await self._start(record)
        _refuse_backwards(record)
        await self._records.add(record)
        if data.attachments:
            await self._attach(record, data.attachments)
        await self._publish(record, "created")
        return record.id, await self._records.json(record.id)

    async def update(
        self,
        vehicle_id: int,
        record_id: int,
        data: OdometerRecordUpdate,
        precondition: Precondition,
    ) -> bytes:
        record = await self._editable(vehicle_id, record_id, Permission.EDIT, precondition)
        values = data.model_dump(exclude_unset=True, exclude={"attachments"})
        if "extra_fields" in values:
            values["extra_fields"] = await extra_fields.checked(
                self._session, self._actor.tenant_id, RecordType.ODOMETER, data.extra_fields
            )
        for name, value in values.items():
            setattr(record, name, value)
        if values.keys() & {"initial_odometer", "odometer"}:
            _refuse_backwards(record)
        await self._session.flush()
        if "attachments" in data.model_fields_set:
            await self._attach(record, data.attachments)
        await self._publish(record, "updated")
        return await self._records.json(record_id)

    async def delete(self, vehicle_id: int, record_id: int, precondition: Precondition) -> None:
        record = await self._editable(vehicle_id, record_id, Permission.DELETE, precondition)
        await self._remove(record)

    async def recalculate(self, vehicle_id: int) -> int:
        """Let every reading start where the one before it ended; answers how many changed."""
        await vehicles.authorize(self._session, self._actor, vehicle_id, Permission.EDIT)
        await vehicles.lock(self._session, self._actor.tenant_id, vehicle_id)
        changed = await self._records.recalculate(vehicle_id)
        if changed:
            await publish(
                self._session,
                Event(
                    type="odometer_record.recalculated",
                    tenant_id=self._actor.tenant_id,
                    user_id=self._actor.user_id,
                    vehicle_id=vehicle_id,
                    data={"changed": changed},
                ),
            )
        return changed

    async def record_reading(
        self,
        vehicle_id: int,
        source: tuple[RecordType, int],
        *,
        recorded_on: date,
        odometer: Decimal,
        notes: str,
        create: bool,
    ) -> None:
        """Bring the reading of another record up to date, or add it; the source's rights cover it.

        Never refused: a late entry may stand anywhere in the history, and then starts at itself.
        """
        await vehicles.lock(self._session, self._actor.tenant_id, vehicle_id)
        record = await self._records.of_source(*source)
        if record is not None and (record.recorded_on, record.odometer) == (recorded_on, odometer):
            return
        what = "created" if record is None else "updated"
        if record is None:
            if not create:
                return
            source_type, source_id = source
            record = OdometerRecord(
                vehicle_id=vehicle_id,
                source_type=source_type,
                source_id=source_id,
                notes=notes,
                tags=[],
                extra_fields=[],
            )
        record.recorded_on = recorded_on
        record.odometer = odometer
        record.initial_odometer = min(odometer, await self._start(record))
        await self._records.add(record)
        await self._publish(record, what)

    async def remove_reading(self, source_type: RecordType, source_id: int) -> None:
        record = await self._records.of_source(source_type, source_id)
        if record is not None:
            await self._remove(record)

    async def _editable(
        self, vehicle_id: int, record_id: int, needed: Permission, precondition: Precondition
    ) -> OdometerRecord:
        await vehicles.authorize(self._session, self._actor, vehicle_id, needed)
        record = await self._records.locked(vehicle_id, record_id)
        if record is None:
            raise NotFoundError("There is no such odometer record.")
        if precondition.is_given:
            precondition.check(await self._records.json(record_id))
        return record

    async def _start(self, record: OdometerRecord) -> Decimal:
        """Where a reading starts unless told otherwise: at the highest one before it, the first at itself."""
        highest = await self._records.highest_until(
            record.vehicle_id, record.recorded_on, record.odometer, except_id=record.id
        )
        return record.odometer if highest is None else highest

    async def _adjusted(self, vehicle_id: int, shown: Decimal) -> Decimal:
        units = await vehicles.units(self._session, self._actor.tenant_id, vehicle_id)
        exact = (shown + units.odometer_difference) * units.odometer_multiplier
        adjusted = exact.quantize(Decimal(1), ROUND_HALF_UP)
        if not 0 <= adjusted < _BEYOND:
            raise InvalidError(
                "The vehicle's odometer adjustment makes this reading impossible.",
                fields=[FieldError("odometer", f"is {adjusted} after the adjustment")],
            )
        return adjusted

    async def _attach(self, record: OdometerRecord, attachments: Sequence[AttachmentWrite]) -> None:
        await documents.replace(
            self._session,
            self._actor,
            vehicle_id=record.vehicle_id,
            record_type=RecordType.ODOMETER,
            record_id=record.id,
            attachments=attachments,
        )

    async def _remove(self, record: OdometerRecord) -> None:
        await self._records.delete(record.vehicle_id, [record.id])
        await documents.remove(self._session, self._actor.tenant_id, RecordType.ODOMETER, record.id)
        await self._publish(record, "deleted")

    async def _publish(self, record: OdometerRecord, what: str) -> None:
        await publish(
            self._session,
            Event(
                type=f"odometer_record.{what}",
                tenant_id=self._actor.tenant_id,
                user_id=self._actor.user_id,
                vehicle_id=record.vehicle_id,
                record_id=record.id,
                data={
                    "recorded_on": record.recorded_on,
                    "initial_odometer": record.initial_odometer,
                    "odometer": record.odometer,
                },
            ),
        )


def _refuse_backwards(record: OdometerRecord) -> None:
    if record.odometer < record.initial_odometer:
        raise InvalidError(
            f"The reading is below {record.initial_odometer}, where its distance starts. Correct it, or, if the"
            " instrument was replaced, give initial_odometer.",
            fields=[FieldError("odometer", f"must not be below {record.initial_odometer}")],
        )
