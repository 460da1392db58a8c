"""A small service for the tests of `motovaultpro.core.server`.

Arguments: a file whose appearance lets `/slow` answer, whether the start `works` or `fails`, the settings as JSON.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from motovaultpro.core.http.middleware import RequestMiddleware
from motovaultpro.core.observability.health import HealthRegistry, health_router
from motovaultpro.core.server import serve
from motovaultpro.core.settings import Settings

_gate, _start = Path(sys.argv[1]), sys.argv[2]
_settings = Settings(**json.loads(sys.argv[3]))


def create_app(settings: Settings) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if _start == "fails":
            raise RuntimeError("the start failed")
        app.state.ready = True
        yield
        _gate.with_suffix(".shut").touch()

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(RequestMiddleware, settings=settings.server, is_upload=lambda _path: False)
    app.include_router(health_router(HealthRegistry([])))

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.to_thread(_gate.with_suffix(".entered").touch)
        while not await asyncio.to_thread(_gate.exists):  # noqa: ASYNC110 - the sign comes from another process
            await asyncio.sleep(0.01)
        return "done"

    @app.post("/body")
    async def body() -> None: ...

    return app


if __name__ == "__main__":
    sys.exit(serve(create_app, _settings, service="test"))
