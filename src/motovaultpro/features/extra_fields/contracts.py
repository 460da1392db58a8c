"""What other capsules see of extra fields."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from motovaultpro.core.types import Name, Notes

MAX_FIELDS = 100


class RecordType(StrEnum):
    """Kinds of things that carry extra fields, tags and attachments."""

    VEHICLE = "vehicle"
    SERVICE = "service"
    REPAIR = "repair"
    UPGRADE = "upgrade"
    FUEL = "fuel"
    ODOMETER = "odometer"


class FieldType(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    DECIMAL = "decimal"
    DATE = "date"
    TIME = "time"
    LOCATION = "location"


class ExtraFieldValue(BaseModel):
    """One extra field of a record. `value` is text; a definition of the same name says how it must read."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    value: Annotated[Notes, Field(max_length=10_000)]


ExtraFieldValues = Annotated[list[ExtraFieldValue], Field(max_length=MAX_FIELDS)]
