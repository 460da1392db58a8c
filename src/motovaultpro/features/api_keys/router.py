from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Response, status

from motovaultpro.core.dependencies import (
    CurrentActor,
    CurrentClock,
    DbSession,
    Once,
    Read,
    UnitOfWorkRoute,
)
from motovaultpro.core.types import Id
from motovaultpro.features.api_keys.repository import MINE
from motovaultpro.features.api_keys.schemas import ApiKeyCreate, ApiKeyCreated, ApiKeysRead
from motovaultpro.features.api_keys.service import ApiKeyService

router = APIRouter(prefix="/api/v1/api-keys", tags=["sign-in"], route_class=UnitOfWorkRoute)


async def _service(session: DbSession, actor: CurrentActor, clock: CurrentClock) -> ApiKeyService:
    return ApiKeyService(session, actor, clock)


ApiKeys = Annotated[ApiKeyService, Depends(_service)]


@router.get("", response_model=ApiKeysRead)
async def list_api_keys(read: Read) -> Response:
    """Your own keys in this garage."""
    return await read.answer(MINE, {"tenant_id": read.actor.tenant_id})


@router.post("", response_model=ApiKeyCreated, status_code=status.HTTP_201_CREATED)
async def create_api_key(data: ApiKeyCreate, keys: ApiKeys, once: Once) -> Response:
    """Make a key for a script or a phone app. The answer is the only place where `key` is ever shown."""
    key_id, body, key = await keys.create(data)
    row = orjson.loads(body)
    location = f"/api/v1/api-keys/{key_id}"
    # Why two answers: the one kept for a repeat must not have the key, which is kept nowhere.
    await once.created(orjson.dumps({**row, "key": None}), location=location)
    return Response(
        orjson.dumps({**row, "key": key}),
        status.HTTP_201_CREATED,
        {"Cache-Control": "no-store", "Location": location},
        "application/json",
    )


@router.delete("/{key_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_api_key(key_id: Id, keys: ApiKeys) -> None:
    """End a key. It stops working at once."""
    await keys.delete(key_id)
