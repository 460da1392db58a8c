from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Body, FastAPI, Form, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from starlette.exceptions import HTTPException
from structlog.testing import capture_logs

from motovaultpro.core.errors import ConflictError, TooManyRequestsError
from motovaultpro.core.http.middleware import RequestMiddleware
from motovaultpro.core.http.problems import install_error_handlers
from motovaultpro.core.observability.context import identify
from motovaultpro.core.settings import ServerSettings
from motovaultpro.core.types import Id, Name

LIMIT = 1024


class Petrol(BaseModel):
    octane: int


class Mains(BaseModel):
    kilowatts: int


class Vehicle(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Name
    model_year: int | None = Field(None, alias="modelYear")
    sources: list[Petrol | Mains] = []
    password: SecretStr | None = None

    @field_validator("password")
    @classmethod
    def refuse(cls, _password: SecretStr | None) -> SecretStr | None:
        raise ValueError("is too simple")


def routes() -> APIRouter:
    router = APIRouter(prefix="/vehicles")

    @router.get("/{vehicle_id}")
    async def read(vehicle_id: Id, q: str = "") -> dict[str, Any]:
        identify(user=7, tenant="t-1")
        return {"id": vehicle_id, "q": q}

    @router.put("/{vehicle_id}")
    async def replace(vehicle_id: Id, vehicle: Vehicle) -> dict[str, Any]:
        return {"id": vehicle_id, "name": vehicle.name}

    @router.post("/form")
    async def form(name: Annotated[str, Form()]) -> dict[str, str]:
        return {"name": name}

    @router.post("/raw")
    async def raw(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}

    @router.post("/uploads")
    async def upload(request: Request) -> dict[str, int]:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        return {"size": size}

    @router.post("/echo")
    async def echo(value: Annotated[Any, Body()]) -> Any:
        return {"value": value}

    return router


def failures() -> APIRouter:
    router = APIRouter(prefix="/failures")

    @router.get("/conflict")
    async def conflict() -> None:
        raise ConflictError("Such a vehicle exists already.")

    @router.get("/too-fast")
    async def too_fast() -> None:
        raise TooManyRequestsError("Wait a minute.", retry_after=60)

    @router.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "Short and stout.")

    @router.get("/unexpected")
    async def unexpected() -> None:
        raise RuntimeError("postgresql://mv:hunter2@db/x")

    @router.get("/midway")
    async def midway() -> StreamingResponse:
        async def half() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("broke")

        return StreamingResponse(half())

    @router.get("/own-policy")
    async def own_policy() -> StreamingResponse:
        return StreamingResponse(iter([b"x"]), headers={"Referrer-Policy": "no-referrer"})

    return router


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    app.add_middleware(
        RequestMiddleware,
        settings=ServerSettings(max_body_bytes=LIMIT),
        is_upload=lambda path: path.endswith("/uploads"),
    )
    install_error_handlers(app)
    app.include_router(routes(), prefix="/api")
    app.include_router(failures())
    app.add_api_route("/health", lambda: None)
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged during the test."""
    with capture_logs() as entries:
        yield entries
