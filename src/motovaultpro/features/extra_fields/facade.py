"""Extra fields for the capsules that carry them."""

from collections.abc import Sequence
from uuid import UUID

from motovaultpro.core.database import AsyncSession
from motovaultpro.core.errors import FieldError, InvalidError
from motovaultpro.features.extra_fields.contracts import ExtraFieldValue, FieldType, RecordType
from motovaultpro.features.extra_fields.repository import ExtraFieldRepository
from motovaultpro.features.extra_fields.schemas import ExtraFieldDefinition
from motovaultpro.features.extra_fields.service import problem_with


async def checked(
    session: AsyncSession,
    tenant_id: UUID,
    record_type: RecordType,
    values: Sequence[ExtraFieldValue],
) -> list[dict[str, str]]:
    """The values as they are stored (`[{"name", "value"}]`), held against the definitions of the type.

    Names without a definition are kept as text: definitions come and go, what people wrote stays.
    Raises `InvalidError` with one field error per value.
    """
    definitions = {
        d.name: d for d in await ExtraFieldRepository(session, tenant_id).definitions(record_type)
    }
    fields: list[FieldError] = []
    seen: set[str] = set()
    for index, item in enumerate(values):
        definition = definitions.get(item.name)
        problem = "is given twice" if item.name in seen else None
        if problem is None and definition is not None:
            problem = problem_with(item.value, definition.field_type)
        if problem is not None:
            fields.append(FieldError(f"extra_fields.{index}.value", problem))
        if item.value:
            seen.add(item.name)
    fields += [
        FieldError("extra_fields", f"'{d.name}' is required")
        for d in definitions.values()
        if d.is_required and d.name not in seen
    ]
    if fields:
        raise InvalidError("Some extra fields are not right; see fields.", fields=fields)
    return [item.model_dump() for item in values]


async def define(
    session: AsyncSession,
    tenant_id: UUID,
    record_type: RecordType,
    definitions: Sequence[tuple[str, FieldType, bool]],
) -> list[str]:
    """Add definitions (name, type, required) that do not exist yet; answers the names of those. For imports."""
    repository = ExtraFieldRepository(session, tenant_id)
    known = await repository.definitions(record_type)
    names = {d.name for d in known}
    added = [
        ExtraFieldDefinition(name=name, field_type=field_type, is_required=is_required)
        for name, field_type, is_required in definitions
        if name not in names
    ]
    await repository.replace(record_type, [*known, *added])
    return [definition.name for definition in added]


async def undefine(
    session: AsyncSession, tenant_id: UUID, record_type: RecordType, names: Sequence[str]
) -> None:
    """Take definitions back, for rolling an import back; values in records stay."""
    repository = ExtraFieldRepository(session, tenant_id)
    known = await repository.definitions(record_type)
    await repository.replace(record_type, [d for d in known if d.name not in names])
