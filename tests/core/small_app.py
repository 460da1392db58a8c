"""A backend of a few routes over `scratch.counters`, to see what every route gets from the core."""

from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel
from sqlalchemy import text

from motovaultpro.core.cache import Cache, note_stale
from motovaultpro.core.clock import system_clock
from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.dependencies import (
    CurrentActor,
    CurrentCache,
    CurrentClock,
    DbSession,
    Once,
    Read,
    UnitOfWorkRoute,
    get_actor,
)
from motovaultpro.core.errors import ConflictError, UnauthorizedError
from motovaultpro.core.http.problems import install_error_handlers
from motovaultpro.core.security.actor import ALL_SCOPES, Actor, Role, Scope

COUNT = "SELECT json_build_object('value', value)::text FROM scratch.counters WHERE id = %(id)s"


class CounterCreate(BaseModel):
    id: int
    value: int = 0


@dataclass
class Script:
    """What goes wrong in the next runs of an endpoint: SQL to run in its transaction, one for each run."""

    statements: list[str] = field(default_factory=list)
    runs: int = 0

    async def play(self, session: AsyncSession) -> None:
        self.runs += 1
        if self.statements:
            await session.execute(text(self.statements.pop(0)))


class HeaderAuthenticator:
    """Believes the headers `x-tenant`, `x-user` and `x-scope`."""

    async def authenticate(self, request: Request) -> Actor:
        if "x-tenant" not in request.headers:
            raise UnauthorizedError
        scope = request.headers.get("x-scope")
        return Actor(
            user_id=int(request.headers.get("x-user", "1")),
            tenant_id=UUID(request.headers["x-tenant"]),
            role=Role.OWNER,
            scopes=ALL_SCOPES if scope is None else frozenset({Scope(scope)}),
            method="api_key",
            session_id=None,
            name="Ada",
        )


def small_app(database: Database, cache: Cache) -> FastAPI:
    app = FastAPI()
    install_error_handlers(app)
    app.state.authenticator = HeaderAuthenticator()
    app.state.database, app.state.cache, app.state.clock = database, cache, system_clock
    app.state.script = Script()
    app.include_router(_routes(), dependencies=[Depends(get_actor)])
    return app


def _script(request: Request) -> Script:
    script: Script = request.app.state.script
    return script


CurrentScript = Annotated[Script, Depends(_script)]


def _routes() -> APIRouter:
    router = APIRouter(route_class=UnitOfWorkRoute)

    @router.post("/counters")
    async def create(
        data: CounterCreate, session: DbSession, once: Once, script: CurrentScript
    ) -> Response:
        await session.execute(
            text("INSERT INTO scratch.counters (id, value) VALUES (:id, :value)"), data.model_dump()
        )
        await script.play(session)
        body = orjson.dumps({"id": data.id, "run": script.runs})
        return await once.created(body, location=f"/counters/{data.id}")

    @router.post("/counters/{id}/increment")
    async def increment(id: int, session: DbSession, once: Once, script: CurrentScript) -> Response:  # noqa: A002
        await session.execute(
            text("UPDATE scratch.counters SET value = value + 1 WHERE id = :id"), {"id": id}
        )
        await note_stale(session, f"counter:{id}")
        await script.play(session)
        return await once.created(b"{}")

    @router.post("/refusals")
    async def refuse(session: DbSession) -> None:
        await session.execute(text("UPDATE scratch.counters SET value = 99"))
        raise ConflictError("No.")

    @router.get("/counters/{id}")
    async def read(id: int, reader: Read) -> Response:  # noqa: A002
        return await reader.answer(COUNT, {"id": id})

    @router.get("/cached/{id}")
    async def cached(id: int, reader: Read, cache: CurrentCache) -> Response:  # noqa: A002
        return await reader.answer_cached(
            cache, scope=f"counter:{id}", name="value", query=COUNT, parameters={"id": id}
        )

    @router.get("/identity")
    async def identity(reader: Read) -> Response:
        query = "SELECT json_build_object('user', %(user_id)s, 'role', %(role)s::text)::text"
        return await reader.answer(query, {})

    @router.delete("/counters")
    async def clear(actor: CurrentActor, clock: CurrentClock) -> dict[str, Any]:
        return {"who": actor.name, "aware": clock().tzinfo is not None}

    return router
