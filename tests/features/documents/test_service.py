"""What becomes of a stored file when its row cannot be written."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from motovaultpro.core.database import AsyncSession, CommitUnknownError
from motovaultpro.core.settings import StorageSettings
from motovaultpro.core.storage import DatabaseSpool, Storage
from motovaultpro.features.documents.service import DocumentService
from tests.factories.documents import PDF, stored_keys
from tests.factories.garages import Garage


async def chunks() -> AsyncIterator[bytes]:
    yield PDF


async def test_the_file_goes_again_when_its_row_fails(garage: Garage) -> None:
    async def fail(_session: AsyncSession, _document_id: int, _body: bytes) -> None:
        assert len(await stored_keys(garage)) == 1
        raise ValueError("full")

    service = DocumentService(garage.database, garage.app.state.storage, garage.owner)
    with pytest.raises(ValueError, match="full"):
        await service.upload("a.pdf", chunks(), fail)
    assert await stored_keys(garage) == []
    assert await garage.count("documents") == 0


async def test_the_file_stays_when_its_row_may_exist(garage: Garage) -> None:
    async def lose_connection(_session: AsyncSession, _document_id: int, _body: bytes) -> None:
        raise CommitUnknownError("lost")

    service = DocumentService(garage.database, garage.app.state.storage, garage.owner)
    with pytest.raises(CommitUnknownError):
        await service.upload("a.pdf", chunks(), lose_connection)
    assert len(await stored_keys(garage)) == 1


async def test_the_first_failure_is_told_when_the_file_cannot_be_deleted_either(
    garage: Garage, tmp_path: Path
) -> None:
    root = tmp_path / "files"
    settings = StorageSettings(url=root.as_uri())
    storage = Storage(settings, DatabaseSpool(garage.database))

    async def fail(_session: AsyncSession, _document_id: int, _body: bytes) -> None:
        shutil.rmtree(root)
        root.write_text("no directory any more")
        raise ValueError("full")

    service = DocumentService(garage.database, storage, garage.owner)
    with capture_logs() as logs, pytest.raises(ValueError, match="full"):
        await service.upload("a.pdf", chunks(), fail)
    assert "upload_left_behind" in [entry["event"] for entry in logs]
