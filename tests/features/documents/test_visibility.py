"""Who sees a document: one rule for metadata, content and links."""

import httpx
import pytest

from motovaultpro.features.documents import facade as documents
from motovaultpro.features.documents.contracts import AttachmentWrite
from motovaultpro.features.extra_fields.contracts import RecordType
from tests.factories.documents import UPLOADS, upload
from tests.factories.garages import Garage, make_vehicle


async def sees(client: httpx.AsyncClient, document_id: int) -> bool:
    statuses = {
        (await client.get(f"{UPLOADS}/{document_id}{path}")).status_code
        for path in ("", "/content", "/link")
    }
    assert statuses in ({200}, {404})
    return statuses == {200}


async def share(garage: Garage, user_id: int, vehicle_id: int | None) -> None:
    answer = await garage.client.post(
        "/api/v1/shares",
        json={"user_id": user_id, "vehicle_id": vehicle_id, "permission": "view"},
    )
    assert answer.status_code == 201, answer.text


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


@pytest.mark.parametrize(
    ("role", "expected"), [("owner", True), ("admin", True), ("viewer", True), ("member", False)]
)
async def test_roles_that_see_the_whole_garage_see_every_document(
    garage: Garage, role: str, expected: bool
) -> None:
    document = await upload(garage.client)
    assert await sees(await garage.client_as(role), document["id"]) is expected


async def test_members_see_what_they_uploaded(garage: Garage) -> None:
    member = await garage.client_as("member")
    document = await upload(member)
    assert await sees(member, document["id"])
    assert not await sees(await garage.client_as("member"), document["id"])


@pytest.mark.parametrize("shared", ["the vehicle", "the garage"])
@pytest.mark.parametrize("use", ["attachment", "image_document_id", "map_document_id"])
async def test_members_see_what_belongs_to_a_vehicle_that_is_shared_with_them(
    garage: Garage, use: str, shared: str
) -> None:
    document = await upload(garage.client)
    vehicle = await make_vehicle(garage.client)
    actor = await garage.member("member")
    member = await garage.client_of(actor)
    await share(garage, actor.user_id, vehicle["id"] if shared == "the vehicle" else None)
    assert not await sees(member, document["id"])
    if use == "attachment":
        await attach(garage, vehicle["id"], document["id"])
    else:
        await garage.client.patch(f"/api/v1/vehicles/{vehicle['id']}", json={use: document["id"]})
    assert await sees(member, document["id"])
    await garage.client.delete(f"/api/v1/vehicles/{vehicle['id']}")
    assert not await sees(member, document["id"])


async def test_members_do_not_see_what_belongs_to_another_vehicle(garage: Garage) -> None:
    document = await upload(garage.client)
    theirs, another = await make_vehicle(garage.client), await make_vehicle(garage.client)
    actor = await garage.member("member")
    await share(garage, actor.user_id, theirs["id"])
    await attach(garage, another["id"], document["id"])
    assert not await sees(await garage.client_of(actor), document["id"])
