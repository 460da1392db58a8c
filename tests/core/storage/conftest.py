from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from motovaultpro.core.settings import StorageSettings
from motovaultpro.core.storage import Storage
from motovaultpro.standalone.components.objectstore import ObjectStore
from tests.core.storage.memory_spool import MemorySpool

MakeStorage = Callable[..., Storage]

PATIENCE = 1.0  # seconds


@pytest.fixture(scope="session")
def mortal_object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """One that tests may kill and freeze; each leaves it running."""
    with ObjectStore(tmp_path_factory.mktemp("mortal")) as server:
        yield server


def s3_settings(
    server: ObjectStore, **changes: Any
) -> StorageSettings:  # Any: values of any setting
    return StorageSettings.model_validate(
        {
            "url": f"s3://{server.bucket}",
            "endpoint": server.endpoint,
            "access_key_id": SecretStr(server.access_key_id),
            "secret_access_key": SecretStr(server.secret_access_key),
        }
        | changes
    )


@pytest.fixture
def spool() -> MemorySpool:
    return MemorySpool()


@pytest.fixture(params=["directory", "s3"])
def store_settings(request: pytest.FixtureRequest, tmp_path: Path) -> StorageSettings:
    """Of a store that other tests may be using too."""
    if request.param == "directory":
        return StorageSettings(url=(tmp_path / "a directory").as_uri())
    return s3_settings(request.getfixturevalue("object_store"))


@pytest.fixture
def make_storage(store_settings: StorageSettings, spool: MemorySpool) -> MakeStorage:
    def make(**changes: Any) -> Storage:  # Any: values of any setting
        return Storage(
            store_settings.model_copy(update={"patience_seconds": PATIENCE, **changes}), spool
        )

    return make


@pytest.fixture
def storage(make_storage: MakeStorage) -> Storage:
    return make_storage()
