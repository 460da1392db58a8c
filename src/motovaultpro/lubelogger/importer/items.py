"""What an import is made of: one item for each document, mapped, with a fingerprint of what it became."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Generic, TypeVar

import orjson

from motovaultpro.core.security.actor import Permission, Role, Scope
from motovaultpro.features.extra_fields.contracts import FieldType, RecordType
from motovaultpro.features.fuel.contracts import ImportedFuelRecord
from motovaultpro.features.maintenance.contracts import ImportedMaintenanceRecord
from motovaultpro.features.odometer.contracts import ImportedOdometerRecord
from motovaultpro.features.users.contracts import Preferences
from motovaultpro.features.vehicles.contracts import ImportedVehicle

ImportedRecord = ImportedFuelRecord | ImportedMaintenanceRecord | ImportedOdometerRecord
V_co = TypeVar("V_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Item(Generic[V_co]):
    """`collection` and `source_id` name a document for ever; `vehicle` is the source id of the vehicle it belongs to."""

    collection: str
    source_id: str
    value: V_co
    vehicle: str | None = None
    goes_with: Any = None  # Any: a value of another item
    """What else makes this item a changed one: a record is taken over again when its attachments changed."""

    @property
    def fingerprint(self) -> bytes:
        """Of the result, not of the document: it changes with everything that changes what is stored, options and files
        included, and with nothing else."""
        canonical = orjson.dumps(
            _canonical([self.value, self.goes_with]), option=orjson.OPT_SORT_KEYS
        )
        return hashlib.sha256(canonical).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """`name` is None for the root user, whose name is stored as SHA-256 only. `password` is SHA-256 in hex, "" = none."""

    name: str | None
    name_sha256: bytes | None = None
    email: str | None
    password: str = field(repr=False)
    role: Role


@dataclass(frozen=True, slots=True)
class UserPreferences:
    user: str
    preferences: Preferences


@dataclass(frozen=True, slots=True)
class ApiKey:
    user: str
    name: str
    key_sha256: str = field(repr=False)
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class Share:
    user: str
    vehicle: str
    permission: Permission


@dataclass(frozen=True, slots=True)
class FieldDefinition:
    record_type: RecordType
    name: str
    field_type: FieldType
    is_required: bool


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A stored upload, by its location; `name` as its first user calls it."""

    location: str
    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Vehicle:
    """`image` and `map` are locations of files."""

    data: ImportedVehicle
    image: str | None = None
    map: str | None = None
    # So that a picture that changed, or came later, makes the vehicle a changed one.
    files_sha256: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attachment:
    """Exactly one of: the location of a file, a web address, another record."""

    name: str
    location: str | None = None
    url: str | None = None
    target: tuple[str, str] | None = None
    """Collection and source id."""


@dataclass(frozen=True, slots=True)
class Attachments:
    """All attachments of one record, in order."""

    collection: str
    record: str
    attachments: Sequence[Attachment]
    files_sha256: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """For comparing both sides; None = does not apply to this collection."""

    records: int = 0
    cost: Decimal | None = None
    volume: Decimal | None = None
    distance: Decimal | None = None


@dataclass(slots=True)
class Plan:
    """Everything the source holds, ready to be stored; nothing here depends on what is stored already but the currency."""

    users: list[Item[User]] = field(default_factory=list)
    preferences: list[Item[UserPreferences]] = field(default_factory=list)
    api_keys: list[Item[ApiKey]] = field(default_factory=list)
    definitions: list[Item[FieldDefinition]] = field(default_factory=list)
    files: list[Item[UploadedFile]] = field(default_factory=list)
    vehicles: list[Item[Vehicle]] = field(default_factory=list)
    shares: list[Item[Share]] = field(default_factory=list)
    records: dict[str, list[Item[ImportedRecord]]] = field(default_factory=dict)
    attachments: list[Item[Attachments]] = field(default_factory=list)
    source_counts: dict[str, int] = field(default_factory=dict)
    """Documents by collection, skipped ones included."""
    waiting: dict[str, int] = field(default_factory=dict)


def _canonical(value: Any) -> Any:  # noqa: PLR0911 - one case per type; Any: what items consist of
    """JSON in which equal results are equal: 12.50 as 12.5, and fields at their default left out, so that a field that is
    new in a later release does not make every record look changed."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: _canonical(own)
            for item in fields(value)
            if (own := getattr(value, item.name)) != _default(item)
        }
    match value:
        case Decimal():
            return format(value.normalize(), "f")
        case bytes():
            return value.hex()
        case date():
            return value.isoformat()
        case Mapping():
            return {str(key): _canonical(item) for key, item in value.items()}
        case frozenset():
            return sorted(str(item) for item in value)
        case list() | tuple():
            return [_canonical(item) for item in value]
        case str() | int() | None:
            return value
    return str(value)


def _default(item: Any) -> Any:  # Any: a dataclasses.Field of any type
    return item.default_factory() if item.default_factory is not MISSING else item.default
