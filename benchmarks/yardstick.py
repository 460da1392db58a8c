"""The yardstick: a bare FastAPI application under the same server, which gives the product's answers without its work.

`/fixed/{name}` has the bytes in memory; `/row/{name}` selects them as one row from PostgreSQL. What the product takes beyond
the second is its own doing.
"""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import psycopg
from fastapi import FastAPI, Response
from psycopg_pool import AsyncConnectionPool

from motovaultpro.core.server import serve
from motovaultpro.core.settings import Settings, load_settings

_JSON = "application/json"


def keep_answers(database_url: str, answers: Mapping[str, bytes]) -> None:
    """Make what the yardstick answers, by name, in a database of its own."""
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE answers (name text PRIMARY KEY, body text NOT NULL)")
        for name, body in answers.items():
            connection.execute("INSERT INTO answers VALUES (%s, %s)", (name, body.decode()))


def create_app(settings: Settings) -> FastAPI:
    pool = AsyncConnectionPool(
        settings.database.url.get_secret_value(),
        kwargs={"autocommit": True},
        min_size=settings.database.pool_min,
        max_size=settings.database.pool_max,
        open=False,
    )
    answers: dict[str, bytes] = {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with pool:
            async with pool.connection() as connection:
                async for name, body in await connection.execute("SELECT name, body FROM answers"):
                    answers[name] = body.encode()
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.get("/health/ready")
    async def ready() -> Response:
        return Response(b"{}", media_type=_JSON)

    @app.get("/fixed/{name}")
    async def fixed(name: str) -> Response:
        return Response(answers[name], media_type=_JSON)

    @app.get("/row/{name}")
    async def row(name: str) -> Response:
        async with pool.connection() as connection:
            cursor = await connection.execute("SELECT body FROM answers WHERE name = %s", (name,))
            found = await cursor.fetchone()
        assert found is not None
        return Response(found[0], media_type=_JSON)

    return app


if __name__ == "__main__":
    sys.exit(serve(create_app, load_settings(), service="yardstick"))
