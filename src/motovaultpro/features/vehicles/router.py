from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from motovaultpro.core.dependencies import IfMatch, Once, Read, UnitOfWorkRoute
from motovaultpro.core.pagination import DEFAULT_LIMIT, MAX_LIMIT
from motovaultpro.core.types import MAX_ID, Id, Odometer
from motovaultpro.features.vehicles.dependencies import Vehicles
from motovaultpro.features.vehicles.repository import ADJUSTED, ONE, PAGE, SHARES
from motovaultpro.features.vehicles.schemas import (
    AdjustedOdometer,
    ShareRead,
    SharesRead,
    ShareWrite,
    VehicleCreate,
    VehiclePage,
    VehicleRead,
    VehicleState,
    VehicleUpdate,
)

router = APIRouter(prefix="/api/v1", tags=["vehicles"], route_class=UnitOfWorkRoute)


@router.get("/vehicles", response_model=VehiclePage)
async def list_vehicles(
    read: Read,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[
        int, Query(ge=0, le=MAX_ID, description="`next_cursor` of the page before.")
    ] = 0,
    state: VehicleState = "active",
    tag: Annotated[str | None, Query(max_length=50)] = None,
) -> Response:
    """The vehicles you may see, oldest first. `state=deleted` lists what can still be restored."""
    return await read.answer(PAGE, {"limit": limit, "after": cursor, "state": state, "tag": tag})


@router.post("/vehicles", response_model=VehicleRead, status_code=status.HTTP_201_CREATED)
async def create_vehicle(data: VehicleCreate, vehicles: Vehicles, once: Once) -> Response:
    """Add a vehicle. Currency and units default to yours, then to the garage's."""
    vehicle_id, body = await vehicles.create(data)
    return await once.created(body, location=f"/api/v1/vehicles/{vehicle_id}")


@router.get("/vehicles/{vehicle_id}", response_model=VehicleRead)
async def get_vehicle(vehicle_id: Id, read: Read) -> Response:
    return await read.answer(ONE, {"vehicle_id": vehicle_id})


@router.patch("/vehicles/{vehicle_id}", response_model=VehicleRead)
async def update_vehicle(
    vehicle_id: Id, data: VehicleUpdate, vehicles: Vehicles, if_match: IfMatch
) -> Response:
    """Change what the body names. `energy_sources`, `tags` and `extra_fields` are replaced as a whole."""
    return if_match.answer(await vehicles.update(vehicle_id, data, if_match))


@router.delete("/vehicles/{vehicle_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_vehicle(vehicle_id: Id, vehicles: Vehicles, if_match: IfMatch) -> None:
    """Delete the vehicle with all its records. It can be restored for 30 days."""
    await vehicles.delete(vehicle_id, if_match)


@router.post("/vehicles/{vehicle_id}/restore", response_model=VehicleRead)
async def restore_vehicle(vehicle_id: Id, vehicles: Vehicles, if_match: IfMatch) -> Response:
    """Undo the deletion."""
    return if_match.answer(await vehicles.restore(vehicle_id))


@router.get("/vehicles/{vehicle_id}/adjusted-odometer", response_model=AdjustedOdometer)
async def adjust_odometer(
    vehicle_id: Id, odometer: Annotated[Odometer, Query()], read: Read
) -> Response:
    """A reading of the instrument as the vehicle's true odometer: (reading + difference) x multiplier."""
    return await read.answer(ADJUSTED, {"vehicle_id": vehicle_id, "odometer": Decimal(odometer)})


@router.get("/shares", response_model=SharesRead)
async def list_shares(read: Read, vehicle_id: Annotated[Id | None, Query()] = None) -> Response:
    """The shares of vehicles you manage; owners and administrators see all."""
    return await read.answer(SHARES, {"vehicle_id": vehicle_id})


@router.post("/shares", response_model=ShareRead, status_code=status.HTTP_201_CREATED)
async def share(data: ShareWrite, vehicles: Vehicles, once: Once) -> Response:
    """Let a member do more with a vehicle, or with the whole garage; replaces an earlier permission."""
    share_id, body = await vehicles.share(data)
    return await once.created(body, location=f"/api/v1/shares/{share_id}")


@router.delete("/shares/{share_id}", status_code=status.HTTP_204_NO_CONTENT)
async def unshare(share_id: Id, vehicles: Vehicles) -> None:
    await vehicles.unshare(share_id)
