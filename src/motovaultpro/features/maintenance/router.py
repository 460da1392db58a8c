from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from motovaultpro.core.dependencies import IfMatch, Once, Read, UnitOfWorkRoute
from motovaultpro.core.pagination import Page
from motovaultpro.core.types import Id
from motovaultpro.features.maintenance.contracts import MaintenanceKind
from motovaultpro.features.maintenance.dependencies import MaintenanceRecords
from motovaultpro.features.maintenance.repository import ONE, PAGE
from motovaultpro.features.maintenance.schemas import (
    MaintenanceRecordCreate,
    MaintenanceRecordPage,
    MaintenanceRecordRead,
    MaintenanceRecordUpdate,
)

router = APIRouter(
    prefix="/api/v1/vehicles/{vehicle_id}/maintenance-records",
    tags=["maintenance"],
    route_class=UnitOfWorkRoute,
)


@router.get("", response_model=MaintenanceRecordPage)
async def list_maintenance_records(
    vehicle_id: Id,
    read: Read,
    page: Page,
    kind: MaintenanceKind | None = None,
    tag: Annotated[str | None, Query(max_length=50)] = None,
    from_day: Annotated[date | None, Query(alias="from")] = None,
    to_day: Annotated[date | None, Query(alias="to")] = None,
    q: Annotated[
        str | None, Query(max_length=200, description="Text in the description or the notes.")
    ] = None,
) -> Response:
    """What was done to a vehicle, newest first. `from` and `to` are included."""
    filters = {
        "vehicle_id": vehicle_id,
        "kind": kind,
        "tag": tag,
        "from_day": from_day,
        "to_day": to_day,
        "q": q,
    }
    return await read.answer(PAGE, {**page.parameters(), **filters})


@router.post("", response_model=MaintenanceRecordRead, status_code=status.HTTP_201_CREATED)
async def create_maintenance_record(
    vehicle_id: Id, data: MaintenanceRecordCreate, records: MaintenanceRecords, once: Once
) -> Response:
    record_id, body = await records.create(vehicle_id, data)
    return await once.created(
        body, location=f"/api/v1/vehicles/{vehicle_id}/maintenance-records/{record_id}"
    )


@router.get("/{record_id}", response_model=MaintenanceRecordRead)
async def get_maintenance_record(vehicle_id: Id, record_id: Id, read: Read) -> Response:
    return await read.answer(ONE, {"vehicle_id": vehicle_id, "record_id": record_id})


@router.patch("/{record_id}", response_model=MaintenanceRecordRead)
async def update_maintenance_record(
    vehicle_id: Id,
    record_id: Id,
    data: MaintenanceRecordUpdate,
    records: MaintenanceRecords,
    if_match: IfMatch,
) -> Response:
    """Change what the body names. Lists (`line_items`, `tags`, `extra_fields`, `attachments`) are replaced as a whole."""
    return if_match.answer(await records.update(vehicle_id, record_id, data, if_match))


@router.delete("/{record_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_maintenance_record(
    vehicle_id: Id, record_id: Id, records: MaintenanceRecords, if_match: IfMatch
) -> None:
    await records.delete(vehicle_id, record_id, if_match)
