"""`DELETE /api/v1/documents/{id}`."""

import asyncio

import pytest
from sqlalchemy import text

from motovaultpro.core.errors import InvalidError
from motovaultpro.features.documents import facade as documents
from motovaultpro.features.documents.contracts import AttachmentWrite
from motovaultpro.features.extra_fields.contracts import RecordType
from tests.factories.documents import UPLOADS, upload
from tests.factories.garages import Garage, anonymous_client, make_vehicle

DEADLINE_SECONDS = 20


async def test_owners_administrators_and_the_uploader_delete(garage: Garage) -> None:
    member = await garage.client_as("member")
    for client in (member, garage.client, await garage.client_as("admin")):
        document = await upload(member)
        assert (await client.delete(f"{UPLOADS}/{document['id']}")).status_code == 204
        assert (await member.get(f"{UPLOADS}/{document['id']}")).status_code == 404
    assert await garage.count("outbox WHERE type = 'document.deleted'") == 3


async def test_a_second_deletion_finds_nothing(garage: Garage) -> None:
    document = await upload(garage.client)
    await garage.client.delete(f"{UPLOADS}/{document['id']}")
    assert (await garage.client.delete(f"{UPLOADS}/{document['id']}")).status_code == 404


async def test_seeing_a_document_is_not_enough(garage: Garage) -> None:
    document = await upload(garage.client)
    vehicle = await make_vehicle(garage.client, image_document_id=document["id"])
    actor = await garage.member("member")
    await garage.client.post(
        "/api/v1/shares",
        json={"user_id": actor.user_id, "vehicle_id": vehicle["id"], "permission": "manage"},
    )
    for client in (await garage.client_of(actor), await garage.client_as("viewer")):
        assert (await client.delete(f"{UPLOADS}/{document['id']}")).status_code == 403
    assert await garage.count("documents") == 1


async def test_others_find_nothing_to_delete(garage: Garage, other_garage: Garage) -> None:
    document = await upload(garage.client)
    url = f"{UPLOADS}/{document['id']}"
    assert (await other_garage.client.delete(url)).status_code == 404
    assert (await (await garage.client_as("member")).delete(url)).status_code == 404
    async with anonymous_client(garage.app) as stranger:
        assert (await stranger.delete(url)).status_code == 401
    assert await garage.count("documents") == 1


@pytest.mark.parametrize("use", ["attachment", "image_document_id", "map_document_id"])
async def test_what_is_in_use_stays(garage: Garage, use: str) -> None:
    document = await upload(garage.client)
    vehicle = await make_vehicle(garage.client)
    if use == "attachment":
        await attach(garage, vehicle["id"], document["id"])
    else:
        await garage.client.patch(f"/api/v1/vehicles/{vehicle['id']}", json={use: document["id"]})
    answer = await garage.client.delete(f"{UPLOADS}/{document['id']}")
    assert answer.status_code == 409
    assert answer.json()["code"] == "document_in_use"
    assert (await garage.client.get(f"{UPLOADS}/{document['id']}")).status_code == 200
    assert await garage.count("outbox WHERE type = 'document.deleted'") == 0


async def test_if_match_names_the_version(garage: Garage) -> None:
    document = await upload(garage.client)
    url = f"{UPLOADS}/{document['id']}"
    tag = (await garage.client.get(url)).headers["etag"]
    assert (await garage.client.delete(url, headers={"If-Match": '"old"'})).status_code == 412
    assert (await garage.client.delete(url, headers={"If-Match": tag})).status_code == 204


async def test_a_deletion_waits_for_who_is_attaching_the_document(garage: Garage) -> None:
    document = await upload(garage.client)
    vehicle = await make_vehicle(garage.client)
    async with garage.database.session(garage.tenant_id) as session:
        await documents.replace(
            session,
            garage.owner,
            vehicle_id=vehicle["id"],
            record_type=RecordType.FUEL,
            record_id=1,
            attachments=[AttachmentWrite(name="a", document_id=document["id"])],
        )
        pid: int = await session.scalar(text("SELECT pg_backend_pid()"))
        deletion = asyncio.create_task(garage.client.delete(f"{UPLOADS}/{document['id']}"))
        await somebody_waits_for(garage, pid)
    assert (await deletion).status_code == 409
    assert await garage.count("attachments") == 1


async def test_who_attaches_waits_for_a_deletion(garage: Garage) -> None:
    document = await upload(garage.client)
    vehicle = await make_vehicle(garage.client)

    async def attach_it() -> None:
        async with garage.database.session(garage.tenant_id) as session:
            await documents.replace(
                session,
                garage.owner,
                vehicle_id=vehicle["id"],
                record_type=RecordType.FUEL,
                record_id=1,
                attachments=[AttachmentWrite(name="a", document_id=document["id"])],
            )

    async with garage.database.session(garage.tenant_id) as session:
        assert await documents.remove_documents(session, garage.tenant_id, [document["id"]]) == 1
        pid: int = await session.scalar(text("SELECT pg_backend_pid()"))
        attaching = asyncio.create_task(attach_it())
        await somebody_waits_for(garage, pid)
    with pytest.raises(InvalidError):
        await attaching


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


async def somebody_waits_for(garage: Garage, pid: int) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            async with garage.database.session(garage.tenant_id) as session:
                if await session.scalar(
                    text(
                        "SELECT count(*) FROM pg_stat_activity WHERE :pid = ANY (pg_blocking_pids(pid))"
                    ),
                    {"pid": pid},
                ):
                    return
