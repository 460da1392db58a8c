"""Jobs of the documents capsule; `worker.py` schedules them."""

from datetime import timedelta
from uuid import UUID

from motovaultpro.core.clock import Clock
from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.events import Event, Handler
from motovaultpro.core.storage import Storage
from motovaultpro.features.documents.repository import DocumentRepository
from motovaultpro.features.documents.service import delete_unattached

GRACE_PERIOD = timedelta(days=1)
_AT_ONCE = 1000


def file_deletion(storage: Storage) -> Handler:
    """Deletes the files of deleted documents from the storage."""

    async def delete_files(_session: AsyncSession, event: Event) -> None:
        for key in event.data["storage_keys"]:
            await storage.delete(key)

    return Handler("delete_files", frozenset({"document.deleted"}), delete_files)


async def delete_orphans(database: Database, tenant_id: UUID, clock: Clock) -> int:
    """Delete documents uploaded more than a day ago that nothing uses (any more); answers how many."""
    deleted = 0
    while True:
        async with database.session(tenant_id) as session:
            orphans = await DocumentRepository(session, tenant_id).orphans(
                uploaded_before=clock() - GRACE_PERIOD, limit=_AT_ONCE
            )
            deleted += len(await delete_unattached(session, tenant_id, orphans))
        if len(orphans) < _AT_ONCE:
            return deleted
