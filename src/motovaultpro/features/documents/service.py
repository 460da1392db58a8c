from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import PurePosixPath
from typing import TypeVar
from uuid import UUID

import structlog

from motovaultpro.core.database import (
    AsyncSession,
    CommitUnknownError,
    Database,
    retry_transient,
)
from motovaultpro.core.errors import (
    AppError,
    FieldError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from motovaultpro.core.events import Event, publish
from motovaultpro.core.http.etags import Precondition
from motovaultpro.core.security.actor import Actor, Role
from motovaultpro.core.storage import Storage, StoredObject
from motovaultpro.features.documents.contracts import AttachmentWrite
from motovaultpro.features.documents.errors import DocumentInUseError
from motovaultpro.features.documents.repository import (
    AttachmentRepository,
    DeletedDocument,
    DocumentRepository,
)
from motovaultpro.features.extra_fields.contracts import RecordType

log = structlog.get_logger()

T = TypeVar("T")

_LONGEST_NAME = 200


class DocumentService:
    """Opens its transactions itself: none is held while a file streams in."""

    def __init__(self, database: Database, storage: Storage, actor: Actor) -> None:
        self._database = database
        self._storage = storage
        self._actor = actor

    def authorize_upload(self) -> None:
        """Raise `ForbiddenError` for those who may only look; asked before the body is read."""
        if self._actor.role is Role.VIEWER:
            raise ForbiddenError("Viewers of a garage cannot upload documents.")

    async def upload(
        self,
        filename: str,
        chunks: AsyncIterator[bytes],
        finish: Callable[[AsyncSession, int, bytes], Awaitable[T]],
    ) -> T:
        """Store a file and register it; `finish` gets the open transaction, the document's id and its JSON.

        The file is stored first, without a transaction. If registering it fails, it is deleted again as well as we can.
        """
        self.authorize_upload()
        name = document_name(filename)
        stored = await self._storage.put(self._actor.tenant_id, chunks, filename=name)
        try:
            return await retry_transient(lambda: self._register(stored, name, finish))
        except CommitUnknownError:
            raise  # the document may exist: then it needs its file
        except Exception:
            await self._discard(stored)
            raise

    async def delete(self, document_id: int, precondition: Precondition) -> None:
        """Delete a document that nothing uses. Its uploader may, and owners and administrators."""
        async with self._database.session(self._actor.tenant_id) as session:
            documents = DocumentRepository(session, self._actor.tenant_id)
            await documents.lock([document_id])
            visible = await documents.visible(
                [document_id], user_id=self._actor.user_id, role=self._actor.role
            )
            if not visible:
                raise NotFoundError("There is no such document, or none that you may see.")
            if not await self._may_delete(documents, document_id):
                raise ForbiddenError("Only its uploader, owners and administrators delete it.")
            if precondition.is_given:
                precondition.check(await documents.json(document_id))
            deleted = await delete_unattached(
                session, self._actor.tenant_id, [document_id], user_id=self._actor.user_id
            )
            if not deleted:
                raise DocumentInUseError(
                    "This document is attached to a record or shown with a vehicle. Remove it there first."
                )

    async def _may_delete(self, documents: DocumentRepository, document_id: int) -> bool:
        if self._actor.role is Role.MEMBER:
            return await documents.uploader(document_id) == self._actor.user_id
        return self._actor.role is not Role.VIEWER

    async def _register(
        self,
        stored: StoredObject,
        name: str,
        finish: Callable[[AsyncSession, int, bytes], Awaitable[T]],
    ) -> T:
        async with self._database.session(self._actor.tenant_id) as session:
            documents = DocumentRepository(session, self._actor.tenant_id)
            document_id = await documents.add(stored, name=name, user_id=self._actor.user_id)
            await publish(
                session,
                Event(
                    type="document.uploaded",
                    tenant_id=self._actor.tenant_id,
                    user_id=self._actor.user_id,
                    record_id=document_id,
                    data={"name": name, "size": stored.size, "sha256": stored.sha256},
                ),
            )
            return await finish(session, document_id, await documents.json(document_id))

    async def _discard(self, stored: StoredObject) -> None:
        try:
            await self._storage.delete(stored.key)
        except AppError as error:
            log.warning("upload_left_behind", key=stored.key, error=error.detail)


class AttachmentService:
    def __init__(self, session: AsyncSession, actor: Actor) -> None:
        self._actor = actor
        self._documents = DocumentRepository(session, actor.tenant_id)
        self._attachments = AttachmentRepository(session, actor.tenant_id)

    async def replace(
        self,
        *,
        vehicle_id: int,
        record_type: RecordType,
        record_id: int,
        attachments: Sequence[AttachmentWrite],
    ) -> None:
        await self._check_documents(attachments)
        await self._attachments.replace(
            vehicle_id=vehicle_id,
            record_type=record_type,
            record_id=record_id,
            attachments=attachments,
        )

    async def _check_documents(self, attachments: Sequence[AttachmentWrite]) -> None:
        ids = {a.document_id for a in attachments if a.document_id is not None}
        if not ids:
            return
        known = await self._documents.visible(
            sorted(ids), user_id=self._actor.user_id, role=self._actor.role
        )
        fields = [
            FieldError(f"attachments.{index}.document_id", "is not a document that you may see")
            for index, attachment in enumerate(attachments)
            if attachment.document_id is not None and attachment.document_id not in known
        ]
        if fields:
            raise InvalidError("There is no such document; see fields.", fields=fields)


async def delete_unattached(
    session: AsyncSession, tenant_id: UUID, ids: Sequence[int], *, user_id: int | None = None
) -> list[DeletedDocument]:
    """Delete those of the documents that nothing uses. Their files follow when the event is delivered."""
    documents = DocumentRepository(session, tenant_id)
    await documents.lock(ids)
    deleted = await documents.delete_unattached(ids)
    if deleted:
        await publish(
            session,
            Event(
                type="document.deleted",
                tenant_id=tenant_id,
                user_id=user_id,
                record_id=deleted[0].id if len(deleted) == 1 else None,
                data={
                    "document_ids": [document.id for document in deleted],
                    "storage_keys": [document.storage_key for document in deleted],
                },
            ),
        )
    return deleted


def document_name(filename: str) -> str:
    """The name of a document from what the client calls its file: the last part of a path, in one line, of our length."""
    name = PurePosixPath(filename.replace("\\", "/")).name
    name = "".join(character for character in name if character.isprintable()).strip()
    if len(name) > _LONGEST_NAME:
        ending = PurePosixPath(name).suffix[:20]
        name = name[: _LONGEST_NAME - len(ending)] + ending
    return name or "file"
