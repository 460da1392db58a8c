"""Users with passwords, and replicas of the application with their own clock or settings."""

import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID, uuid4

import httpx
from argon2 import PasswordHasher
from argon2.profiles import RFC_9106_LOW_MEMORY
from asgi_lifespan import LifespanManager
from fastapi import FastAPI
from sqlalchemy import text

from motovaultpro.app import create_app
from motovaultpro.core.clock import Clock, system_clock
from motovaultpro.core.database import Database
from motovaultpro.core.settings import Settings
from motovaultpro.features.users import facade as users
from tests.factories.garages import ORIGIN, Garage

PASSWORD = "correct horse: battery staple"
LIFESPAN_SECONDS = 30


class MovableClock:
    def __init__(self) -> None:
        self.now = datetime(2031, 5, 17, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@cache
def password_hash(password: str = PASSWORD) -> str:
    return PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY).hash(password)


@asynccontextmanager
async def replica(settings: Settings, *, clock: Clock = system_clock) -> AsyncIterator[FastAPI]:
    app = create_app(settings, clock=clock)
    async with LifespanManager(app, LIFESPAN_SECONDS, LIFESPAN_SECONDS):
        await app.state.cache.wait_until_listening()
        yield app


@asynccontextmanager
async def signing_keys_kept(database: Database) -> AsyncIterator[None]:
    """Start without signing keys, and give the other tests theirs back."""
    async with database.system_session() as session:
        rows = await session.execute(text("DELETE FROM signing_keys RETURNING *"))
        kept = [dict(row) for row in rows.mappings()]
    try:
        yield
    finally:
        async with database.system_session() as session:
            await session.execute(text("DELETE FROM signing_keys"))
            for row in kept:
                await session.execute(
                    text(
                        "INSERT INTO signing_keys VALUES (:kid, :sealed, :created_at, :retires_at)"
                    ),
                    row,
                )


@asynccontextmanager
async def new_installation(database: Database) -> AsyncIterator[UUID]:
    """The first tenant, with nobody in it before and after."""
    empty = text("DELETE FROM memberships WHERE tenant_id = :tenant")
    async with database.system_session() as session:
        tenant_id = await users.default_tenant(session)
        await session.execute(empty, {"tenant": tenant_id})
    try:
        yield tenant_id
    finally:
        async with database.system_session() as session:
            await session.execute(empty, {"tenant": tenant_id})
            await session.execute(
                text("UPDATE tenants SET name = 'My garage' WHERE id = :tenant"),
                {"tenant": tenant_id},
            )


async def add_user(
    garage: Garage, *, role: str = "member", stored: str | None = None, **columns: Any
) -> tuple[int, str]:
    """A member with a password: id and name. `stored` is the password hash; default is that of PASSWORD."""
    name = f"user-{uuid4().hex[:12]}"
    values = {"name": name, "password_hash": stored or password_hash(), **columns}
    async with garage.database.system_session() as session:
        user_id: int = await session.scalar(
            text(
                f"INSERT INTO users ({', '.join(values)})"
                f" VALUES ({', '.join(':' + name for name in values)}) RETURNING id"
            ),
            values,
        )
    await join(garage.database, garage.tenant_id, user_id, role)
    return user_id, name


async def join(database: Database, tenant_id: UUID, user_id: int, role: str) -> None:
    async with database.system_session() as session:
        await session.execute(
            text(
                "INSERT INTO memberships (tenant_id, user_id, role) VALUES (:tenant, :user, :role)"
            ),
            {"tenant": tenant_id, "user": user_id, "role": role},
        )


def basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def visitor(app: FastAPI, address: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who is not signed in, at an address."""
    transport = httpx.ASGITransport(app, client=(address, 1234), raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url=ORIGIN, headers={"Origin": ORIGIN}
    ) as client:
        yield client


async def log_in(client: httpx.AsyncClient, name: str, password: str = PASSWORD) -> dict[str, Any]:
    """The tokens."""
    answer = await client.post("/api/auth/login", json={"name": name, "password": password})
    assert answer.status_code == httpx.codes.OK, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


async def stored_password(garage: Garage, user_id: int) -> str:
    async with garage.database.system_session() as session:
        stored: str = await session.scalar(
            text("SELECT password_hash FROM users WHERE id = :id"), {"id": user_id}
        )
        return stored


async def refused_at_once(client: httpx.AsyncClient, **request: Any) -> None:
    """Pass when requests stop being let in, at the latest 100 ms from now: so long news may take to other replicas."""
    news_at = time.monotonic()
    while True:
        sent_at = time.monotonic()
        answer = await client.get("/api/v1/me", **request)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            return
        assert sent_at - news_at < 0.1, "still let in"
