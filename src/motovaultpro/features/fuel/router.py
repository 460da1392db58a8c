from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from motovaultpro.core.dependencies import IfMatch, Once, Read, UnitOfWorkRoute
from motovaultpro.core.pagination import Page
from motovaultpro.core.types import Id
from motovaultpro.features.fuel.dependencies import Fuel
from motovaultpro.features.fuel.repository import ONE, PAGE
from motovaultpro.features.fuel.schemas import (
    FuelRecordCreate,
    FuelRecordPage,
    FuelRecordRead,
    FuelRecordUpdate,
)

router = APIRouter(
    prefix="/api/v1/vehicles/{vehicle_id}/fuel-records", tags=["fuel"], route_class=UnitOfWorkRoute
)


@router.get("", response_model=FuelRecordPage)
async def list_fuel_records(
    vehicle_id: Id,
    read: Read,
    page: Page,
    tag: Annotated[str | None, Query(max_length=50)] = None,
    from_day: Annotated[date | None, Query(alias="from")] = None,
    to_day: Annotated[date | None, Query(alias="to")] = None,
) -> Response:
    """The fill-ups of a vehicle, newest first. `from` and `to` are included."""
    filters = {"vehicle_id": vehicle_id, "tag": tag, "from_day": from_day, "to_day": to_day}
    return await read.answer(PAGE, {**page.parameters(), **filters})


@router.post("", response_model=FuelRecordRead, status_code=status.HTTP_201_CREATED)
async def record_fill_up(
    vehicle_id: Id, data: FuelRecordCreate, fuel: Fuel, once: Once
) -> Response:
    """Add a fill-up or a charge. Neighbouring records may get another distance or economy by it."""
    record_id, body = await fuel.record_fill_up(vehicle_id, data)
    return await once.created(
        body, location=f"/api/v1/vehicles/{vehicle_id}/fuel-records/{record_id}"
    )


@router.get("/{record_id}", response_model=FuelRecordRead)
async def get_fuel_record(vehicle_id: Id, record_id: Id, read: Read) -> Response:
    return await read.answer(ONE, {"vehicle_id": vehicle_id, "record_id": record_id})


@router.patch("/{record_id}", response_model=FuelRecordRead)
async def update_fuel_record(
    vehicle_id: Id, record_id: Id, data: FuelRecordUpdate, fuel: Fuel, if_match: IfMatch
) -> Response:
    """Change what the body names. `tags`, `extra_fields` and `attachments` are replaced as a whole."""
    return if_match.answer(await fuel.update(vehicle_id, record_id, data, if_match))


@router.delete("/{record_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_fuel_record(vehicle_id: Id, record_id: Id, fuel: Fuel, if_match: IfMatch) -> None:
    await fuel.delete(vehicle_id, record_id, if_match)
