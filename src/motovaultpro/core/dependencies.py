"""What routes depend on: the actor, the session, the short way for reads, idempotency."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from typing_extensions import override

from motovaultpro.core.cache import Cache
from motovaultpro.core.clock import Clock
from motovaultpro.core.database import AsyncSession, Database, retry_transient
from motovaultpro.core.errors import NotFoundError
from motovaultpro.core.http.etags import Precondition, json_response
from motovaultpro.core.idempotency import Idempotency, RepeatedRequestError
from motovaultpro.core.observability.context import identify
from motovaultpro.core.security.actor import Actor, Scope

_SCOPES = {"GET": Scope.VIEW, "HEAD": Scope.VIEW, "DELETE": Scope.DELETE}


class Authenticator(Protocol):
    """Turns a request's credentials into an actor; the users capsule provides it, `app.py` plugs it in."""

    async def authenticate(self, request: Request) -> Actor:
        """Raises `UnauthorizedError`."""
        ...


class UnitOfWorkRoute(APIRoute):
    """Runs the whole request again when the database was lost or chose this transaction as a deadlock's victim.

    Nothing was committed then, so it cannot happen twice. Not for routes that stream a body: it can be read only once.
    """

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def attempt(request: Request) -> Response:
            # Why: FastAPI would end function-scoped dependencies only after this handler, so a commit could not be tried
            # again, and each attempt's session would stay open beside the next.
            async with AsyncExitStack() as stack:
                request.scope["fastapi_function_astack"] = stack
                return await handle(request)

        async def handle_again(request: Request) -> Response:
            try:
                return await retry_transient(lambda: attempt(request))
            except RepeatedRequestError as repeated:
                return repeated.answer

        return handle_again


async def get_actor(request: Request) -> Actor:
    """Who sends this request; what its API key must allow follows from the method."""
    authenticator: Authenticator = request.app.state.authenticator
    actor = await authenticator.authenticate(request)
    actor.require(_SCOPES.get(request.method, Scope.EDIT))
    identify(user=actor.user_id, tenant=actor.tenant_id)
    return actor


async def get_clock(request: Request) -> Clock:
    clock: Clock = request.app.state.clock
    return clock


async def get_database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def get_cache(request: Request) -> Cache:
    cache: Cache = request.app.state.cache
    return cache


CurrentActor = Annotated[Actor, Depends(get_actor)]
CurrentCache = Annotated[Cache, Depends(get_cache)]
CurrentClock = Annotated[Clock, Depends(get_clock)]
CurrentDatabase = Annotated[Database, Depends(get_database)]


async def get_session(
    actor: CurrentActor, database: CurrentDatabase
) -> AsyncIterator[AsyncSession]:
    async with database.session(actor.tenant_id) as session:
        yield session


# Why: with scope="function" the commit precedes the answer; a plain yield dependency commits after a 200 was sent.
DbSession = Annotated[AsyncSession, Depends(get_session, scope="function")]


async def get_idempotency(request: Request, session: DbSession, actor: CurrentActor) -> Idempotency:
    idempotency = Idempotency(request, session, actor)
    await idempotency.begin()
    return idempotency


Once = Annotated[Idempotency, Depends(get_idempotency)]


class Reader:
    """Answers GETs from JSON that PostgreSQL builds, without the ORM."""

    def __init__(self, request: Request, actor: Actor, database: Database) -> None:
        self._request = request
        self.actor = actor
        self._database = database

    async def fetch(self, query: str, parameters: Mapping[str, Any]) -> bytes:
        """The query's JSON text; it also gets `user_id` and `role`. NULL or no row raises `NotFoundError`."""
        identity = {"user_id": self.actor.user_id, "role": self.actor.role.value}
        body = await self._database.fetch_json(
            self.actor.tenant_id, query, {**parameters, **identity}
        )
        if body is None:
            raise NotFoundError("There is nothing here, or nothing you may see.")
        return body

    async def answer(self, query: str, parameters: Mapping[str, Any]) -> Response:
        """As `fetch`, with an ETag, or 304 when the client has it already."""
        return json_response(self._request, await self.fetch(query, parameters))

    async def answer_cached(
        self, cache: Cache, *, scope: str, name: str, query: str, parameters: Mapping[str, Any]
    ) -> Response:
        """As `answer`, from the cache if it has it. `name` must tell apart what differs: the user, the day, the page.

        Tenants never share a scope's entry: `name` holds the user's id, and what a user may not see is never kept.
        """

        async def load() -> bytes:
            return await self.fetch(query, parameters)

        body = await cache.get_or_load(scope, f"{self.actor.tenant_id}:{name}", load)
        return json_response(self._request, body or b"null")


# Why all of them are coroutines: FastAPI runs a plain function or class in a worker thread, which costs more than most reads.
async def get_reader(request: Request, actor: CurrentActor, database: CurrentDatabase) -> Reader:
    return Reader(request, actor, database)


async def get_precondition(request: Request) -> Precondition:
    return Precondition(request)


Read = Annotated[Reader, Depends(get_reader)]
IfMatch = Annotated[Precondition, Depends(get_precondition)]
