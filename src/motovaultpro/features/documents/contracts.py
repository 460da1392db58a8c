"""What other capsules see of documents: attachments, to write and to read."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from motovaultpro.core.types import Id, Name
from motovaultpro.features.extra_fields.contracts import RecordType

MAX_ATTACHMENTS = 100

_WEB_ADDRESS = re.compile(r"https?://[^\s/?#]\S*", re.IGNORECASE)


def _web_address(url: str) -> str:
    if not url.isprintable() or _WEB_ADDRESS.fullmatch(url) is None:
        raise ValueError("must be an address like https://example.org/page")
    return url


Url = Annotated[str, Field(max_length=2000), AfterValidator(_web_address)]


class AttachmentWrite(BaseModel):
    """Exactly one of: a document, a web address, another record."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    document_id: Id | None = None
    url: Url | None = None
    target_type: RecordType | None = None
    target_id: Id | None = None

    @model_validator(mode="after")
    def _one_target(self) -> "AttachmentWrite":
        if (self.target_type is None) != (self.target_id is None):
            raise ValueError("target_type and target_id go together")
        if [self.document_id, self.url, self.target_type].count(None) != 2:  # noqa: PLR2004 - of three, one is given
            raise ValueError("give exactly one of document_id, url, and target_type with target_id")
        return self


Attachments = Annotated[list[AttachmentWrite], Field(max_length=MAX_ATTACHMENTS)]


class AttachmentRead(BaseModel):
    """`content_type` and `size` are those of the document, where it is one."""

    name: str
    document_id: int | None
    url: str | None
    target_type: RecordType | None
    target_id: int | None
    content_type: str | None
    size: int | None


def attachments_json(record_type: str) -> str:
    """SQL of the JSON list (`AttachmentRead`) of the attachments of record `r`, for a row expression.

    `record_type` is SQL as well: `attachments_json("'fuel'")`, or `attachments_json("r.kind")`.
    """
    return f"""
        (SELECT coalesce(json_agg(json_build_object(
                    'name', a.name, 'document_id', a.document_id, 'url', a.url, 'target_type', a.target_type,
                    'target_id', a.target_id, 'content_type', d.content_type, 'size', d.size)
                ORDER BY a.position), '[]')
           FROM attachments a LEFT JOIN documents d ON d.tenant_id = a.tenant_id AND d.id = a.document_id
          WHERE a.tenant_id = r.tenant_id AND a.record_type = {record_type} AND a.record_id = r.id)
    """  # noqa: S608 - an expression of our own repositories
