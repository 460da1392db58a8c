from typing import Annotated

from fastapi import Depends, Request, Response

from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.dependencies import CurrentActor, CurrentDatabase
from motovaultpro.core.idempotency import HEADER, Idempotency
from motovaultpro.core.security.actor import Actor
from motovaultpro.core.storage import Storage
from motovaultpro.features.documents.service import DocumentService


async def _storage(request: Request) -> Storage:
    storage: Storage = request.app.state.storage
    return storage


CurrentStorage = Annotated[Storage, Depends(_storage)]


async def _service(
    database: CurrentDatabase, storage: CurrentStorage, actor: CurrentActor
) -> DocumentService:
    return DocumentService(database, storage, actor)


Documents = Annotated[DocumentService, Depends(_service)]


class UploadOnce:
    """`Idempotency-Key` of an upload: looked up before the file is read, claimed with the document's row.

    No transaction may be open while a file streams in. So two uploads with one key may both be read when they come at
    the same time; the later one is then thrown away and gets the answer of the earlier.
    """

    def __init__(self, request: Request, actor: Actor, database: Database) -> None:
        self._request = request
        self._actor = actor
        self._database = database

    async def check(self) -> None:
        """Raise `RepeatedRequestError` with the answer of an earlier request."""
        if HEADER not in self._request.headers:
            return
        async with self._database.session(self._actor.tenant_id) as session:
            await self._in(session).begin()
            await session.rollback()

    async def created(self, session: AsyncSession, document_id: int, body: bytes) -> Response:
        once = self._in(session)
        await once.begin()
        return await once.created(body, location=f"/api/v1/documents/{document_id}")

    def _in(self, session: AsyncSession) -> Idempotency:
        return Idempotency(self._request, session, self._actor, streamed=True)


async def _once(request: Request, actor: CurrentActor, database: CurrentDatabase) -> UploadOnce:
    return UploadOnce(request, actor, database)


Once = Annotated[UploadOnce, Depends(_once)]
