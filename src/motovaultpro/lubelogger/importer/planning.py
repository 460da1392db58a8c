"""From a source to the plan of everything it holds."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from motovaultpro.core.units import VolumeUnit
from motovaultpro.lubelogger.importer.context import MappingContext
from motovaultpro.lubelogger.importer.days import DayReader
from motovaultpro.lubelogger.importer.fields import MAX_LINE, Fields, one_line, source_id_of
from motovaultpro.lubelogger.importer.findings import Findings, Level
from motovaultpro.lubelogger.importer.items import (
    Attachments,
    FieldDefinition,
    ImportedRecord,
    Item,
    Plan,
    Vehicle,
)
from motovaultpro.lubelogger.importer.kinds import (
    COLLECTION_OF_MODE,
    FIELD_TYPE,
    FIELD_TYPES,
    RECORD_TYPES,
    VEHICLES,
    WAITING,
    mode_of,
    record_type_of,
)
from motovaultpro.lubelogger.importer.people import People
from motovaultpro.lubelogger.importer.record_fields import LinkTargets, attachments_of
from motovaultpro.lubelogger.importer.records import KINDS, map_fuel, map_maintenance, map_odometer
from motovaultpro.lubelogger.importer.settings import UserSettings
from motovaultpro.lubelogger.importer.source import Source
from motovaultpro.lubelogger.importer.uploads import Uploads
from motovaultpro.lubelogger.importer.vehicles import energy_source, map_vehicle

_PEOPLE: Final = (
    "userrecords",
    "userconfigrecords",
    "useraccessrecords",
    "userhouseholdrecords",
    "apikeyrecords",
)
_IMPORTED: Final = (VEHICLES, *RECORD_TYPES, *_PEOPLE, "extrafields")


ATTACHMENTS: Final = "attachments"
DEFINITIONS: Final = "extrafields"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """`currency` is the one of vehicles and costs, for LubeLogger knows none; `preferred_currency` is it if somebody chose
    it, and then the one in which new vehicles of the users start."""

    currency: str
    preferred_currency: str | None = None
    zone: ZoneInfo | None = None
    date_format: str | None = None
    max_file_bytes: int = 2**31


class Planner:
    """Reads no database: only the source. What cannot be stored is an INVALID finding, and left out of the plan."""

    def __init__(self, source: Source, options: PlanOptions) -> None:
        self.findings = Findings()
        self._source = source
        self._settings = UserSettings(source, currency=options.preferred_currency)
        self._people = People(source, self.findings)
        self._owners = _first_users(source)
        self._uploads = Uploads(source.files, max_bytes=options.max_file_bytes)
        self._context = MappingContext(
            zone=options.zone,
            days=_day_reader(source, options),
            currency=options.currency,
            uploads=self._uploads,
            targets=LinkTargets(
                {
                    name: {source_id_of(d["_id"]) for d in source.of(name)}
                    for name in (VEHICLES, *RECORD_TYPES)
                }
            ),
        )

    def plan(self) -> Plan:
        plan = Plan(users=self._people.users)
        plan.preferences = self._people.preferences(self._settings)
        plan.api_keys = self._people.api_keys()
        plan.definitions = list(self._definitions())
        plan.vehicles = list(self._vehicles())
        known = {vehicle.source_id for vehicle in plan.vehicles}
        plan.shares = self._people.shares(known)
        for collection in RECORD_TYPES:
            plan.records[collection] = []
            for item, attachments in self._records(collection, known):
                plan.records[collection].append(item)
                if attachments:
                    plan.attachments.append(attachments)
        plan.files = self._uploads.used
        plan.source_counts = {name: len(self._source.of(name)) for name in _IMPORTED}
        plan.waiting = self._waiting()
        return plan

    def _vehicles(self) -> Iterator[Item[Vehicle]]:
        for document in self._source.of(VEHICLES):
            fields = Fields(VEHICLES, document, self.findings)
            if not isinstance(document["_id"], int) or document["_id"] < 1:
                fields.invalid("_id", "is not a whole number above 0")
                continue
            item = map_vehicle(
                fields, self._settings.units(self._owners.get(document["_id"])), self._context
            )
            if not fields.is_invalid:
                yield item

    def _records(
        self, collection: str, vehicles: set[str]
    ) -> Iterator[tuple[Item[ImportedRecord], Item[Attachments] | None]]:
        initial = self._converted_readings() if collection == "odometerrecords" else {}
        units = self._volume_units()
        for document in self._source.of(collection):
            fields = Fields(collection, document, self.findings)
            vehicle = str(fields.whole("VehicleId"))
            if vehicle not in vehicles:
                fields.note("VehicleId", f"there is no vehicle {vehicle}; left out", Level.WARNING)
                continue
            attachments = attachments_of(fields, self._uploads, self._context.targets)
            record: ImportedRecord
            if collection in KINDS:
                record = map_maintenance(fields, self._context)
            elif collection == "gasrecords":
                record = map_fuel(fields, units[vehicle], self._context)
            else:
                record = map_odometer(fields, initial.get(fields.source_id), self._context)
            if fields.is_invalid:
                continue
            whole = self._hashed(Attachments(collection, fields.source_id, attachments))
            name = f"{collection}:{fields.source_id}"
            yield (
                Item(collection, fields.source_id, record, vehicle, goes_with=whole),
                Item(ATTACHMENTS, name, whole, vehicle) if attachments else None,
            )

    def _hashed(self, attachments: Attachments) -> Attachments:
        hashes = {file.source_id: file.value.sha256 for file in self._uploads.used}
        locations = (a.location for a in attachments.attachments if a.location)
        return replace(attachments, files_sha256=tuple(hashes[location] for location in locations))

    def _volume_units(self) -> dict[str, VolumeUnit]:
        quiet = Findings()
        return {
            source_id_of(document["_id"]): energy_source(
                Fields(VEHICLES, document, quiet),
                self._settings.units(self._owners.get(_number(document["_id"]))),
            )[1]
            for document in self._source.of(VEHICLES)
        }

    def _converted_readings(self) -> dict[str, Decimal]:
        """Where no reading of a vehicle has a start, LubeLogger lets each start where the one before it ended, at the next
        look at them; the first has no distance."""
        quiet = Findings()
        by_vehicle: dict[int, list[Fields]] = defaultdict(list)
        for document in self._source.of("odometerrecords"):
            fields = Fields("odometerrecords", document, quiet)
            by_vehicle[fields.whole("VehicleId")].append(fields)
        initial: dict[str, Decimal] = {}
        for records in by_vehicle.values():
            if any(record.number("InitialMileage") for record in records):
                continue
            records.sort(key=lambda r: (r.day("Date", self._context.zone), r.number("Mileage")))
            previous = records[0].number("Mileage")
            for record in records:
                initial[record.source_id] = max(previous, Decimal(0))
                previous = record.number("Mileage")
        return initial

    def _definitions(self) -> Iterator[Item[FieldDefinition]]:
        for document in self._source.of("extrafields"):
            fields = Fields("extrafields", document, self.findings)
            collection = COLLECTION_OF_MODE.get(mode_of(source_id_of(document["_id"])))
            if collection is None:
                continue
            for part in fields.parts("ExtraFields"):
                name = one_line(part.text("Name"))
                if not name or len(name) > MAX_LINE:
                    part.note(
                        "Name", "is empty or too long for a definition; left out", Level.WARNING
                    )
                    continue
                definition = FieldDefinition(
                    record_type_of(collection),
                    name,
                    FIELD_TYPE[part.member("FieldType", FIELD_TYPES) or "Text"],
                    part.flag("IsRequired"),
                )
                yield Item(DEFINITIONS, f"{fields.source_id}:{name}", definition)

    def _waiting(self) -> dict[str, int]:
        """What has no home yet, by the name that people know it by."""
        waiting: Counter[str] = Counter()
        for collection, name in WAITING.items():
            waiting[name] += len(self._source.of(collection))
        for collection in self._source.documents:
            if collection not in {*_IMPORTED, *WAITING}:
                waiting[f"{collection} (unknown)"] += len(self._source.of(collection))
        waiting["extra field definitions"] = sum(
            len(list(Fields("extrafields", d, Findings()).parts("ExtraFields")))
            for d in self._source.of("extrafields")
            if mode_of(source_id_of(d["_id"])) not in COLLECTION_OF_MODE
        )
        waiting["equipment on odometer records"] = sum(
            1 for d in self._source.of("odometerrecords") if d.get("EquipmentRecordId")
        )
        waiting["files of these or of no record"] = len(self._uploads.unused())
        waiting["translations and widgets"] = len(self._source.files.others())
        return {name: count for name, count in waiting.items() if count}


def _day_reader(source: Source, options: PlanOptions) -> DayReader:
    config = source.server_config
    culture = config.get("LUBELOGGER_LOCALE_DT_OVERRIDE") or config.get(
        "LUBELOGGER_LOCALE_OVERRIDE"
    )
    return DayReader(
        _written_days(source),
        date_format=options.date_format,
        culture=culture if isinstance(culture, str) else None,
    )


def _written_days(source: Source) -> Iterator[str]:
    """Every day that the server stored as text of its culture."""
    for document in source.of(VEHICLES):
        yield from _texts(document, ("PurchaseDate", "SoldDate"))
    for document in source.of("planrecordtemplates"):
        yield from _texts(document, ("DateCreated", "DateModified"))
    for document in source.of("inspectionrecordtemplates"):
        yield from _texts(document, ("Date",))
    for collection in (VEHICLES, *RECORD_TYPES):
        for document in source.of(collection):
            for part in Fields(collection, document, Findings()).parts("ExtraFields"):
                if part.member("FieldType", FIELD_TYPES) == "Date":
                    yield part.text("Value")


def _texts(
    document: Mapping[str, Any], names: Iterable[str]
) -> Iterator[str]:  # Any: stored values
    return (value for name in names if isinstance(value := document.get(name), str))


def _first_users(source: Source) -> dict[int, int]:
    """The owner of each vehicle: LubeLogger gives whoever adds it the first access row."""
    owners: dict[int, int] = {}
    for document in source.of("useraccessrecords"):
        identity = document["_id"]
        if isinstance(identity, Mapping):
            user, vehicle = _number(identity.get("UserId")), _number(identity.get("VehicleId"))
            owners[vehicle] = min(user, owners.get(vehicle, user))
    return owners


def _number(value: Any) -> int:  # Any: a stored value
    return value if isinstance(value, int) else 0
