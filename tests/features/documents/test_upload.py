"""`POST /api/v1/documents`."""

import asyncio
import hashlib
from typing import Any

import httpx
import pytest
from dirty_equals import IsDatetime, IsPositiveInt
from fastapi import FastAPI

from motovaultpro.features.documents.service import document_name
from tests.factories.documents import PDF, UPLOADS, stored_keys, upload
from tests.factories.garages import Garage, anonymous_client

KEY = {"Idempotency-Key": "phone-1"}
ELF = b"\x7fELF\x02\x01\x01"


async def nothing_is_kept(garage: Garage) -> bool:
    return await garage.count("documents") == 0 and await stored_keys(garage) == []


@pytest.mark.parametrize("how", ["raw", "form"])
async def test_keeps_what_is_uploaded(garage: Garage, how: str) -> None:
    content = PDF * 100_000
    answer = (
        await garage.client.post(UPLOADS, params={"filename": "Öl.pdf"}, content=content)
        if how == "raw"
        else await garage.client.post(UPLOADS, files={"file": ("Öl.pdf", content)})
    )
    assert answer.status_code == 201
    document = answer.json()
    assert document == {
        "id": IsPositiveInt,
        "name": "Öl.pdf",
        "content_type": "application/pdf",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "created_at": IsDatetime(iso_string=True),
    }
    assert answer.headers["location"] == f"{UPLOADS}/{document['id']}"
    assert (await garage.client.get(answer.headers["location"])).json() == document
    downloaded = await garage.client.get(f"{UPLOADS}/{document['id']}/content")
    assert downloaded.content == content


async def test_takes_an_upload_whose_length_is_not_declared(garage: Garage) -> None:
    async def body() -> Any:
        for _ in range(10):
            yield b"some text\n" * 1000

    answer = await garage.client.post(UPLOADS, params={"filename": "a.txt"}, content=body())
    assert answer.status_code == 201
    assert answer.json()["size"] == 100_000


async def test_an_event_tells_of_the_upload(garage: Garage) -> None:
    await upload(garage.client)
    assert await garage.count("outbox WHERE type = 'document.uploaded'") == 1


@pytest.mark.parametrize(
    ("status", "request_parts"),
    [
        (422, {"content": PDF}),
        (422, {"content": b"", "params": {"filename": "a"}}),
        (415, {"content": ELF, "params": {"filename": "a.pdf"}}),
        (422, {"content": PDF, "params": {"filename": "x" * 1001}}),
        (422, {"files": {"document": ("a.pdf", PDF)}}),
        (422, {"files": [("file", ("a.pdf", PDF)), ("file", ("b.pdf", PDF))]}),
        (422, {"files": {"file": ("a.pdf", b"")}}),
        (415, {"files": {"file": ("a.pdf", ELF)}}),
        (400, {"content": PDF, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}),
        (400, {"content": PDF, "headers": {"Content-Type": "multipart/form-data"}}),
        (
            413,
            {
                "content": PDF,
                "params": {"filename": "a"},
                "headers": {"Content-Length": str(3 * 2**30)},
            },
        ),
    ],
)
async def test_refuses_what_is_no_file(
    garage: Garage, status: int, request_parts: dict[str, Any]
) -> None:
    answer = await garage.client.post(UPLOADS, **request_parts)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert await nothing_is_kept(garage)


async def test_strangers_and_viewers_upload_nothing(garage: Garage, app: FastAPI) -> None:
    async with anonymous_client(app) as stranger:
        answer = await stranger.post(UPLOADS, params={"filename": "a"}, content=PDF)
    assert answer.status_code == 401
    viewer = await garage.client_as("viewer")
    answer = await viewer.post(UPLOADS, params={"filename": "a"}, content=PDF)
    assert answer.status_code == 403
    assert await nothing_is_kept(garage)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\receipt.pdf", "receipt.pdf"),
        ("", "file"),
        ("///", "file"),
        (" a\r\nb\x00.pdf ", "ab.pdf"),
        ("fdp.\u202eexe", "fdp.exe"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ("Prüfbericht 🚗.pdf", "Prüfbericht 🚗.pdf"),
    ],
)
def test_names_are_made_sound(given: str, kept: str) -> None:
    assert document_name(given) == kept


@pytest.mark.parametrize("how", ["raw", "form"])
async def test_a_repeat_answers_as_the_first_did(garage: Garage, how: str) -> None:
    async def send() -> httpx.Response:
        if how == "raw":
            return await garage.client.post(
                UPLOADS, params={"filename": "a.pdf"}, content=PDF, headers=KEY
            )
        # Each form has a boundary of its own.
        return await garage.client.post(UPLOADS, files={"file": ("a.pdf", PDF)}, headers=KEY)

    first, second = await send(), await send()
    assert first.status_code == second.status_code == 201
    assert second.content == first.content
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["idempotency-replayed"] == "true"
    assert await garage.count("documents") == 1
    assert len(await stored_keys(garage)) == 1


async def test_a_repeat_is_answered_before_its_body_is_looked_at(garage: Garage) -> None:
    url = f"{UPLOADS}?filename=a.pdf"
    first = await garage.client.post(url, content=PDF, headers=KEY)
    program = ELF.ljust(len(PDF), b"\0")  # refused otherwise
    second = await garage.client.post(url, content=program, headers=KEY)
    assert second.json() == first.json()


@pytest.mark.parametrize(
    "other",
    [
        {"params": {"filename": "b.pdf"}, "content": PDF},
        {"params": {"filename": "a.pdf"}, "content": PDF + b"more"},
    ],
)
async def test_a_key_is_for_one_upload(garage: Garage, other: dict[str, Any]) -> None:
    await garage.client.post(UPLOADS, params={"filename": "a.pdf"}, content=PDF, headers=KEY)
    answer = await garage.client.post(UPLOADS, headers=KEY, **other)
    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_key_reused"
    assert await garage.count("documents") == 1


async def test_two_uploads_with_one_key_at_the_same_time_leave_one_document(garage: Garage) -> None:
    both_began = asyncio.Barrier(2)

    async def body() -> Any:
        yield PDF
        await both_began.wait()
        yield PDF

    def send() -> Any:
        return garage.client.post(
            UPLOADS, params={"filename": "a.pdf"}, content=body(), headers=KEY
        )

    first, second = await asyncio.gather(send(), send())
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert await garage.count("documents") == 1
    assert len(await stored_keys(garage)) == 1


async def test_a_malformed_key_is_refused_before_the_body_is_stored(garage: Garage) -> None:
    answer = await garage.client.post(
        UPLOADS, params={"filename": "a"}, content=PDF, headers={"Idempotency-Key": "two words"}
    )
    assert answer.status_code == 400
    assert await nothing_is_kept(garage)
