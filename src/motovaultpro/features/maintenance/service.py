from collections.abc import Sequence
from decimal import Decimal

from motovaultpro.core.clock import Clock
from motovaultpro.core.database import AsyncSession
from motovaultpro.core.errors import FieldError, InvalidError, NotFoundError
from motovaultpro.core.events import Event, publish
from motovaultpro.core.http.etags import Precondition
from motovaultpro.core.security.actor import Actor, Permission
from motovaultpro.features.documents import facade as documents
from motovaultpro.features.documents.contracts import AttachmentWrite
from motovaultpro.features.extra_fields import facade as extra_fields
from motovaultpro.features.extra_fields.contracts import ExtraFieldValue, RecordType
from motovaultpro.features.maintenance.models import MaintenanceRecord
from motovaultpro.features.maintenance.repository import MaintenanceRepository
from motovaultpro.features.maintenance.schemas import (
    LineItemWrite,
    MaintenanceRecordCreate,
    MaintenanceRecordUpdate,
)
from motovaultpro.features.odometer import facade as odometer
from motovaultpro.features.users import facade as users
from motovaultpro.features.vehicles import facade as vehicles

_TOO_MUCH = Decimal(10) ** 10  # the domain `amount`


class MaintenanceService:
    """Services, repairs and upgrades. With the preference `auto_odometer` their readings are kept as odometer records."""

    def __init__(self, session: AsyncSession, actor: Actor, clock: Clock) -> None:
        self._session = session
        self._actor = actor
        self._clock = clock
        self._records = MaintenanceRepository(session, actor.tenant_id)

    async def create(self, vehicle_id: int, data: MaintenanceRecordCreate) -> tuple[int, bytes]:
        await vehicles.authorize(self._session, self._actor, vehicle_id, Permission.EDIT)
        cost = _settled(data.cost, _total(data.line_items))
        values = data.model_dump(exclude={"cost", "currency", "line_items", "attachments"})
        values["extra_fields"] = await self._checked(RecordType(data.kind), data.extra_fields)
        currency = data.currency or await self._currency(vehicle_id)
        record = await self._records.add(
            MaintenanceRecord(vehicle_id=vehicle_id, cost=cost, currency=currency, **values)
        )
        if data.line_items:
            await self._records.replace_line_items(record.id, data.line_items)
        if data.attachments:
            await self._attach(record, data.attachments)
        await self._keep_reading(record, is_new=True)
        await self._publish(record, "created")
        return record.id, await self._records.json(record.id)

    async def update(
        self,
        vehicle_id: int,
        record_id: int,
        data: MaintenanceRecordUpdate,
        precondition: Precondition,
    ) -> bytes:
        await vehicles.authorize(self._session, self._actor, vehicle_id, Permission.EDIT)
        record = await self._locked(vehicle_id, record_id, precondition)
        kind_before = RecordType(record.kind)
        await self._apply(record, data)
        await follow_kind(self._session, record, kind_before)
        if "attachments" in data.model_fields_set:
            await self._attach(record, data.attachments)
        await self._keep_reading(record, is_new=False)
        await self._publish(record, "updated")
        return await self._records.json(record_id)

    async def delete(self, vehicle_id: int, record_id: int, precondition: Precondition) -> None:
        await vehicles.authorize(self._session, self._actor, vehicle_id, Permission.DELETE)
        record = await self._locked(vehicle_id, record_id, precondition)
        kind = RecordType(record.kind)
        await self._records.delete(vehicle_id, [record_id])
        await documents.remove(self._session, self._actor.tenant_id, kind, record_id)
        await odometer.remove_reading(
            self._session, self._actor, source_type=kind, source_id=record_id
        )
        await self._publish(record, "deleted")

    async def _locked(
        self, vehicle_id: int, record_id: int, precondition: Precondition
    ) -> MaintenanceRecord:
        record = await self._records.locked(vehicle_id, record_id)
        if record is None:
            raise NotFoundError("There is no such maintenance record.")
        if precondition.is_given:
            precondition.check(await self._records.json(record_id))
        return record

    async def _apply(self, record: MaintenanceRecord, data: MaintenanceRecordUpdate) -> None:
        given = data.model_fields_set
        values = data.model_dump(
            exclude_unset=True, exclude={"cost", "line_items", "extra_fields", "attachments"}
        )
        for name, value in values.items():
            setattr(record, name, value)
        if "extra_fields" in given:
            record.extra_fields = await self._checked(RecordType(record.kind), data.extra_fields)
        if given & {"cost", "line_items"}:
            record.cost = await self._cost(record, data)
        record.updated_at = self._clock()
        await self._session.flush()
        if "line_items" in given:
            await self._records.replace_line_items(record.id, data.line_items)

    async def _cost(self, record: MaintenanceRecord, data: MaintenanceRecordUpdate) -> Decimal:
        if "line_items" in data.model_fields_set:
            total = _total(data.line_items)
        else:
            total = await self._records.line_items_total(record.id)
        if "cost" not in data.model_fields_set and total is None:
            return record.cost  # the last line items went: what it cost stays
        return _settled(data.cost, total)

    async def _keep_reading(self, record: MaintenanceRecord, *, is_new: bool) -> None:
        """Give the reading to the odometer's history if the user wants that; keep one that it has right in any case."""
        preferences = await users.preferences(
            self._session, self._actor.tenant_id, self._actor.user_id
        )
        if is_new and not preferences.auto_odometer:
            return
        source_type = RecordType(record.kind)
        if not record.odometer:  # 0 = not read
            await odometer.remove_reading(
                self._session, self._actor, source_type=source_type, source_id=record.id
            )
            return
        await odometer.record_reading(
            self._session,
            self._actor,
            record.vehicle_id,
            recorded_on=record.performed_on,
            odometer=record.odometer,
            source_type=source_type,
            source_id=record.id,
            notes=record.description,
            create=preferences.auto_odometer,
        )

    async def _currency(self, vehicle_id: int) -> str:
        units = await vehicles.units(self._session, self._actor.tenant_id, vehicle_id)
        return units.currency

    async def _checked(
        self, record_type: RecordType, values: Sequence[ExtraFieldValue]
    ) -> list[dict[str, str]]:
        return await extra_fields.checked(self._session, self._actor.tenant_id, record_type, values)

    async def _attach(
        self, record: MaintenanceRecord, attachments: Sequence[AttachmentWrite]
    ) -> None:
        await documents.replace(
            self._session,
            self._actor,
            vehicle_id=record.vehicle_id,
            record_type=RecordType(record.kind),
            record_id=record.id,
            attachments=attachments,
        )

    async def _publish(self, record: MaintenanceRecord, what: str) -> None:
        await publish(
            self._session,
            Event(
                type=f"maintenance_record.{what}",
                tenant_id=self._actor.tenant_id,
                user_id=self._actor.user_id,
                vehicle_id=record.vehicle_id,
                record_id=record.id,
                data={
                    "kind": record.kind,
                    "performed_on": record.performed_on,
                    "odometer": record.odometer,
                    "description": record.description,
                    "cost": record.cost,
                    "currency": record.currency,
                },
            ),
        )


async def follow_kind(
    session: AsyncSession, record: MaintenanceRecord, kind_before: RecordType
) -> None:
    """Let what belongs to the record, by its type and id, move with it."""
    kind = RecordType(record.kind)
    if kind is kind_before:
        return
    await documents.move(
        session, record.tenant_id, record_id=record.id, from_type=kind_before, to_type=kind
    )
    await odometer.move_reading(
        session, record.tenant_id, source_id=record.id, from_type=kind_before, to_type=kind
    )


def _total(line_items: Sequence[LineItemWrite]) -> Decimal | None:
    """None without line items."""
    return sum((item.amount for item in line_items), Decimal(0)) if line_items else None


def _settled(cost: Decimal | None, total: Decimal | None) -> Decimal:
    """The cost of a record whose line items add up to `total`."""
    if total is None:
        if cost is None:
            raise InvalidError(
                "Give the cost, or line items that add up to it.",
                fields=[FieldError("cost", "is needed without line items")],
            )
        return cost
    if total >= _TOO_MUCH:
        raise InvalidError(
            "The line items add up to more than a record can hold.",
            fields=[FieldError("line_items", f"add up to {total}")],
        )
    if cost is not None and cost != total:
        raise InvalidError(
            f"The cost is {cost}, but the line items add up to {total}. Correct one of them, or leave out the cost.",
            fields=[FieldError("cost", f"is {cost}, not {total}")],
        )
    return total if cost is None else cost
