from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from motovaultpro.core.types import Name
from motovaultpro.features.extra_fields.contracts import MAX_FIELDS, FieldType, RecordType


class ExtraFieldDefinition(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    field_type: FieldType = FieldType.TEXT
    is_required: bool = False


ExtraFieldDefinitions = Annotated[list[ExtraFieldDefinition], Field(max_length=MAX_FIELDS)]


class ExtraFieldsOfType(BaseModel):
    record_type: RecordType
    fields: list[ExtraFieldDefinition]


class ExtraFieldsRead(BaseModel):
    items: list[ExtraFieldsOfType]
