from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, status
from fastapi.responses import StreamingResponse

from motovaultpro.core.dependencies import CurrentClock, IfMatch, Read, UnitOfWorkRoute
from motovaultpro.core.http.uploads import received
from motovaultpro.core.idempotency import RepeatedRequestError
from motovaultpro.core.pagination import DEFAULT_LIMIT, MAX_LIMIT
from motovaultpro.core.storage import download_headers, parse_range
from motovaultpro.core.types import MAX_ID, Id
from motovaultpro.features.documents.dependencies import CurrentStorage, Documents, Once
from motovaultpro.features.documents.repository import FILE, ONE, PAGE
from motovaultpro.features.documents.schemas import (
    AttachmentPage,
    DocumentFile,
    DocumentLink,
    DocumentRead,
)
from motovaultpro.features.extra_fields.contracts import RecordType

UPLOAD_PATH = "/api/v1/documents"
LINK_LIFETIME = timedelta(minutes=5)

_FILE_SCHEMA = {"type": "string", "format": "binary"}
_FORM_SCHEMA = {"type": "object", "properties": {"file": _FILE_SCHEMA}, "required": ["file"]}
_UPLOAD_BODY = {
    "required": True,
    "content": {
        "application/octet-stream": {"schema": _FILE_SCHEMA},
        "multipart/form-data": {"schema": _FORM_SCHEMA},
    },
}
_DOWNLOADS: Mapping[int | str, dict[str, Any]] = {  # Any: OpenAPI as FastAPI takes it
    200: {
        "description": "The file.",
        "content": {"*/*": {"schema": _FILE_SCHEMA}},
    },
    206: {"description": "The part that `Range` asks for."},
    304: {"description": "The client has it already."},
    416: {"description": "`Range` lies beyond the end."},
}

router = APIRouter(tags=["documents"], route_class=UnitOfWorkRoute)
# Why: a body that streams in cannot be read again, so this request is never run a second time.
_upload_router = APIRouter(tags=["documents"])


@_upload_router.post(
    UPLOAD_PATH,
    response_model=DocumentRead,
    status_code=status.HTTP_201_CREATED,
    openapi_extra={"requestBody": _UPLOAD_BODY},
)
async def upload_document(
    request: Request,
    documents: Documents,
    once: Once,
    filename: Annotated[
        str | None, Query(max_length=1000, description="Name of the file in a raw body.")
    ] = None,
) -> Response:
    """Store a file of up to `storage.max_upload_bytes`: as the raw body (`application/octet-stream`, with `?filename=`), or
    as the field `file` of a form. What it is, is told from its content; programs are refused.

    With an `Idempotency-Key` a repeat (same address, same length) answers as the first did.
    """
    documents.authorize_upload()
    max_bytes = request.app.state.settings.storage.max_upload_bytes
    try:
        async with received(
            request, field="file", filename=filename, max_bytes=max_bytes
        ) as upload:
            await once.check()
            return await documents.upload(upload.filename, upload.chunks, once.created)
    except RepeatedRequestError as repeated:
        return repeated.answer


@router.get("/api/v1/documents/{document_id}", response_model=DocumentRead)
async def get_document(document_id: Id, read: Read) -> Response:
    return await read.answer(ONE, {"document_id": document_id})


@router.get(
    "/api/v1/documents/{document_id}/content",
    response_class=StreamingResponse,
    responses=dict(_DOWNLOADS),
)
async def download_document(
    document_id: Id,
    request: Request,
    read: Read,
    storage: CurrentStorage,
    download: Annotated[
        bool, Query(description="Save it, even where a browser could show it.")
    ] = False,
) -> Response:
    """The file, or the part of it that `Range` asks for. Pictures, PDF and plain text may be shown by a browser."""
    file = await _file(read, document_id)
    headers = download_headers(
        content_type=file.content_type,
        filename=file.name,
        size=file.size,
        sha256=file.sha256,
        inline=not download,
    )
    headers["Vary"] = "Authorization, Cookie, X-API-Key"
    if _has_it(request, headers["ETag"]):
        # Why with all its headers: they replace those of the client's copy, and its policy must not be lost.
        del headers["Content-Length"]
        return Response(None, status.HTTP_304_NOT_MODIFIED, headers)
    asked = request.headers.get("range") if _range_counts(request, headers["ETag"]) else None
    part = parse_range(asked, file.size)
    stream = await storage.open(file.storage_key, part)
    if part is None:
        return StreamingResponse(stream.chunks, headers=headers)
    headers["Content-Length"] = str(stream.end - stream.start)
    headers["Content-Range"] = f"bytes {stream.start}-{stream.end - 1}/{file.size}"
    return StreamingResponse(stream.chunks, status.HTTP_206_PARTIAL_CONTENT, headers=headers)


@router.get("/api/v1/documents/{document_id}/link")
async def link_document(
    document_id: Id,
    read: Read,
    storage: CurrentStorage,
    clock: CurrentClock,
    response: Response,
) -> DocumentLink:
    """Where to download the file: an address of the object store that works for five minutes without signing in, or ours."""
    response.headers["Cache-Control"] = "no-store"  # the address alone opens the file
    file = await _file(read, document_id)
    url = await storage.presigned_url(file.storage_key, LINK_LIFETIME)
    if url is None:
        return DocumentLink(url=f"{UPLOAD_PATH}/{document_id}/content", expires_at=None)
    return DocumentLink(url=url, expires_at=clock() + LINK_LIFETIME)


@router.delete("/api/v1/documents/{document_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_document(document_id: Id, documents: Documents, if_match: IfMatch) -> None:
    """Delete a document that no record or vehicle uses; its uploader, owners and administrators may."""
    await documents.delete(document_id, if_match)


@router.get("/api/v1/vehicles/{vehicle_id}/attachments", response_model=AttachmentPage)
async def list_attachments(
    vehicle_id: Id,
    read: Read,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[
        int, Query(ge=0, le=MAX_ID, description="`next_cursor` of the page before.")
    ] = MAX_ID,
    record_type: RecordType | None = None,
) -> Response:
    """What is attached to the records of a vehicle, the latest first."""
    return await read.answer(
        PAGE,
        {"vehicle_id": vehicle_id, "limit": limit, "before": cursor, "record_type": record_type},
    )


router.include_router(_upload_router)


async def _file(read: Read, document_id: int) -> DocumentFile:
    return DocumentFile.model_validate_json(await read.fetch(FILE, {"document_id": document_id}))


def _has_it(request: Request, tag: str) -> bool:
    known = ", ".join(request.headers.getlist("if-none-match"))
    return known.strip() == "*" or tag in known


def _range_counts(request: Request, tag: str) -> bool:
    """A range of another version of the file is of no use (RFC 9110, 13.1.5)."""
    return request.headers.get("if-range", tag) == tag
