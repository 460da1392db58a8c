"""Tenants with people who are signed in, without the cost of password hashing."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI
from sqlalchemy import text

from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.security.actor import ALL_SCOPES, Actor, Role
from motovaultpro.core.security.credentials import SESSION_COOKIE
from motovaultpro.core.security.opaque import new_token, token_hash

_numbers = count(1)
ORIGIN = "http://localhost:8080"


class Garage:
    """A tenant. `client` is its owner's; `client_as(role)` adds a member and answers theirs."""

    def __init__(self, app: FastAPI, tenant_id: UUID, stack: AsyncExitStack) -> None:
        self.app = app
        self.tenant_id = tenant_id
        self._stack = stack
        self._tokens: dict[int, str] = {}
        self.client: httpx.AsyncClient
        self.owner: Actor

    @property
    def database(self) -> Database:
        database: Database = self.app.state.database
        return database

    async def member(self, role: str) -> Actor:
        """A new member of the tenant, with a session."""
        actor, token = await self._member(role)
        self._tokens[actor.user_id] = token
        return actor

    async def client_as(self, role: str) -> httpx.AsyncClient:
        actor = await self.member(role)
        return await self.client_of(actor)

    async def client_of(self, actor: Actor, app: FastAPI | None = None) -> httpx.AsyncClient:
        """A signed-in client of a member, to this application or to another replica."""
        return await self._stack.enter_async_context(
            anonymous_client(app or self.app, {SESSION_COOKIE: self._tokens[actor.user_id]})
        )

    async def count(self, table: str) -> int:
        """Rows of a table in this tenant: to see that a denied request changed nothing."""
        async with self.database.session(self.tenant_id) as session:
            rows: int = await session.scalar(text(f"SELECT count(*) FROM {table}"))
            return rows

    async def _member(self, role: str) -> tuple[Actor, str]:
        token = new_token("mvs")
        async with self.database.system_session() as session:
            name = f"{role}-{uuid4().hex[:12]}"
            user_id = await _insert_user(session, name)
            await session.execute(
                text(
                    "INSERT INTO memberships (tenant_id, user_id, role) VALUES (:tenant, :user, :role)"
                ),
                {"tenant": self.tenant_id, "user": user_id, "role": role},
            )
            session_id: int = await session.scalar(
                text(
                    "INSERT INTO sessions (tenant_id, user_id, kind, token_hash, expires_at, last_used_at, created_at)"
                    " VALUES (:tenant, :user, 'cookie', :hash, :expires, :now, :now) RETURNING id"
                ),
                {
                    "tenant": self.tenant_id,
                    "user": user_id,
                    "hash": token_hash(token),
                    "now": self.app.state.clock(),
                    "expires": self.app.state.clock() + timedelta(hours=1),
                },
            )
        actor = Actor(user_id, self.tenant_id, Role(role), ALL_SCOPES, "session", session_id, name)
        return actor, token


async def _insert_user(session: AsyncSession, name: str) -> int:
    user_id: int = await session.scalar(
        text("INSERT INTO users (name) VALUES (:name) RETURNING id"), {"name": name}
    )
    return user_id


@asynccontextmanager
async def make_garage(app: FastAPI) -> AsyncIterator[Garage]:
    async with AsyncExitStack() as stack:
        tenant_id = uuid4()
        database: Database = app.state.database
        async with database.system_session() as session:
            await session.execute(
                text("INSERT INTO tenants (id, name) VALUES (:id, :name)"),
                {"id": tenant_id, "name": f"Garage {next(_numbers)}"},
            )
        garage = Garage(app, tenant_id, stack)
        garage.owner = await garage.member("owner")
        garage.client = await garage.client_of(garage.owner)
        yield garage


def anonymous_client(app: FastAPI, cookies: dict[str, str] | None = None) -> httpx.AsyncClient:
    # Why: a browser sends Origin with every request that changes something; the CSRF check wants it for cookies.
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url=ORIGIN,
        cookies=cookies,
        headers={"Origin": ORIGIN},
    )


async def make_vehicle(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """A vehicle through the API: a Jeep in miles, US gallons and dollars unless `fields` say otherwise."""
    answer = await client.post(
        "/api/v1/vehicles", json={"make": "Jeep", "model": "Wrangler", "year": 2004, **fields}
    )
    assert answer.status_code == httpx.codes.CREATED, answer.text
    vehicle: dict[str, Any] = answer.json()
    return vehicle
