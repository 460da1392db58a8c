"""Real servers for the tests: the components that `motovault up` supervises, one set for each test process."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI
from pydantic import SecretStr

from motovaultpro.app import create_app
from motovaultpro.core.database import Database
from motovaultpro.core.observability.logging import configure_logging
from motovaultpro.core.settings import (
    CacheSettings,
    DatabaseSettings,
    ObservabilitySettings,
    SecuritySettings,
    Settings,
    StorageSettings,
)
from motovaultpro.migrations.runner import migrate
from motovaultpro.standalone.components.objectstore import ObjectStore
from motovaultpro.standalone.components.postgres import APP_ROLE, Postgres
from motovaultpro.standalone.components.valkey import Valkey
from tests.factories.garages import Garage, make_garage

LIFESPAN_SECONDS = 30


@pytest.fixture(autouse=True)
def _logging() -> None:
    """As in production: unconfigured, structlog draws every traceback in colours, and that takes seconds.

    Before each test, because some configure it in their own way.
    """
    configure_logging(ObservabilitySettings(log_level="debug"))


@pytest.fixture(scope="session")
def server_directory() -> Iterator[Path]:
    """A directory that other accounts may enter: as root, PostgreSQL runs as one of its own."""
    with TemporaryDirectory(prefix="motovault-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


@pytest.fixture(scope="session")
def postgres(server_directory: Path) -> Iterator[Postgres]:
    with Postgres(server_directory / "postgres", durable=False) as server:
        migrate(server.owner_url, app_role=APP_ROLE)
        yield server


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with ObjectStore(tmp_path_factory.mktemp("objectstore")) as server:
        yield server


@pytest.fixture(scope="session")
def settings(
    postgres: Postgres, valkey_server: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    return Settings(
        environment="production",
        database=DatabaseSettings(
            url=SecretStr(postgres.app_url),
            owner_url=SecretStr(postgres.owner_url),
            pool_min=1,
            pool_max=10,
        ),
        cache=CacheSettings(url=SecretStr(valkey_server.url)),
        storage=StorageSettings(url=f"file://{tmp_path_factory.mktemp('storage')}"),
        security=SecuritySettings(secret_key=SecretStr(uuid4().hex), sign_in_rate="1000/minute"),
    )


@pytest.fixture(scope="session")
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = Database(settings.database)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    application = create_app(settings)
    async with LifespanManager(application, LIFESPAN_SECONDS, LIFESPAN_SECONDS):
        await application.state.cache.wait_until_listening()
        yield application


@pytest.fixture
async def garage(app: FastAPI) -> AsyncIterator[Garage]:
    """A tenant of its own for the test, with its owner signed in."""
    async with make_garage(app) as made:
        yield made


@pytest.fixture
async def other_garage(app: FastAPI) -> AsyncIterator[Garage]:
    """Another tenant, for what must not be reachable from it."""
    async with make_garage(app) as made:
        yield made


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data that is not part of the repository; tests that need it skip where it is absent."""
    directory = Path(__file__).parent.parent.parent / "shared" / "data"
    if not directory.is_dir():
        pytest.skip("the real LubeLogger data is not on this machine")
    return directory
