from datetime import datetime

from pydantic import BaseModel

from motovaultpro.features.documents.contracts import AttachmentRead
from motovaultpro.features.extra_fields.contracts import RecordType


class DocumentRead(BaseModel):
    """`content_type` is what the content is, told by its first bytes."""

    id: int
    name: str
    content_type: str
    size: int
    sha256: str
    created_at: datetime


class DocumentFile(BaseModel):
    """A document as it is delivered."""

    name: str
    content_type: str
    size: int
    sha256: str
    storage_key: str


class DocumentLink(BaseModel):
    """`expires_at` is null for an address of ours, which needs signing in."""

    url: str
    expires_at: datetime | None


class VehicleAttachment(AttachmentRead):
    record_type: RecordType
    record_id: int


class AttachmentPage(BaseModel):
    items: list[VehicleAttachment]
    next_cursor: str | None
