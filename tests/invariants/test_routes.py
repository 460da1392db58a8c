"""Every route has an actor, or is on this short list."""

from collections.abc import Callable, Iterator
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from motovaultpro.app import PUBLIC as PUBLIC_ROUTERS
from motovaultpro.app import SIGNED_IN
from tests.factories.garages import anonymous_client

PUBLIC = {
    "GET /health",
    "GET /health/ready",
    "GET /health/live",
    "GET /auth/jwks.json",
    "GET /setup",
    "GET /reset-password",
    "POST /api/auth/login",
    "POST /api/auth/refresh",
    "POST /api/auth/setup",
    "POST /api/auth/password-reset",
    "POST /api/auth/password-reset/confirm",
}


def operations(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(operation, method, address with 1 for every parameter) of every operation of the API."""
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            address = path
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    choices = parameter["schema"].get("enum") or _referenced(document, parameter)
                    address = address.replace(f"{{{parameter['name']}}}", str(choices[0]))
            found.append((f"{method.upper()} {path}", method.upper(), address))
    return found


def _referenced(document: dict[str, Any], parameter: dict[str, Any]) -> list[Any]:
    reference = parameter["schema"].get("$ref", "").rpartition("/")[2]
    choices: list[Any] = document["components"]["schemas"].get(reference, {}).get("enum", [1])
    return choices


async def test_every_route_but_the_public_ones_wants_an_actor(app: FastAPI) -> None:
    everything = operations(app.openapi())
    assert len(everything) > len(PUBLIC)
    open_to_all = set()
    async with anonymous_client(app) as client:
        for name, method, address in everything:
            answer = await client.request(method, address)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                open_to_all.add(name)
    # login and refresh answer 401 or 422 by themselves; they count as public either way.
    assert open_to_all <= PUBLIC, open_to_all - PUBLIC
    assert {name for name, _, _ in everything} >= PUBLIC


async def test_an_unknown_path_is_404_and_tells_nothing(app: FastAPI) -> None:
    async with anonymous_client(app) as client:
        answer = await client.get("/api/v1/nothing")
    assert answer.status_code == httpx.codes.NOT_FOUND
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "credentials", ["Basic !!!", "Bearer x.y.z", "Bearer", "Digest a", "Basic Og=="]
)
async def test_broken_credentials_are_401_everywhere(app: FastAPI, credentials: str) -> None:
    async with anonymous_client(app) as client:
        answer = await client.get("/api/v1/vehicles", headers={"Authorization": credentials})
    assert answer.status_code == httpx.codes.UNAUTHORIZED
    assert "WWW-Authenticate" in answer.headers


def test_no_dependency_runs_in_a_worker_thread() -> None:
    """FastAPI sends every plain function and class there, and that costs more than most of our reads."""
    seen: set[str] = set()
    for router in (*SIGNED_IN, *PUBLIC_ROUTERS):
        for route in routes(router):
            assert iscoroutinefunction(route.endpoint), route.path
            for call in dependencies(route.dependant):
                seen.add(call.__qualname__)
                assert iscoroutinefunction(call) or isasyncgenfunction(call), (route.path, call)
    assert "get_reader" in seen


def routes(router: APIRouter) -> Iterator[APIRoute]:
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        else:  # a router that this one includes
            yield from routes(route.original_router)  # type: ignore[attr-defined]  # FastAPI's own corner


def dependencies(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    for each in dependant.dependencies:
        if each.call is not None:
            yield each.call
        yield from dependencies(each)
