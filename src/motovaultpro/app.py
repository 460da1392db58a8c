"""The backend: what it is made of, in the order requests pass it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute

from motovaultpro import __version__
from motovaultpro.core.clock import Clock, system_clock
from motovaultpro.core.dependencies import get_actor
from motovaultpro.core.http.middleware import RequestMiddleware
from motovaultpro.core.http.openapi import install_openapi
from motovaultpro.core.http.problems import install_error_handlers
from motovaultpro.core.observability.database import instrument_engine
from motovaultpro.core.observability.health import HealthCheck, HealthRegistry, health_router
from motovaultpro.core.observability.metrics import observe_pool
from motovaultpro.core.resources import open_resources
from motovaultpro.core.security.passwords import Passwords
from motovaultpro.core.security.ratelimit import RateLimiter
from motovaultpro.core.settings import Settings
from motovaultpro.features.api_keys.router import router as api_keys
from motovaultpro.features.dashboard.router import router as dashboard
from motovaultpro.features.documents.router import UPLOAD_PATH
from motovaultpro.features.documents.router import router as documents
from motovaultpro.features.extra_fields.router import router as extra_fields
from motovaultpro.features.fuel.router import router as fuel
from motovaultpro.features.links.router import public_router as link_pages
from motovaultpro.features.maintenance.router import router as maintenance
from motovaultpro.features.odometer.router import router as odometer
from motovaultpro.features.passwords.router import public_router as public_passwords
from motovaultpro.features.passwords.router import router as passwords
from motovaultpro.features.sessions.router import router as sessions
from motovaultpro.features.sign_in.facade import DatabaseAuthenticator
from motovaultpro.features.sign_in.router import public_router as public_sign_in
from motovaultpro.features.sign_in.router import router as sign_in
from motovaultpro.features.users.router import public_router as public_users
from motovaultpro.features.users.router import router as users
from motovaultpro.features.vehicles.router import router as vehicles

# Whatever is not in one of these two lists does not exist.
SIGNED_IN: tuple[APIRouter, ...] = (
    dashboard,
    fuel,
    maintenance,
    odometer,
    documents,
    vehicles,
    extra_fields,
    sign_in,
    sessions,
    api_keys,
    passwords,
    users,
)
PUBLIC: tuple[APIRouter, ...] = (public_sign_in, public_passwords, public_users, link_pages)


def create_app(settings: Settings, *, clock: Clock = system_clock) -> FastAPI:
    """The ASGI application; its lifespan opens and closes everything it uses."""
    app = FastAPI(
        title="MotoVaultPro",
        version=__version__,
        summary="Keeps the life of vehicles.",
        lifespan=_lifespan,
        redirect_slashes=False,
        openapi_url="/api/openapi.json",
        docs_url="/api/docs" if settings.environment == "development" else None,
        redoc_url=None,
        # Why: our own spans redact keys in queries; FastAPI's do not.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.settings = settings
    app.state.clock = clock
    app.state.ready = False
    for router in SIGNED_IN:
        app.include_router(router, dependencies=[Depends(get_actor)])
    public = (*PUBLIC, health_router(_health(app)))
    for router in public:
        app.include_router(router)
    install_error_handlers(app)
    install_openapi(app, public={route.path for router in public for route in _routes(router)})
    app.add_middleware(
        RequestMiddleware, settings=settings.server, is_upload=lambda path: path == UPLOAD_PATH
    )
    return app


def _routes(router: APIRouter) -> list[APIRoute]:
    return [route for route in router.routes if isinstance(route, APIRoute)]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = app.state
    settings: Settings = state.settings
    async with AsyncExitStack() as stack:
        resources = await stack.enter_async_context(open_resources(settings, state.clock))
        state.database, state.cache = resources.database, resources.cache
        state.storage, state.valkey = resources.storage, resources.valkey
        instrument_engine(resources.database.engine.sync_engine)
        observe_pool(lambda: resources.database.pool_in_use, resources.database.pool_max)
        state.limiter = limiter = RateLimiter(settings.cache.url)
        stack.push_async_callback(limiter.close)
        state.passwords = Passwords()
        state.authenticator = DatabaseAuthenticator(resources, limiter, state.passwords)
        state.ready = True
        yield
        state.ready = False


def _health(app: FastAPI) -> HealthRegistry:
    state = app.state

    async def database() -> None:
        await state.database.ping()

    async def storage() -> None:
        await state.storage.health()

    async def cache() -> None:
        if state.valkey is not None:
            await state.valkey.ping()

    return HealthRegistry(
        [
            HealthCheck("database", database, critical=True),
            HealthCheck("storage", storage, critical=False),
            HealthCheck("cache", cache, critical=False),
        ]
    )
