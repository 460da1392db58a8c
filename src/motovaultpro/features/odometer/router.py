from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from motovaultpro.core.dependencies import IfMatch, Once, Read, UnitOfWorkRoute
from motovaultpro.core.pagination import Page
from motovaultpro.core.types import Id
from motovaultpro.features.odometer.dependencies import OdometerRecords
from motovaultpro.features.odometer.repository import ONE, PAGE
from motovaultpro.features.odometer.schemas import (
    OdometerRecordCreate,
    OdometerRecordPage,
    OdometerRecordRead,
    OdometerRecordUpdate,
    Recalculated,
)

router = APIRouter(
    prefix="/api/v1/vehicles/{vehicle_id}/odometer-records",
    tags=["odometer"],
    route_class=UnitOfWorkRoute,
)


@router.get("", response_model=OdometerRecordPage)
async def list_odometer_records(
    vehicle_id: Id,
    read: Read,
    page: Page,
    tag: Annotated[str | None, Query(max_length=50)] = None,
    from_day: Annotated[date | None, Query(alias="from")] = None,
    to_day: Annotated[date | None, Query(alias="to")] = None,
) -> Response:
    """The readings of a vehicle, newest first. `from` and `to` are included."""
    filters = {"vehicle_id": vehicle_id, "tag": tag, "from_day": from_day, "to_day": to_day}
    return await read.answer(PAGE, {**page.parameters(), **filters})


@router.post("", response_model=OdometerRecordRead, status_code=status.HTTP_201_CREATED)
async def create_odometer_record(
    vehicle_id: Id, data: OdometerRecordCreate, records: OdometerRecords, once: Once
) -> Response:
    record_id, body = await records.create(vehicle_id, data)
    return await once.created(
        body, location=f"/api/v1/vehicles/{vehicle_id}/odometer-records/{record_id}"
    )


@router.put("/recalculate")
async def recalculate_odometer_records(vehicle_id: Id, records: OdometerRecords) -> Recalculated:
    """Let every reading start where the one before it ended, by day and reading."""
    return Recalculated(changed=await records.recalculate(vehicle_id))


@router.get("/{record_id}", response_model=OdometerRecordRead)
async def get_odometer_record(vehicle_id: Id, record_id: Id, read: Read) -> Response:
    return await read.answer(ONE, {"vehicle_id": vehicle_id, "record_id": record_id})


@router.patch("/{record_id}", response_model=OdometerRecordRead)
async def update_odometer_record(
    vehicle_id: Id,
    record_id: Id,
    data: OdometerRecordUpdate,
    records: OdometerRecords,
    if_match: IfMatch,
) -> Response:
    """Change what the body names. `tags`, `extra_fields` and `attachments` are replaced as a whole."""
    return if_match.answer(await records.update(vehicle_id, record_id, data, if_match))


@router.delete("/{record_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_odometer_record(
    vehicle_id: Id, record_id: Id, records: OdometerRecords, if_match: IfMatch
) -> None:
    await records.delete(vehicle_id, record_id, if_match)
