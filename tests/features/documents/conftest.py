from collections.abc import AsyncIterator

import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI
from pydantic import SecretStr

from motovaultpro.app import create_app
from motovaultpro.core.settings import Settings, StorageSettings
from motovaultpro.standalone.components.objectstore import ObjectStore


@pytest.fixture(scope="session")
async def s3_app(settings: Settings, object_store: ObjectStore) -> AsyncIterator[FastAPI]:
    """The application over a bucket instead of a directory."""
    storage = StorageSettings(
        url=f"s3://{object_store.bucket}",
        endpoint=object_store.endpoint,
        access_key_id=SecretStr(object_store.access_key_id),
        secret_access_key=SecretStr(object_store.secret_access_key),
    )
    application = create_app(settings.model_copy(update={"storage": storage}))
    async with LifespanManager(application, 30, 30):
        yield application
