"""Vehicles as they become here."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from motovaultpro.core.units import DistanceUnit, VolumeUnit
from motovaultpro.features.vehicles.contracts import DashboardMetric, EnergyKind, ImportedVehicle
from motovaultpro.lubelogger.importer.context import MappingContext
from motovaultpro.lubelogger.importer.fields import Fields, decimal_in, member_of, one_line
from motovaultpro.lubelogger.importer.files import is_upload
from motovaultpro.lubelogger.importer.items import Item, Vehicle
from motovaultpro.lubelogger.importer.kinds import DASHBOARD_METRICS, VEHICLES
from motovaultpro.lubelogger.importer.record_fields import extra_fields_of, tags_of
from motovaultpro.lubelogger.importer.settings import TypedUnits

_METRICS: Final[Mapping[str, DashboardMetric]] = {
    "Default": DashboardMetric.LAST_ODOMETER,
    "TotalCost": DashboardMetric.TOTAL_COST,
    "CostPerMile": DashboardMetric.COST_PER_DISTANCE,
}
_YEARS: Final = range(1800, 2201)
_MAX_MULTIPLIER, _MAX_DIFFERENCE = Decimal(10) ** 6, Decimal(10) ** 9
_NO_IMAGE: Final = "/defaults/"


def map_vehicle(fields: Fields, units: TypedUnits, context: MappingContext) -> Item[Vehicle]:
    """Prices of 0 mean that there is none, as LubeLogger has no other way to say so."""
    multiplier, difference = _adjustment(fields)
    image = _picture(fields, "ImageLocation", context)
    drawing = _picture(fields, "MapLocation", context)
    extra_fields = extra_fields_of(fields, context.days)
    make, model = fields.line("Make"), fields.line("Model")
    if not make and not model:
        make = f"Vehicle {fields.source_id}"
        fields.note("Make", f"neither make nor model is given; it is called '{make}'")
    data = ImportedVehicle(
        id=int(fields.source_id),
        year=_year(fields),
        make=make,
        model=model,
        license_plate=fields.line("LicensePlate"),
        vin=_vin(extra_fields),
        identifier=_identifier(fields),
        currency=context.currency,
        distance_unit=DistanceUnit.H if fields.flag("UseHours") else units.distance,
        odometer_optional=fields.flag("OdometerOptional"),
        odometer_multiplier=multiplier,
        odometer_difference=difference,
        purchased_on=_day(fields, "PurchaseDate", context),
        purchase_price=fields.amount("PurchasePrice") or None,
        sold_on=_day(fields, "SoldDate", context),
        sold_price=fields.amount("SoldPrice") or None,
        dashboard_metrics=_metrics(fields),
        tags=tags_of(fields),
        extra_fields=extra_fields,
        energy_sources=[energy_source(fields, units)],
        notes=fields.notes_with_remarks(""),
    )
    hashes = tuple(sha256 for _, sha256 in filter(None, (image, drawing)))
    return Item(
        VEHICLES,
        fields.source_id,
        Vehicle(data, image and image[0], drawing and drawing[0], hashes),
    )


def energy_source(fields: Fields, units: TypedUnits) -> tuple[EnergyKind, VolumeUnit]:
    if fields.flag("IsElectric"):
        return EnergyKind.ELECTRIC, VolumeUnit.KWH
    kind = EnergyKind.DIESEL if fields.flag("IsDiesel") else EnergyKind.PETROL
    return kind, units.volume


def _adjustment(fields: Fields) -> tuple[Decimal, Decimal]:
    multiplier = decimal_in(fields.text("OdometerMultiplier") or "1")
    difference = decimal_in(fields.text("OdometerDifference") or "0")
    if multiplier == 1 and difference == 0:
        return Decimal(1), Decimal(0)
    written = (
        f"({fields.text('OdometerDifference') or 0}, x {fields.text('OdometerMultiplier') or 1})"
    )
    if not fields.flag("HasOdometerAdjustment"):
        fields.note("HasOdometerAdjustment", f"is off; the adjustment {written} is in the notes")
    elif (
        multiplier is None
        or difference is None
        or not 0 < multiplier < _MAX_MULTIPLIER
        or abs(difference) >= _MAX_DIFFERENCE
    ):
        fields.note(
            "OdometerMultiplier", f"the adjustment {written} is not possible; it is in the notes"
        )
    else:
        return multiplier, difference
    fields.remarks.append(f"Odometer adjustment: {written}")
    return Decimal(1), Decimal(0)


def _picture(fields: Fields, name: str, context: MappingContext) -> tuple[str, str] | None:
    """Location and SHA-256."""
    location = fields.text(name)
    if not location or location.startswith(_NO_IMAGE):
        return None
    if not is_upload(location):
        fields.note(name, f"'{location}' is no upload; it is in the notes")
        fields.remarks.append(f"{name}: {location}")
        return None
    upload = context.uploads.use(fields, name, location, "")
    return (location, upload.sha256) if upload else None


def _year(fields: Fields) -> int | None:
    year = fields.whole("Year")
    if year and year not in _YEARS:
        fields.note("Year", f"{year} is no year; it is in the notes")
        fields.remarks.append(f"Year: {year}")
    return year if year in _YEARS else None


def _day(fields: Fields, name: str, context: MappingContext) -> date | None:
    written = fields.text(name)
    if not written:
        return None
    day = context.days.read(written)
    if day is None:
        fields.note(
            name, f"the date '{written}' is ambiguous or none; it is in the notes (--date-format)"
        )
        fields.remarks.append(f"{name}: {written}")
    return day


def _vin(extra_fields: list[dict[str, str]]) -> str:
    """LubeLogger has no VIN of its own; people define an extra field of that name, which stays."""
    named = (item["value"] for item in extra_fields if item["name"].upper() == "VIN")
    vin = one_line(next(named, ""))
    return vin if len(vin) <= 200 else ""  # noqa: PLR2004 - the column's limit in the API


def _identifier(fields: Fields) -> str:
    identifier = fields.line("VehicleIdentifier")
    return "license_plate" if identifier.lower() in {"", "licenseplate"} else identifier


def _metrics(fields: Fields) -> list[DashboardMetric]:
    stored = fields.raw("DashboardMetrics")
    names = (
        [member_of(value, DASHBOARD_METRICS) for value in stored]
        if isinstance(stored, list)
        else []
    )
    metrics = [_METRICS[name] for name in names if name]
    return list(dict.fromkeys(metrics)) or [DashboardMetric.LAST_ODOMETER]
