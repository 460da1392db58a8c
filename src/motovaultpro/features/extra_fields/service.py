import re
from collections.abc import Callable, Sequence
from datetime import date, time
from decimal import Decimal, InvalidOperation

from motovaultpro.core.database import AsyncSession
from motovaultpro.core.errors import FieldError, ForbiddenError, InvalidError
from motovaultpro.core.events import Event, publish
from motovaultpro.core.security.actor import Actor, Role
from motovaultpro.features.extra_fields.contracts import FieldType, RecordType
from motovaultpro.features.extra_fields.repository import ExtraFieldRepository
from motovaultpro.features.extra_fields.schemas import ExtraFieldDefinition

_WHOLE_NUMBER = re.compile(r"^[+-]?\d{1,18}$")


class ExtraFieldService:
    def __init__(self, session: AsyncSession, actor: Actor) -> None:
        self._session = session
        self._actor = actor
        self._fields = ExtraFieldRepository(session, actor.tenant_id)

    async def replace(
        self, record_type: RecordType, definitions: Sequence[ExtraFieldDefinition]
    ) -> None:
        """Set the definitions of one record type. Values already stored in records stay."""
        if not self._actor.role.at_least(Role.ADMIN):
            raise ForbiddenError(
                "Only owners and administrators of the garage define extra fields."
            )
        names = [definition.name for definition in definitions]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise InvalidError(
                    "Two extra fields have the same name.",
                    fields=[FieldError(f"{index}.name", "is used twice")],
                )
        await self._fields.replace(record_type, definitions)
        await publish(
            self._session,
            Event(
                type="extra_fields.changed",
                tenant_id=self._actor.tenant_id,
                user_id=self._actor.user_id,
                data={"record_type": record_type, "names": names},
            ),
        )


def problem_with(value: str, field_type: FieldType) -> str | None:
    """What is wrong with a value of a typed extra field; None when nothing is. Empty values are always right."""
    if not value:
        return None
    match field_type:
        case FieldType.NUMBER if not _WHOLE_NUMBER.match(value):
            return "must be a whole number"
        case FieldType.DECIMAL if not _is_decimal(value):
            return "must be a number like 12.5"
        case FieldType.DATE if not _parses(value, date.fromisoformat):
            return "must be a date like 2026-05-31"
        case FieldType.TIME if not _parses(value, time.fromisoformat):
            return "must be a time like 14:30"
        case _:
            return None


def _is_decimal(value: str) -> bool:
    try:
        return Decimal(value).is_finite()
    except InvalidOperation:
        return False


def _parses(value: str, parse: Callable[[str], object]) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True
