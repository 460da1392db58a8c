"""One transaction of an import: where documents went so far, and the files that go with them."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import IO
from uuid import UUID

import structlog

from motovaultpro.core.clock import Clock
from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.errors import AppError, NotFoundError
from motovaultpro.core.storage import Storage
from motovaultpro.features.documents import facade as documents
from motovaultpro.features.vehicles import facade as vehicles
from motovaultpro.lubelogger.importer.errors import ImportRefusedError
from motovaultpro.lubelogger.importer.files import BLOCK_BYTES, SourceFiles, reading
from motovaultpro.lubelogger.importer.findings import Findings
from motovaultpro.lubelogger.importer.items import Item, UploadedFile
from motovaultpro.lubelogger.importer.kinds import VEHICLES
from motovaultpro.lubelogger.importer.repository import ImportRepository, Stored
from motovaultpro.lubelogger.importer.uploads import FILES

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FileCopy:
    """A file that this run brought, with the hash of what the storage gave back."""

    location: str
    document_id: int
    size: int
    sha256_source: str
    sha256_target: str


@dataclass(slots=True)
class Uploader:
    """What the transactions of a run share of its files."""

    storage: Storage
    files: SourceFiles
    planned: dict[str, Item[UploadedFile]]
    copies: list[FileCopy] = field(default_factory=list)


@dataclass(slots=True)
class Unit:
    """One transaction. `run_id` owns what it creates."""

    database: Database
    session: AsyncSession
    tenant_id: UUID
    run_id: int
    clock: Clock
    uploader: Uploader
    findings: Findings
    _known: dict[str, dict[str, Stored]] = field(default_factory=dict)
    _copies: list[FileCopy] = field(default_factory=list)
    _keys: list[str] = field(default_factory=list)

    @property
    def imports(self) -> ImportRepository:
        return ImportRepository(self.session, self.tenant_id)

    async def stored(self, collection: str) -> dict[str, Stored]:
        if collection not in self._known:
            self._known[collection] = await self.imports.items(collection)
        return self._known[collection]

    async def record_id(self, collection: str, source_id: str) -> int | None:
        item = (await self.stored(collection)).get(source_id)
        return item.record_id if item else None

    async def lost_vehicles(self) -> set[str]:
        """Source ids of vehicles that came and were deleted here for good."""
        return {
            source_id
            for source_id, item in (await self.stored(VEHICLES)).items()
            if not await vehicle_exists(self, item.record_id)
        }

    async def save(self, collection: str, items: dict[str, Stored]) -> None:
        (await self.stored(collection)).update(items)
        await self.imports.save(collection, items)

    async def document(self, location: str) -> int:
        """The document with the file: the one an earlier record brought, if it still exists, else a new one."""
        item = self.uploader.planned[location]
        known = (await self.stored(FILES)).get(location)
        if (
            known is not None
            and known.fingerprint == item.fingerprint
            and await documents.existing(self.session, self.tenant_id, [known.record_id])
        ):
            return known.record_id
        stored = await self.uploader.storage.put(
            self.tenant_id, _blocks(self.uploader.files, location), filename=item.value.name
        )
        self._keys.append(stored.key)
        if stored.sha256 != item.value.sha256:
            raise ImportRefusedError(f"the file {location} changed while it was read; try again")
        document_id = await documents.import_document(
            self.session, self.tenant_id, stored=stored, name=item.value.name, user_id=None
        )
        await self.save(FILES, {location: Stored(document_id, item.fingerprint, self.run_id)})
        self._copies.append(
            FileCopy(
                location,
                document_id,
                stored.size,
                item.value.sha256,
                await _read_back(self.uploader.storage, stored.key),
            )
        )
        return document_id

    def committed(self) -> None:
        self.uploader.copies += self._copies

    async def discard(self) -> None:
        """After a rollback: take the files back out of the storage, as well as we can."""
        for key in self._keys:
            try:
                await self.uploader.storage.delete(key)
            except AppError as error:
                log.warning("import_left_file", key=key, error=error.detail)


async def vehicle_exists(unit: Unit, vehicle_id: int) -> bool:
    try:
        await vehicles.units(unit.session, unit.tenant_id, vehicle_id)
    except NotFoundError:
        return False
    return True


async def _blocks(files: SourceFiles, location: str) -> AsyncIterator[bytes]:
    with reading(location):
        stream: IO[bytes] | None = files.open(location)
    if stream is None:
        raise ImportRefusedError(f"the file {location} went away while it was read")
    with stream:
        while True:
            with reading(location):
                block = stream.read(BLOCK_BYTES)
            if not block:
                return
            yield block


async def _read_back(storage: Storage, key: str) -> str:
    digest = hashlib.sha256()
    async for chunk in (await storage.open(key)).chunks:
        digest.update(chunk)
    return digest.hexdigest()
