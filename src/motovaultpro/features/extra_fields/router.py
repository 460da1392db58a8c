from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from motovaultpro.core.dependencies import CurrentActor, DbSession, Read, UnitOfWorkRoute
from motovaultpro.features.extra_fields.contracts import RecordType
from motovaultpro.features.extra_fields.repository import ALL
from motovaultpro.features.extra_fields.schemas import ExtraFieldDefinitions, ExtraFieldsRead
from motovaultpro.features.extra_fields.service import ExtraFieldService

router = APIRouter(
    prefix="/api/v1/extra-fields", tags=["extra fields"], route_class=UnitOfWorkRoute
)


async def _service(session: DbSession, actor: CurrentActor) -> ExtraFieldService:
    return ExtraFieldService(session, actor)


@router.get("", response_model=ExtraFieldsRead)
async def list_extra_fields(read: Read) -> Response:
    """All definitions, by record type."""
    return await read.answer(ALL, {})


@router.put("/{record_type}", status_code=status.HTTP_204_NO_CONTENT)
async def replace_extra_fields(
    record_type: RecordType,
    data: ExtraFieldDefinitions,
    extra_fields: Annotated[ExtraFieldService, Depends(_service)],
) -> None:
    """Set all definitions of one record type. Values already stored in records stay as they are."""
    await extra_fields.replace(record_type, data)
