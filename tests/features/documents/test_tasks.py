from datetime import timedelta

from sqlalchemy import text

from motovaultpro.core.clock import Clock
from motovaultpro.core.events import deliver
from motovaultpro.features.documents import facade as documents
from motovaultpro.features.documents.contracts import AttachmentWrite
from motovaultpro.features.documents.tasks import GRACE_PERIOD, delete_orphans, file_deletion
from motovaultpro.features.extra_fields.contracts import RecordType
from tests.factories.documents import PDF, UPLOADS, stored_keys, upload
from tests.factories.garages import Garage, make_vehicle


def later(garage: Garage, by: timedelta) -> Clock:
    now: Clock = garage.app.state.clock
    return lambda: now() + by


async def deliver_deletions(garage: Garage) -> None:
    async with garage.database.session(garage.tenant_id) as session:
        events = await session.scalars(
            text("SELECT id FROM outbox WHERE type = 'document.deleted' ORDER BY id")
        )
    for event_id in events.all():
        handlers = (file_deletion(garage.app.state.storage),)
        await deliver(garage.database, event_id, handlers)


async def attach(garage: Garage, vehicle_id: int, document_id: int) -> None:
    async with garage.database.session(garage.tenant_id) as session:
        await documents.attach(
            session,
            garage.tenant_id,
            vehicle_id=vehicle_id,
            record_type=RecordType.FUEL,
            record_id=1,
            attachments=[AttachmentWrite(name="a", document_id=document_id)],
        )


async def test_the_file_of_a_deleted_document_goes_with_the_event(garage: Garage) -> None:
    first, second = await upload(garage.client), await upload(garage.client)
    await garage.client.delete(f"{UPLOADS}/{first['id']}")
    assert len(await stored_keys(garage)) == 2
    await deliver_deletions(garage)
    assert len(await stored_keys(garage)) == 1
    content = await garage.client.get(f"{UPLOADS}/{second['id']}/content")
    assert content.content == PDF


async def test_orphans_go_after_a_day_with_their_files(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    uploaded = [await upload(garage.client) for _ in range(5)]
    attached, image, map_, orphan, another = (document["id"] for document in uploaded)
    await attach(garage, vehicle["id"], attached)
    await garage.client.patch(
        f"/api/v1/vehicles/{vehicle['id']}",
        json={"image_document_id": image, "map_document_id": map_},
    )
    nearly = later(garage, GRACE_PERIOD - timedelta(hours=1))
    assert await delete_orphans(garage.database, garage.tenant_id, nearly) == 0
    after = later(garage, GRACE_PERIOD + timedelta(hours=1))
    assert await delete_orphans(garage.database, garage.tenant_id, after) == 2
    statuses = {
        document_id: (await garage.client.get(f"{UPLOADS}/{document_id}")).status_code
        for document_id in (attached, image, map_, orphan, another)
    }
    assert statuses == {attached: 200, image: 200, map_: 200, orphan: 404, another: 404}
    await deliver_deletions(garage)
    assert len(await stored_keys(garage)) == 3


async def test_orphans_of_other_garages_are_not_touched(
    garage: Garage, other_garage: Garage
) -> None:
    await upload(other_garage.client)
    after = later(garage, 2 * GRACE_PERIOD)
    assert await delete_orphans(garage.database, garage.tenant_id, after) == 0
    assert await other_garage.count("documents") == 1


async def test_any_number_of_orphans_goes(garage: Garage) -> None:
    async with garage.database.session(garage.tenant_id) as session:
        await session.execute(
            text(
                "INSERT INTO documents (tenant_id, storage_key, name, content_type, size, sha256)"
                " SELECT :tenant, :tenant || '/' || n, 'x', 'text/plain', 1, '' FROM generate_series(1, 2001) n"
            ),
            {"tenant": garage.tenant_id},
        )
    after = later(garage, 2 * GRACE_PERIOD)
    assert await delete_orphans(garage.database, garage.tenant_id, after) == 2001
    assert await garage.count("documents") == 0
    assert await garage.count("outbox WHERE type = 'document.deleted'") == 3
