"""Documents for the capsules whose records carry attachments, and for imports."""

from collections.abc import Sequence
from uuid import UUID

from motovaultpro.core.database import AsyncSession
from motovaultpro.core.security.actor import Actor, Role
from motovaultpro.core.storage import StoredObject
from motovaultpro.features.documents.contracts import AttachmentWrite
from motovaultpro.features.documents.repository import AttachmentRepository, DocumentRepository
from motovaultpro.features.documents.service import AttachmentService, delete_unattached
from motovaultpro.features.extra_fields.contracts import RecordType


async def replace(
    session: AsyncSession,
    actor: Actor,
    *,
    vehicle_id: int,
    record_type: RecordType,
    record_id: int,
    attachments: Sequence[AttachmentWrite],
) -> None:
    """Set all attachments of a record, in this order. An empty list need not be set on a new record.

    Raises `InvalidError` for documents that do not exist or that the actor may not see. The caller has authorized the
    actor to change the record.
    """
    await AttachmentService(session, actor).replace(
        vehicle_id=vehicle_id,
        record_type=record_type,
        record_id=record_id,
        attachments=attachments,
    )


async def attach(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    vehicle_id: int,
    record_type: RecordType,
    record_id: int,
    attachments: Sequence[AttachmentWrite],
) -> None:
    """As `replace`, for imports: the documents are known to exist in the tenant."""
    await AttachmentRepository(session, tenant_id).replace(
        vehicle_id=vehicle_id,
        record_type=record_type,
        record_id=record_id,
        attachments=attachments,
    )


async def move(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    record_id: int,
    from_type: RecordType,
    to_type: RecordType,
) -> None:
    """Take the attachments of a record along when it becomes one of another type, and what links to it."""
    await AttachmentRepository(session, tenant_id).move(record_id, from_type, to_type)


async def remove(
    session: AsyncSession, tenant_id: UUID, record_type: RecordType, *record_ids: int
) -> None:
    """Forget the attachments of records that are being deleted. Documents nothing else uses go within a day or two."""
    await AttachmentRepository(session, tenant_id).remove(record_type, record_ids)


async def import_document(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    stored: StoredObject,
    name: str,
    user_id: int | None,
) -> int:
    """Register a file that is in the storage already; answers the document's id."""
    return await DocumentRepository(session, tenant_id).add(stored, name=name, user_id=user_id)


async def existing(session: AsyncSession, tenant_id: UUID, ids: Sequence[int]) -> set[int]:
    """Those of the documents that exist; none of them can be deleted before we commit. For imports."""
    documents = DocumentRepository(session, tenant_id)
    return await documents.visible(ids, user_id=0, role=Role.OWNER)


async def remove_documents(session: AsyncSession, tenant_id: UUID, ids: Sequence[int]) -> int:
    """Delete documents for good, except those that something still uses; answers how many."""
    return len(await delete_unattached(session, tenant_id, ids))
