"""LubeLogger's collections and enums, and where each has its home here."""

from collections.abc import Mapping
from typing import Final

from motovaultpro.features.extra_fields.contracts import FieldType, RecordType
from motovaultpro.lubelogger.importer.fields import member_of

IMPORT_MODES: Final = (
    "ServiceRecord", "RepairRecord", "GasRecord", "TaxRecord", "UpgradeRecord", "ReminderRecord", "NoteRecord",
    "SupplyRecord", "Dashboard", "PlanRecord", "OdometerRecord", "VehicleRecord", "InspectionRecord",
    "EquipmentRecord",
)  # fmt: skip
PERMISSIONS: Final = ("View", "Edit", "Delete")
DASHBOARD_METRICS: Final = ("Default", "TotalCost", "CostPerMile")
FIELD_TYPES: Final = ("Text", "Number", "Decimal", "Date", "Time", "Location")

VEHICLES: Final = "vehicles"
RECORD_TYPES: Final[Mapping[str, RecordType]] = {
    "servicerecords": RecordType.SERVICE,
    "collisionrecords": RecordType.REPAIR,
    "upgraderecords": RecordType.UPGRADE,
    "gasrecords": RecordType.FUEL,
    "odometerrecords": RecordType.ODOMETER,
}
COLLECTION_OF_MODE: Final[Mapping[str, str]] = {
    "ServiceRecord": "servicerecords",
    "RepairRecord": "collisionrecords",
    "UpgradeRecord": "upgraderecords",
    "GasRecord": "gasrecords",
    "OdometerRecord": "odometerrecords",
    "VehicleRecord": VEHICLES,
}
FIELD_TYPE: Final[Mapping[str, FieldType]] = {name: FieldType(name.lower()) for name in FIELD_TYPES}
WAITING: Final[Mapping[str, str]] = {
    "supplyrecords": "supplies",
    "taxrecords": "taxes",
    "reminderrecords": "reminders",
    "planrecords": "plans",
    "planrecordtemplates": "plan templates",
    "notes": "notes",
    "inspectionrecords": "inspections",
    "inspectionrecordtemplates": "inspection templates",
    "equipmentrecords": "equipment",
    "tokenrecords": "registration tokens",
}


def record_type_of(collection: str) -> RecordType:
    return RecordType.VEHICLE if collection == VEHICLES else RECORD_TYPES[collection]


def mode_of(value: str | int) -> str:
    """The ImportMode with this name or number; "" if there is none."""
    return member_of(value, IMPORT_MODES)
