"""Attachments of records, as their capsules write and show them, and the list of a vehicle."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from motovaultpro.core.errors import InvalidError
from motovaultpro.core.security.actor import Actor
from motovaultpro.features.documents import facade as documents
from motovaultpro.features.documents.contracts import AttachmentWrite, attachments_json
from motovaultpro.features.extra_fields.contracts import RecordType
from tests.factories.documents import PDF, upload
from tests.factories.garages import Garage, anonymous_client, make_vehicle

WEB = AttachmentWrite(name="Manual", url="https://example.org/manual")
LINK = AttachmentWrite(name="Earlier", target_type=RecordType.SERVICE, target_id=7)


async def replace(
    garage: Garage,
    vehicle_id: int,
    attachments: Sequence[AttachmentWrite],
    *,
    actor: Actor | None = None,
    record: tuple[RecordType, int] = (RecordType.FUEL, 1),
) -> None:
    record_type, record_id = record
    async with garage.database.session(garage.tenant_id) as session:
        await documents.replace(
            session,
            actor or garage.owner,
            vehicle_id=vehicle_id,
            record_type=record_type,
            record_id=record_id,
            attachments=attachments,
        )


async def attachments_of(
    garage: Garage, record: tuple[RecordType, int] = (RecordType.FUEL, 1)
) -> list[dict[str, Any]]:
    record_type, record_id = record
    async with garage.database.session(garage.tenant_id) as session:
        shown: str = await session.scalar(
            text(
                f"SELECT {attachments_json(':type')}::text"
                " FROM (SELECT CAST(:tenant AS uuid) AS tenant_id, CAST(:id AS bigint) AS id) r"
            ),
            {"type": record_type, "tenant": garage.tenant_id, "id": record_id},
        )
    attachments: list[dict[str, Any]] = orjson.loads(shown)
    return attachments


def shown(**fields: Any) -> dict[str, Any]:
    blank = dict.fromkeys(
        ("document_id", "url", "target_type", "target_id", "content_type", "size")
    )
    return {**blank, **fields}


async def test_are_shown_in_their_order_with_what_the_document_is(garage: Garage) -> None:
    vehicle, document = await make_vehicle(garage.client), await upload(garage.client)
    file = AttachmentWrite(name="Receipt", document_id=document["id"])
    await replace(garage, vehicle["id"], [WEB, file, LINK])
    assert await attachments_of(garage) == [
        shown(name="Manual", url="https://example.org/manual"),
        shown(
            name="Receipt",
            document_id=document["id"],
            content_type="application/pdf",
            size=len(PDF),
        ),
        shown(name="Earlier", target_type="service", target_id=7),
    ]
    assert await attachments_of(garage, (RecordType.FUEL, 2)) == []


async def test_are_replaced_as_a_whole_and_only_those_of_the_record(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    await replace(garage, vehicle["id"], [WEB, LINK])
    await replace(garage, vehicle["id"], [WEB], record=(RecordType.SERVICE, 1))
    await replace(garage, vehicle["id"], [LINK])
    assert [a["name"] for a in await attachments_of(garage)] == ["Earlier"]
    assert [a["name"] for a in await attachments_of(garage, (RecordType.SERVICE, 1))] == ["Manual"]
    await replace(garage, vehicle["id"], [])
    assert await attachments_of(garage) == []


async def test_a_document_may_be_attached_twice(garage: Garage) -> None:
    vehicle, document = await make_vehicle(garage.client), await upload(garage.client)
    file = AttachmentWrite(name="Receipt", document_id=document["id"])
    await replace(garage, vehicle["id"], [file, file])
    assert len(await attachments_of(garage)) == 2


async def test_unknown_documents_are_refused_by_their_place(
    garage: Garage, other_garage: Garage
) -> None:
    vehicle, mine = await make_vehicle(garage.client), await upload(garage.client)
    foreign = await upload(other_garage.client)
    attachments = [
        AttachmentWrite(name="a", document_id=document_id)
        for document_id in (mine["id"], foreign["id"], 2**62)
    ]
    with pytest.raises(InvalidError) as caught:
        await replace(garage, vehicle["id"], attachments)
    assert [field.field for field in caught.value.fields] == [
        "attachments.1.document_id",
        "attachments.2.document_id",
    ]
    assert await attachments_of(garage) == []


async def test_a_member_attaches_only_what_they_may_see(garage: Garage) -> None:
    vehicle, document = await make_vehicle(garage.client), await upload(garage.client)
    member = await garage.member("member")
    attachment = AttachmentWrite(name="a", document_id=document["id"])
    with pytest.raises(InvalidError):
        await replace(garage, vehicle["id"], [attachment], actor=member)
    own = await upload(await garage.client_of(member))
    attachment = AttachmentWrite(name="a", document_id=own["id"])
    await replace(garage, vehicle["id"], [attachment], actor=member)
    assert len(await attachments_of(garage)) == 1


async def test_move_takes_attachments_and_links_along(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    service, repair = (RecordType.SERVICE, 7), (RecordType.REPAIR, 7)
    await replace(garage, vehicle["id"], [WEB], record=service)
    await replace(garage, vehicle["id"], [WEB], record=(RecordType.SERVICE, 8))
    await replace(garage, vehicle["id"], [LINK])
    async with garage.database.session(garage.tenant_id) as session:
        await documents.move(
            session,
            garage.tenant_id,
            record_id=7,
            from_type=RecordType.SERVICE,
            to_type=RecordType.REPAIR,
        )
    assert await attachments_of(garage, service) == []
    assert len(await attachments_of(garage, repair)) == 1
    assert len(await attachments_of(garage, (RecordType.SERVICE, 8))) == 1
    assert (await attachments_of(garage))[0]["target_type"] == "repair"


async def test_remove_forgets_those_of_the_named_records(garage: Garage) -> None:
    vehicle = await make_vehicle(garage.client)
    for record_id in (1, 2, 3):
        await replace(garage, vehicle["id"], [WEB], record=(RecordType.FUEL, record_id))
    async with garage.database.session(garage.tenant_id) as session:
        await documents.remove(session, garage.tenant_id, RecordType.FUEL, 1, 3)
        await documents.remove(session, garage.tenant_id, RecordType.SERVICE, 2)
        await documents.remove(session, garage.tenant_id, RecordType.FUEL)
    assert [bool(await attachments_of(garage, (RecordType.FUEL, i))) for i in (1, 2, 3)] == [
        False,
        True,
        False,
    ]


async def test_the_list_of_a_vehicle_comes_in_pages_latest_first(garage: Garage) -> None:
    vehicle, another = await make_vehicle(garage.client), await make_vehicle(garage.client)
    document = await upload(garage.client)
    file = AttachmentWrite(name="Receipt", document_id=document["id"])
    await replace(garage, vehicle["id"], [WEB], record=(RecordType.SERVICE, 5))
    await replace(garage, vehicle["id"], [file, LINK], record=(RecordType.FUEL, 6))
    await replace(garage, another["id"], [WEB], record=(RecordType.FUEL, 7))
    url = f"/api/v1/vehicles/{vehicle['id']}/attachments"
    first = (await garage.client.get(url, params={"limit": 2})).json()
    assert first["items"] == [
        shown(record_type="fuel", record_id=6, name="Earlier", target_type="service", target_id=7),
        shown(
            record_type="fuel",
            record_id=6,
            name="Receipt",
            document_id=document["id"],
            content_type="application/pdf",
            size=len(PDF),
        ),
    ]
    params = {"limit": 2, "cursor": first["next_cursor"]}
    rest = (await garage.client.get(url, params=params)).json()
    assert [item["name"] for item in rest["items"]] == ["Manual"]
    assert rest["next_cursor"] is None
    only = (await garage.client.get(url, params={"record_type": "service"})).json()
    assert [item["record_id"] for item in only["items"]] == [5]


async def test_the_list_is_for_those_who_see_the_vehicle(
    garage: Garage, other_garage: Garage
) -> None:
    vehicle = await make_vehicle(garage.client)
    url = f"/api/v1/vehicles/{vehicle['id']}/attachments"
    assert (await garage.client.get(url)).json() == {"items": [], "next_cursor": None}
    assert (await (await garage.client_as("viewer")).get(url)).status_code == 200
    assert (await (await garage.client_as("member")).get(url)).status_code == 404
    assert (await other_garage.client.get(url)).status_code == 404
    async with anonymous_client(garage.app) as stranger:
        assert (await stranger.get(url)).status_code == 401
    assert (await garage.client.get(url, params={"record_type": "toaster"})).status_code == 422
    assert (await garage.client.get(url, params={"cursor": "x"})).status_code == 422
