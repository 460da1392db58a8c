"""What an import does with documents."""

from collections.abc import AsyncIterator

from motovaultpro.core.storage import Storage
from motovaultpro.features.documents import facade as documents
from motovaultpro.features.documents.contracts import AttachmentWrite
from motovaultpro.features.extra_fields.contracts import RecordType
from tests.factories.documents import PDF, UPLOADS, upload
from tests.factories.garages import Garage, make_vehicle


async def chunks() -> AsyncIterator[bytes]:
    yield PDF


async def imported(garage: Garage) -> int:
    storage: Storage = garage.app.state.storage
    stored = await storage.put(garage.tenant_id, chunks(), filename="old.pdf")
    async with garage.database.session(garage.tenant_id) as session:
        return await documents.import_document(
            session, garage.tenant_id, stored=stored, name="old.pdf", user_id=None
        )


async def test_an_imported_document_is_like_any_other(garage: Garage) -> None:
    document_id = await imported(garage)
    answer = await garage.client.get(f"{UPLOADS}/{document_id}/content")
    assert answer.content == PDF
    assert answer.headers["content-disposition"] == 'inline; filename="old.pdf"'


async def test_a_rollback_leaves_what_something_still_uses(garage: Garage) -> None:
    used, unused = await imported(garage), await imported(garage)
    kept = await upload(garage.client)
    vehicle = await make_vehicle(garage.client)
    async with garage.database.session(garage.tenant_id) as session:
        await documents.attach(
            session,
            garage.tenant_id,
            vehicle_id=vehicle["id"],
            record_type=RecordType.FUEL,
            record_id=1,
            attachments=[AttachmentWrite(name="a", document_id=used)],
        )
    async with garage.database.session(garage.tenant_id) as session:
        ids = [used, unused, 2**62]
        assert await documents.remove_documents(session, garage.tenant_id, ids) == 1
        assert await documents.remove_documents(session, garage.tenant_id, []) == 0
    statuses = [
        (await garage.client.get(f"{UPLOADS}/{document_id}")).status_code
        for document_id in (used, unused, kept["id"])
    ]
    assert statuses == [200, 404, 200]


async def test_tells_which_documents_exist(garage: Garage, other_garage: Garage) -> None:
    mine, foreign = await imported(garage), await imported(other_garage)
    async with garage.database.session(garage.tenant_id) as session:
        ids = [mine, foreign, 2**62]
        assert await documents.existing(session, garage.tenant_id, ids) == {mine}
