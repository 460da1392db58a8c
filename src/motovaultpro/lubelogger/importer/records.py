"""Service, repair, upgrade, fuel and odometer records as they become here."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from motovaultpro.core.units import VolumeUnit
from motovaultpro.features.fuel.contracts import ImportedFuelRecord
from motovaultpro.features.maintenance.contracts import ImportedMaintenanceRecord, MaintenanceKind
from motovaultpro.features.odometer.contracts import ImportedOdometerRecord
from motovaultpro.lubelogger.importer.context import MappingContext
from motovaultpro.lubelogger.importer.fields import Fields
from motovaultpro.lubelogger.importer.record_fields import extra_fields_of, supplies_used, tags_of

KINDS: Final[Mapping[str, MaintenanceKind]] = {
    "servicerecords": MaintenanceKind.SERVICE,
    "collisionrecords": MaintenanceKind.REPAIR,
    "upgraderecords": MaintenanceKind.UPGRADE,
}
_FULL_CHARGE: Final = 100


def map_maintenance(fields: Fields, context: MappingContext) -> ImportedMaintenanceRecord:
    """An odometer of 0 means that it was not read."""
    kind = KINDS[fields.collection]
    description = fields.line("Description")
    if not description:
        description = f"{kind.capitalize()} record"
        fields.note("Description", f"is empty; the record is called '{description}'")
    remark_supplies(fields)
    return ImportedMaintenanceRecord(
        kind=kind,
        performed_on=fields.day("Date", context.zone),
        odometer=fields.amount("Mileage") or None,
        description=description,
        cost=fields.amount("Cost"),
        currency=context.currency,
        tags=tags_of(fields),
        extra_fields=extra_fields_of(fields, context.days),
        notes=fields.notes_with_remarks(fields.text("Notes")),
    )


def map_fuel(fields: Fields, unit: VolumeUnit, context: MappingContext) -> ImportedFuelRecord:
    """The energy source gets its number when the vehicle has its own."""
    volume = fields.quantity("Gallons")
    if not volume:
        fields.note("Gallons", "is 0; the record counts for costs, not for economy")
    electric = unit is VolumeUnit.KWH
    remark_supplies(fields)
    return ImportedFuelRecord(
        energy_source_id=0,
        filled_on=fields.day("Date", context.zone),
        odometer=fields.amount("Mileage"),
        volume=volume,
        volume_unit=unit,
        cost=fields.amount("Cost"),
        currency=context.currency,
        is_full=fields.flag("IsFillToFull", default=True),
        is_missed=fields.flag("MissedFuelUp"),
        soc_start=_charge(fields, "StartingSoc") if electric else None,
        soc_end=_charge(fields, "EndingSoc") if electric else None,
        tags=tags_of(fields),
        extra_fields=extra_fields_of(fields, context.days),
        notes=fields.notes_with_remarks(fields.text("Notes")),
    )


def map_odometer(
    fields: Fields, initial: Decimal | None, context: MappingContext
) -> ImportedOdometerRecord:
    """`initial` replaces the stored one where LubeLogger itself would convert it."""
    return ImportedOdometerRecord(
        recorded_on=fields.day("Date", context.zone),
        initial_odometer=fields.amount("InitialMileage") if initial is None else initial,
        odometer=fields.amount("Mileage"),
        tags=tags_of(fields),
        extra_fields=extra_fields_of(fields, context.days),
        notes=fields.notes_with_remarks(fields.text("Notes")),
    )


def remark_supplies(fields: Fields) -> None:
    """Supplies have no home yet; what a record used of them is part of its cost already."""
    for supply in supplies_used(fields):
        number = supply["part_number"]
        part = f" ({number})" if number and number != supply["description"] else ""
        fields.remarks.append(
            f"Supply used: {supply['quantity']} x {supply['description']}{part}, {supply['cost']}"
        )


def _charge(fields: Fields, name: str) -> int | None:
    if fields.raw(name) is None:
        return None
    charge = fields.whole(name)
    if not 0 <= charge <= _FULL_CHARGE:
        fields.note(name, f"{charge} % is not possible; left out")
        return None
    return charge
