from typing import Annotated

from fastapi import APIRouter, Query, Response

from motovaultpro.core.dependencies import (
    CurrentCache,
    CurrentClock,
    Read,
    UnitOfWorkRoute,
)
from motovaultpro.core.types import MAX_ID, Id
from motovaultpro.features.dashboard.repository import GARAGE, VEHICLE
from motovaultpro.features.dashboard.schemas import GarageDashboard, VehicleDashboard

router = APIRouter(tags=["dashboard"], route_class=UnitOfWorkRoute)

MAX_VEHICLES = 100


@router.get("/api/dashboard", response_model=GarageDashboard)
async def garage_dashboard(
    read: Read,
    cache: CurrentCache,
    clock: CurrentClock,
    limit: Annotated[int, Query(ge=1, le=MAX_VEHICLES)] = MAX_VEHICLES,
    cursor: Annotated[int, Query(ge=0, le=MAX_ID)] = 0,
) -> Response:
    """What is new and what it costs, for every vehicle you may see."""
    today = clock().date().isoformat()
    return await read.answer_cached(
        cache,
        scope=f"garage:{read.actor.tenant_id}",
        name=f"dashboard:{read.actor.user_id}:{read.actor.role}:{today}:{limit}:{cursor}",
        query=GARAGE,
        parameters={"today": today, "limit": limit, "after": cursor},
    )


@router.get("/api/v1/vehicles/{vehicle_id}/dashboard", response_model=VehicleDashboard)
async def vehicle_dashboard(
    vehicle_id: Id, read: Read, cache: CurrentCache, clock: CurrentClock
) -> Response:
    """The same for one vehicle."""
    today = clock().date().isoformat()
    return await read.answer_cached(
        cache,
        scope=f"vehicle:{vehicle_id}",
        name=f"dashboard:{read.actor.user_id}:{read.actor.role}:{today}",
        query=VEHICLE,
        parameters={"today": today, "vehicle_id": vehicle_id},
    )
