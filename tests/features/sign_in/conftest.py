from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from motovaultpro.core.database import Database
from motovaultpro.core.settings import Settings
from tests.factories.garages import Garage, make_garage
from tests.factories.logins import MovableClock, replica, signing_keys_kept, visitor


@pytest.fixture
async def guest(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with visitor(app) as client:
        yield client


@pytest.fixture(scope="session")
async def other_replica(settings: Settings) -> AsyncIterator[FastAPI]:
    """A second process of the same system, as good as tests can have one."""
    async with replica(settings) as app:
        yield app


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def timed_app(
    settings: Settings, clock: MovableClock, database: Database
) -> AsyncIterator[FastAPI]:
    """An application whose time the test moves."""
    async with signing_keys_kept(database), replica(settings, clock=clock) as app:
        yield app


@pytest.fixture
async def timed_garage(timed_app: FastAPI) -> AsyncIterator[Garage]:
    async with make_garage(timed_app) as garage:
        yield garage
