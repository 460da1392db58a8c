from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response, status

from motovaultpro.core.dependencies import (
    CurrentActor,
    CurrentClock,
    CurrentDatabase,
    IfMatch,
    Once,
    Read,
    UnitOfWorkRoute,
)
from motovaultpro.core.http.client import ClientAddress
from motovaultpro.core.pagination import DEFAULT_LIMIT, MAX_LIMIT
from motovaultpro.core.security.ratelimit import network
from motovaultpro.core.types import MAX_ID, Id
from motovaultpro.features.links.contracts import Link
from motovaultpro.features.users.dependencies import MANAGER, MANAGING_PERSON, Users
from motovaultpro.features.users.repository import GARAGE, ME, MEMBER, MEMBERS
from motovaultpro.features.users.schemas import (
    GarageRead,
    GarageUpdate,
    LinkRead,
    MeRead,
    MeUpdate,
    SetupAnswer,
    SetupRequest,
    UserCreate,
    UserCreated,
    UserPage,
    UserRead,
    UserUpdate,
)
from motovaultpro.features.users.service import make_first_owner, require_person

router = APIRouter(prefix="/api/v1", tags=["users"], route_class=UnitOfWorkRoute)
public_router = APIRouter(prefix="/api/auth", tags=["sign-in"], route_class=UnitOfWorkRoute)


@public_router.post("/setup", status_code=status.HTTP_201_CREATED)
async def set_up(
    request: Request,
    data: SetupRequest,
    address: ClientAddress,
    database: CurrentDatabase,
    clock: CurrentClock,
) -> SetupAnswer:
    """Make the first owner, by the one-time link that the start of the system shows."""
    state = request.app.state
    await state.limiter.hit(state.settings.security.sign_in_rate, "link from", network(address))
    user_id = await make_first_owner(
        data, database=database, passwords=state.passwords, clock=clock
    )
    return SetupAnswer(id=user_id, name=data.name)


@router.get("/me", response_model=MeRead)
async def get_me(read: Read) -> Response:
    """Who you are, in which garage, and what you prefer. `scopes` are those of the credentials in use."""
    actor = read.actor
    return await read.answer(ME, {"tenant_id": actor.tenant_id, "scopes": sorted(actor.scopes)})


@router.patch("/me", response_model=MeRead)
async def change_me(
    request: Request,
    data: MeUpdate,
    users: Users,
    actor: CurrentActor,
    database: CurrentDatabase,
    if_match: IfMatch,
) -> Response:
    """Change what the body names; a preference set to null goes back to the garage's."""
    if "email" in data.model_fields_set:
        require_person(actor)
        state = request.app.state
        await state.limiter.hit(
            state.settings.security.sign_in_rate, "password of", str(actor.user_id)
        )
        await users.confirm(data.current_password, database)
    return if_match.answer(await users.change_me(data, if_match))


@router.get("/users", response_model=UserPage, dependencies=[MANAGER])
async def list_users(
    read: Read,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[
        int, Query(ge=0, le=MAX_ID, description="`next_cursor` of the page before.")
    ] = 0,
) -> Response:
    """The members of the garage, the oldest account first; for owners and administrators."""
    tenant_id = read.actor.tenant_id
    return await read.answer(MEMBERS, {"tenant_id": tenant_id, "limit": limit, "after": cursor})


@router.post(
    "/users",
    response_model=UserCreated,
    status_code=status.HTTP_201_CREATED,
    dependencies=[MANAGING_PERSON],
)
async def create_user(request: Request, data: UserCreate, users: Users, once: Once) -> Response:
    """Add a member. Without a password, `password_link` is where they choose one: it is shown once."""
    user_id, body, link = await users.add(data)
    answer = await once.created(_with_link(body, None), location=f"/api/v1/users/{user_id}")
    if link is not None:
        # Why not through `once`: it keeps the answer, and a link is kept nowhere.
        content = _with_link(body, _link(request, link))
        answer = Response(
            content,
            answer.status_code,
            media_type="application/json",
            headers={"Cache-Control": "no-store", "Location": answer.headers["Location"]},
        )
    return answer


@router.get("/users/{user_id}", response_model=UserRead, dependencies=[MANAGER])
async def get_user(user_id: Id, read: Read) -> Response:
    return await read.answer(MEMBER, {"tenant_id": read.actor.tenant_id, "member_id": user_id})


@router.patch("/users/{user_id}", response_model=UserRead, dependencies=[MANAGING_PERSON])
async def change_user(user_id: Id, data: UserUpdate, users: Users, if_match: IfMatch) -> Response:
    """Change what the body names. The last owner stays owner; only owners manage owners."""
    return if_match.answer(await users.change(user_id, data, if_match))


@router.delete(
    "/users/{user_id}", status_code=status.HTTP_204_NO_CONTENT, dependencies=[MANAGING_PERSON]
)
async def remove_user(user_id: Id, users: Users) -> None:
    """End the membership: sessions, API keys and shares of the user in this garage go with it."""
    await users.remove(user_id)


@router.post(
    "/users/{user_id}/password-reset-link",
    response_model=LinkRead,
    status_code=status.HTTP_201_CREATED,
    dependencies=[MANAGING_PERSON],
)
async def create_password_link(request: Request, user_id: Id, users: Users) -> Response:
    """A link with which the user chooses a new password; earlier links stop working."""
    link = await users.password_link(user_id)
    return Response(
        orjson.dumps(_link(request, link)),
        status.HTTP_201_CREATED,
        {"Cache-Control": "no-store"},
        "application/json",
    )


@router.get("/garage", response_model=GarageRead)
async def get_garage(read: Read) -> Response:
    """The garage's name, and the units and currency that new vehicles start with."""
    return await read.answer(GARAGE, {"tenant_id": read.actor.tenant_id})


@router.patch("/garage", response_model=GarageRead, dependencies=[MANAGING_PERSON])
async def change_garage(data: GarageUpdate, users: Users, if_match: IfMatch) -> Response:
    """Change what the body names; vehicles that exist keep their units."""
    return if_match.answer(await users.change_garage(data, if_match))


def _link(request: Request, link: Link) -> dict[str, Any]:  # Any: JSON
    url = request.app.state.settings.server.public_url + link.path
    return {"url": url, "expires_at": link.expires_at}


def _with_link(body: bytes, link: dict[str, Any] | None) -> bytes:  # Any: JSON
    return orjson.dumps({**orjson.loads(body), "password_link": link})
