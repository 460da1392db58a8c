"""`GET /api/v1/documents/{id}`, `/content` and `/link`."""

from datetime import datetime

import httpx
import pytest
from fastapi import FastAPI

from tests.factories.documents import PDF, UPLOADS, stored_keys, upload
from tests.factories.garages import Garage, anonymous_client, make_garage

DIGITS = b"0123456789" * 20


async def test_a_browser_may_show_a_picture_but_not_be_fooled(garage: Garage) -> None:
    document = await upload(garage.client, PDF, "Öl.pdf")
    answer = await garage.client.get(f"{UPLOADS}/{document['id']}/content")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-length"] == str(len(PDF))
    assert answer.headers["content-disposition"].startswith("inline; filename=")
    assert answer.headers["etag"] == f'"{document["sha256"]}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["vary"] == "Authorization, Cookie, X-API-Key"


async def test_a_page_that_runs_is_only_saved(garage: Garage) -> None:
    document = await upload(garage.client, b"<html><script>alert(1)</script></html>", "a.html")
    answer = await garage.client.get(f"{UPLOADS}/{document['id']}/content")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_download_saves_what_could_be_shown(garage: Garage) -> None:
    document = await upload(garage.client)
    answer = await garage.client.get(f"{UPLOADS}/{document['id']}/content?download=1")
    assert answer.headers["content-disposition"] == 'attachment; filename="receipt.pdf"'


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=190-", 206, 190, 200),
        ("bytes=-5", 206, 195, 200),
        ("bytes=100-5000", 206, 100, 200),
        ("bytes=0-0,5-6", 200, 0, 200),
        ("lines=1-2", 200, 0, 200),
    ],
)
async def test_a_range_is_answered_with_that_part(
    garage: Garage, asked: str, status: int, start: int, end: int
) -> None:
    document = await upload(garage.client, DIGITS, "digits.txt")
    answer = await garage.client.get(
        f"{UPLOADS}/{document['id']}/content", headers={"Range": asked}
    )
    assert answer.status_code == status
    assert answer.content == DIGITS[start:end]
    assert answer.headers["content-length"] == str(end - start)
    expected = f"bytes {start}-{end - 1}/200" if status == 206 else None
    assert answer.headers.get("content-range") == expected


async def test_a_range_beyond_the_end_cannot_be_answered(garage: Garage) -> None:
    document = await upload(garage.client, DIGITS, "digits.txt")
    answer = await garage.client.get(
        f"{UPLOADS}/{document['id']}/content", headers={"Range": "bytes=200-"}
    )
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */200"


@pytest.mark.parametrize(("version", "status"), [("same", 206), ('"another"', 200)])
async def test_a_range_of_another_version_gets_the_whole_file(
    garage: Garage, version: str, status: int
) -> None:
    document = await upload(garage.client, DIGITS, "digits.txt")
    tag = f'"{document["sha256"]}"' if version == "same" else version
    answer = await garage.client.get(
        f"{UPLOADS}/{document['id']}/content", headers={"Range": "bytes=0-9", "If-Range": tag}
    )
    assert answer.status_code == status


@pytest.mark.parametrize("known", ['"{sha}"', 'W/"{sha}"', '"x", "{sha}"', "*"])
async def test_a_client_that_has_the_file_keeps_it_with_its_policy(
    garage: Garage, known: str
) -> None:
    document = await upload(garage.client, DIGITS, "digits.txt")
    url = f"{UPLOADS}/{document['id']}/content"
    whole = await garage.client.get(url)
    answer = await garage.client.get(
        url, headers={"If-None-Match": known.format(sha=document["sha256"])}
    )
    assert answer.status_code == 304
    assert answer.content == b""
    for name in ("etag", "content-security-policy", "content-disposition", "cache-control"):
        assert answer.headers[name] == whole.headers[name]


async def test_metadata_can_be_asked_about_too(garage: Garage) -> None:
    document = await upload(garage.client)
    url = f"{UPLOADS}/{document['id']}"
    tag = (await garage.client.get(url)).headers["etag"]
    answer = await garage.client.get(url, headers={"If-None-Match": tag})
    assert answer.status_code == 304


async def test_a_file_that_vanished_is_not_found(garage: Garage) -> None:
    document = await upload(garage.client)
    [key] = await stored_keys(garage)
    await garage.app.state.storage.delete(key)
    answer = await garage.client.get(f"{UPLOADS}/{document['id']}/content")
    assert answer.status_code == 404


async def test_a_directory_is_linked_through_us(garage: Garage) -> None:
    document = await upload(garage.client)
    answer = await garage.client.get(f"{UPLOADS}/{document['id']}/link")
    assert answer.json() == {"url": f"{UPLOADS}/{document['id']}/content", "expires_at": None}


async def test_a_bucket_is_linked_itself(s3_app: FastAPI) -> None:
    async with make_garage(s3_app) as garage:
        document = await upload(garage.client)
        answer = await garage.client.get(f"{UPLOADS}/{document['id']}/link")
    link = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert datetime.fromisoformat(link["expires_at"]) > s3_app.state.clock()
    async with httpx.AsyncClient() as anybody:
        direct = await anybody.get(link["url"])
    assert direct.content == PDF
    assert direct.headers["content-disposition"] == 'attachment; filename="receipt.pdf"'


@pytest.mark.parametrize("path", ["", "/content", "/link"])
async def test_strangers_and_other_garages_see_nothing(
    garage: Garage, other_garage: Garage, path: str
) -> None:
    document = await upload(garage.client)
    url = f"{UPLOADS}/{document['id']}{path}"
    assert (await other_garage.client.get(url)).status_code == 404
    async with anonymous_client(garage.app) as stranger:
        assert (await stranger.get(url)).status_code == 401


@pytest.mark.parametrize("document_id", ["0", "-1", str(2**63), "x", "1e3"])
async def test_an_impossible_id_is_invalid(garage: Garage, document_id: str) -> None:
    assert (await garage.client.get(f"{UPLOADS}/{document_id}/content")).status_code == 422
