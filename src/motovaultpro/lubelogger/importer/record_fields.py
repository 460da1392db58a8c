"""What all records carry: tags, extra fields, attachments, supplies used."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from motovaultpro.features.documents.contracts import Url
from motovaultpro.features.extra_fields.contracts import FieldType
from motovaultpro.lubelogger.importer.days import DayReader
from motovaultpro.lubelogger.importer.fields import MAX_LINE, Fields, one_line
from motovaultpro.lubelogger.importer.files import is_upload
from motovaultpro.lubelogger.importer.findings import Level
from motovaultpro.lubelogger.importer.items import Attachment
from motovaultpro.lubelogger.importer.kinds import (
    COLLECTION_OF_MODE,
    FIELD_TYPE,
    FIELD_TYPES,
    mode_of,
)
from motovaultpro.lubelogger.importer.uploads import Uploads

MAX_TAG: Final = 50
MAX_TAGS: Final = 50
MAX_EXTRA_FIELDS: Final = 100
MAX_VALUE: Final = 10_000
_RECORD_LINK = re.compile(r"::(\w+):(\d+)")
_URL = TypeAdapter[str](Url)


@dataclass(frozen=True, slots=True)
class LinkTargets:
    """Source ids by collection, of everything that comes along."""

    known: Mapping[str, Collection[str]]

    def __contains__(self, target: tuple[str, str]) -> bool:
        return target[1] in self.known.get(target[0], ())


def tags_of(fields: Fields) -> list[str]:
    tags: list[str] = []
    for raw in fields.texts("Tags"):
        tag = one_line(raw)
        if len(tag) > MAX_TAG or len(tags) == MAX_TAGS:
            fields.note("Tags", f"'{tag[:MAX_TAG]}' is in the notes: too long, or one too many")
            fields.remarks.append(f"Tag: {tag}")
        elif tag and tag not in tags:
            tags.append(tag)
    return tags


def extra_fields_of(fields: Fields, days: DayReader) -> list[dict[str, str]]:
    """Days become ISO, the form in which they are checked when somebody edits the record."""
    values: dict[str, str] = {}
    for part in fields.parts("ExtraFields"):
        name, value = one_line(part.text("Name")), part.text("Value")
        if not name:
            if value:
                part.note("Name", "is empty; the value is in the notes")
                fields.remarks.append(value)
            continue
        if name in values and (not value or values[name] == value):
            continue
        if values.get(name):
            part.note("Name", f"'{name}' is there twice; the second is in the notes")
            fields.remarks.append(f"{name}: {value}")
            continue
        if len(name) > MAX_LINE or len(value) > MAX_VALUE or len(values) == MAX_EXTRA_FIELDS:
            part.note("Value", "is in the notes: too long, or one too many")
            fields.remarks.append(f"{name}: {value}")
            continue
        kind = FIELD_TYPE.get(part.member("FieldType", FIELD_TYPES))
        day = days.read(value) if kind is FieldType.DATE and value else None
        values[name] = day.isoformat() if day else value
    return [{"name": name, "value": value} for name, value in values.items()]


def attachments_of(fields: Fields, uploads: Uploads, targets: LinkTargets) -> list[Attachment]:
    """What cannot be attached, as a file that is missing or a link to a kind without a home, becomes a remark."""
    attachments: list[Attachment] = []
    for part in fields.parts("Files"):
        location = part.text("Location")
        if not location:
            continue
        name = one_line(part.text("Name"))[:MAX_LINE] or location.rpartition("/")[2] or location
        attachment = _attachment(part, uploads, targets, name, location)
        if attachment is not None:
            attachments.append(attachment)
        else:
            fields.remarks.append(f"Attachment {name}: {location}")
    return attachments


def _attachment(
    part: Fields, uploads: Uploads, targets: LinkTargets, name: str, location: str
) -> Attachment | None:
    name = name[:MAX_LINE]
    if is_upload(location):
        upload = uploads.use(part, "Location", location, name)
        return Attachment(name, location=location) if upload else None
    if match := _RECORD_LINK.fullmatch(location):
        return _link(part, targets, name, match)
    try:
        return Attachment(name, url=_URL.validate_python(location))
    except ValidationError:
        part.note("Location", f"'{location}' is no web address; it is in the notes")
        return None


def _link(part: Fields, targets: LinkTargets, name: str, match: re.Match[str]) -> Attachment | None:
    collection = COLLECTION_OF_MODE.get(mode_of(match[1]))
    if collection is None:
        part.note(
            "Location", f"the link {match[0]} waits until its kind has a home; it is in the notes"
        )
        return None
    target = (collection, match[2])
    if target not in targets:
        part.note(
            "Location", f"the link {match[0]} leads nowhere; it is in the notes", Level.WARNING
        )
        return None
    return Attachment(name, target=target)


def supplies_used(fields: Fields) -> list[dict[str, Any]]:  # Any: text and numbers
    """What was taken from the shelf for a record: description, part number, quantity, cost in all."""
    return [
        {
            "description": part.line("Description") or part.line("PartNumber") or "Supply",
            "part_number": part.line("PartNumber"),
            "quantity": part.quantity("Quantity"),
            "cost": part.amount("Cost"),
        }
        for part in fields.parts("RequisitionHistory")
    ]
