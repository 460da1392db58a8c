"""What becomes of documents, without a database."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from motovaultpro.core.security.actor import Permission, Role, Scope
from motovaultpro.core.units import DistanceUnit, VolumeUnit
from motovaultpro.features.fuel.contracts import ImportedFuelRecord
from motovaultpro.features.maintenance.contracts import ImportedMaintenanceRecord
from motovaultpro.features.odometer.contracts import ImportedOdometerRecord
from motovaultpro.features.users.contracts import EconomyStyle
from motovaultpro.features.vehicles.contracts import DashboardMetric, EnergyKind
from motovaultpro.lubelogger.importer import Finding, Level, Planner, PlanOptions, open_source
from motovaultpro.lubelogger.importer.items import Attachment, Plan
from motovaultpro.lubelogger.litedb import DateTimeLimit
from tests.factories.lubelogger import (
    JPEG,
    PDF,
    Document,
    access,
    attached,
    gas,
    midnight,
    odometer,
    service,
    sha256,
    user,
    vehicle,
    write_backup,
)

Collections = Mapping[str, Sequence[Document]]


class Planned:
    def __init__(self, plan: Plan, findings: list[Finding]) -> None:
        self.plan = plan
        self.findings = findings

    @property
    def said(self) -> list[str]:
        return [f"{f.collection} {f.source_id} {f.field}" for f in self.findings]

    def fuel(self, index: int = 0) -> ImportedFuelRecord:
        record = self.plan.records["gasrecords"][index].value
        assert isinstance(record, ImportedFuelRecord)
        return record

    def service(self, index: int = 0) -> ImportedMaintenanceRecord:
        record = self.plan.records["servicerecords"][index].value
        assert isinstance(record, ImportedMaintenanceRecord)
        return record

    def readings(self) -> list[tuple[Decimal, Decimal]]:
        records = [item.value for item in self.plan.records["odometerrecords"]]
        return [
            (r.initial_odometer, r.odometer)
            for r in records
            if isinstance(r, ImportedOdometerRecord)
        ]


@pytest.fixture
def planned(tmp_path: Path) -> Any:  # Any: a function with keywords
    def plan(
        collections: Collections,
        files: Mapping[str, bytes] | None = None,
        *,
        root_config: Document | None = None,
        server_config: Document | None = None,
        **options: Any,
    ) -> Planned:
        path = write_backup(
            tmp_path / "backup.zip",
            {"vehicles": [vehicle()], **collections},
            files,
            root_config=root_config,
            server_config=server_config,
        )
        planner = Planner(open_source(str(path)), PlanOptions(currency="EUR", **options))
        return Planned(planner.plan(), list(planner.findings))

    return plan


def test_a_vehicle_with_everything(planned: Any) -> None:
    full = vehicle(
        PurchaseDate="2019-03-05",
        SoldDate="31/12/2023",
        PurchasePrice=Decimal("12500.50"),
        SoldPrice=Decimal(4000),
        IsDiesel=True,
        OdometerOptional=True,
        HasOdometerAdjustment=True,
        OdometerMultiplier="1,5",
        OdometerDifference="-100",
        DashboardMetrics=["TotalCost", "CostPerMile", "TotalCost", "Unknown"],
        VehicleIdentifier="VIN",
        Tags=["old", " old ", "red\ncar"],
        ExtraFields=[{"Name": "VIN", "Value": "XTA21214", "FieldType": "Text"}],
        ImageLocation="/images/car.jpg",
        MapLocation="/images/map.jpg",
    )
    result = planned({"vehicles": [full]}, {"/images/car.jpg": JPEG, "/images/map.jpg": JPEG})
    (item,) = result.plan.vehicles
    data = item.value.data

    assert result.findings == []
    assert (data.id, data.year, data.make, data.vin) == (1, 2014, "Lada", "XTA21214")
    assert (data.purchased_on, data.sold_on) == (date(2019, 3, 5), date(2023, 12, 31))
    assert (data.purchase_price, data.sold_price) == (Decimal("12500.50"), Decimal(4000))
    assert (data.odometer_multiplier, data.odometer_difference) == (Decimal("1.5"), Decimal(-100))
    assert data.odometer_optional
    assert data.identifier == "VIN"
    assert data.tags == ["old", "red car"]
    assert data.dashboard_metrics == [DashboardMetric.TOTAL_COST, DashboardMetric.COST_PER_DISTANCE]
    assert data.energy_sources == [(EnergyKind.DIESEL, VolumeUnit.US_GAL)]
    assert (item.value.image, item.value.map) == ("/images/car.jpg", "/images/map.jpg")


def test_a_vehicle_of_2023_with_few_fields(planned: Any) -> None:
    result = planned({"vehicles": [{"_id": 3, "Year": 0, "Make": None, "Model": ""}]})
    data = result.plan.vehicles[0].value.data

    assert (data.year, data.make, data.model) == (None, "Vehicle 3", "")
    assert (data.purchase_price, data.sold_on) == (None, None)
    assert result.said == ["vehicles 3 Make"]


def test_what_a_vehicle_cannot_say_is_in_its_notes(planned: Any) -> None:
    odd = vehicle(
        Year=20144,
        PurchaseDate="05/01/2019",
        OdometerMultiplier="1.609",
        ImageLocation="https://example.org/car.jpg",
        Make="A" * 300,
    )
    data = (result := planned({"vehicles": [odd]})).plan.vehicles[0].value.data

    assert data.year is None
    assert data.purchased_on is None
    assert len(data.make) == 200
    for text in (
        "Year: 20144",
        "PurchaseDate: 05/01/2019",
        "x 1.609",
        "https://example.org/car.jpg",
        "A" * 300,
    ):
        assert text in data.notes
    assert {f.level for f in result.findings} == {Level.NOTE}


def test_an_impossible_adjustment_is_none(planned: Any) -> None:
    odd = vehicle(HasOdometerAdjustment=True, OdometerMultiplier="zero")
    data = planned({"vehicles": [odd]}).plan.vehicles[0].value.data

    assert (data.odometer_multiplier, data.odometer_difference) == (1, 0)
    assert "zero" in data.notes


def test_the_date_format_of_the_server_is_believed(planned: Any) -> None:
    collections = {"vehicles": [vehicle(PurchaseDate="05/01/2019")]}
    american = planned(collections, server_config={"LUBELOGGER_LOCALE_OVERRIDE": "en_US"})
    british = planned(collections, date_format="dd/MM/yyyy")

    assert american.plan.vehicles[0].value.data.purchased_on == date(2019, 5, 1)
    assert british.plan.vehicles[0].value.data.purchased_on == date(2019, 1, 5)


@pytest.mark.parametrize(
    ("config", "distance", "volume", "style"),
    [
        ({}, DistanceUnit.MI, VolumeUnit.US_GAL, EconomyStyle.MPG),
        ({"UseMPG": False}, DistanceUnit.KM, VolumeUnit.L, EconomyStyle.L_PER_100KM),
        ({"UseMPG": True, "UseUKMPG": True}, DistanceUnit.MI, VolumeUnit.L, EconomyStyle.MPG_UK),
        ({"UseMPG": False, "UseUKMPG": True}, DistanceUnit.MI, VolumeUnit.L, EconomyStyle.L_PER_100KM),
    ],
)  # fmt: skip
def test_units_are_those_the_owner_typed(
    planned: Any, config: Document, distance: DistanceUnit, volume: VolumeUnit, style: EconomyStyle
) -> None:
    result = planned(
        {
            "gasrecords": [gas(1)],
            "userrecords": [user(4, "late"), user(5, "anna")],
            "useraccessrecords": [access(5), access(7)],
            "userconfigrecords": [{"_id": 5, "UserConfig": config}],
        },
        root_config={"UseMPG": False},
    )
    data = result.plan.vehicles[0].value.data
    preferences = next(p.value.preferences for p in result.plan.preferences if p.source_id == "5")

    assert data.distance_unit is distance
    assert data.energy_sources == [(EnergyKind.PETROL, volume)]
    assert result.fuel().volume_unit is volume
    assert (preferences.distance_unit, preferences.volume_unit) == (distance, volume)
    assert preferences.economy_style is style
    assert preferences.lubelogger == config


def test_who_has_no_settings_has_the_root_users(planned: Any) -> None:
    result = planned({"useraccessrecords": [access(5)]}, root_config={"UseMPG": False})

    assert result.plan.vehicles[0].value.data.distance_unit is DistanceUnit.KM


def test_electric_vehicles_and_machines_with_an_hour_meter(planned: Any) -> None:
    charged = gas(1, StartingSoc=20, EndingSoc=180)
    result = planned(
        {"vehicles": [vehicle(IsElectric=True, UseHours=True)], "gasrecords": [charged]}
    )
    data = result.plan.vehicles[0].value.data

    assert data.distance_unit is DistanceUnit.H
    assert data.energy_sources == [(EnergyKind.ELECTRIC, VolumeUnit.KWH)]
    assert result.fuel().volume_unit is VolumeUnit.KWH
    assert (result.fuel().soc_start, result.fuel().soc_end) == (20, None)
    assert result.said == ["gasrecords 1 EndingSoc"]


def test_a_charge_of_a_petrol_car_is_no_charge(planned: Any) -> None:
    assert planned({"gasrecords": [gas(1, StartingSoc=20, EndingSoc=80)]}).fuel().soc_end is None


def test_fuel_keeps_what_was_typed(planned: Any) -> None:
    result = planned(
        {
            "gasrecords": [
                gas(1, Notes="line\r\nline", Tags=["trip"]),
                gas(2, Gallons=Decimal(0), IsFillToFull=False, MissedFuelUp=True, Mileage=0),
                {"_id": 3, "VehicleId": 1, "Date": midnight("2024-01-01"), "Cost": 3.5},
            ]
        }
    )

    first, second, third = (result.fuel(i) for i in range(3))
    assert (first.volume, first.cost, first.currency) == (Decimal("40.5"), Decimal("71.25"), "EUR")
    assert (first.notes, first.tags, first.is_full) == ("line\r\nline", ["trip"], True)
    assert (second.is_full, second.is_missed, second.odometer, second.volume) == (False, True, 0, 0)
    assert (third.cost, third.odometer, third.is_full) == (Decimal("3.5"), 0, True)
    assert result.said == ["gasrecords 2 Gallons", "gasrecords 3 Gallons"]


def test_every_record_lands_on_the_day_it_was_typed(planned: Any) -> None:
    records = [
        service(1, Date=midnight("2024-05-01", hours_east=2)),
        service(2, Date=midnight("2024-05-01", hours_east=-6)),
        service(3, Date=midnight("2024-05-01", hours_east=13)),
    ]
    days = [planned({"servicerecords": records}).service(i).performed_on.day for i in range(2)]
    in_zone = planned({"servicerecords": records}, zone=ZoneInfo("Pacific/Tongatapu"))

    assert days == [1, 1]
    assert in_zone.service(2).performed_on == date(2024, 5, 1)


def test_a_record_without_description_has_a_name(planned: Any) -> None:
    result = planned({"servicerecords": [service(1, Description=None, Mileage=0)]})

    assert (result.service().description, result.service().odometer) == ("Service record", None)
    assert result.said == ["servicerecords 1 Description"]


def test_a_long_description_is_whole_in_the_notes(planned: Any) -> None:
    text = "first line\nsecond " + "x" * 300
    record = planned({"servicerecords": [service(1, Description=text, Notes="mine")]}).service()

    assert len(record.description) == 200
    assert record.description.startswith("first line second")
    assert record.notes.startswith("mine\nDescription: first line\nsecond")


def test_supplies_used_are_in_the_notes(planned: Any) -> None:
    used = {
        "_id": 0,
        "PartNumber": "P7",
        "Description": "Oil",
        "Quantity": Decimal("1.5"),
        "Cost": Decimal(9),
    }
    record = planned({"servicerecords": [service(1, RequisitionHistory=[used])]}).service()

    assert record.notes == "Supply used: 1.5 x Oil (P7), 9"


def test_extra_fields_and_tags_that_do_not_fit_are_in_the_notes(planned: Any) -> None:
    fields = [
        {"Name": "Shop", "Value": "Bob", "FieldType": "Text"},
        {"Name": "Shop", "Value": "Rob", "FieldType": "Text"},
        {"Name": "Empty", "Value": None, "FieldType": "Text"},
        {"Name": None, "Value": "nameless", "FieldType": "Text"},
        {"Name": "Due", "Value": "31.12.2024", "FieldType": "Date"},
        {"Name": "Long", "Value": "y" * 10_001, "FieldType": "Text"},
    ]
    record = planned(
        {"servicerecords": [service(1, ExtraFields=fields, Tags=["z" * 51])]}
    ).service()

    assert record.extra_fields == [
        {"name": "Shop", "value": "Bob"},
        {"name": "Empty", "value": ""},
        {"name": "Due", "value": "2024-12-31"},
    ]
    for text in ("Shop: Rob", "nameless", "Long: yyy", "Tag: zzz"):
        assert text in record.notes


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Date", DateTimeLimit.MIN),
        ("Date", None),
        ("Date", midnight("1234-01-01")),
        ("Cost", Decimal(-1)),
        ("Cost", Decimal(10**10)),
        ("Cost", float("nan")),
        ("Cost", "much"),
        ("Mileage", -5),
        ("Notes", "n" * 100_001),
    ],
)
def test_what_cannot_be_stored_is_named_and_left_out(planned: Any, field: str, value: Any) -> None:
    result = planned({"servicerecords": [service(1), service(2, **{field: value})]})

    assert [f"{f.source_id} {f.field}" for f in result.findings if f.level is Level.INVALID] == [
        f"2 {field}"
    ]
    assert [item.source_id for item in result.plan.records["servicerecords"]] == ["1"]


def test_control_characters_are_removed(planned: Any) -> None:
    result = planned({"servicerecords": [service(1, Description="a\x01b", Notes="c\x00d")]})

    assert (result.service().description, result.service().notes) == ("ab", "cd")


def test_records_of_no_vehicle_are_left_out(planned: Any) -> None:
    result = planned({"gasrecords": [gas(1, VehicleId=9)]})

    assert result.plan.records["gasrecords"] == []
    assert result.said == ["gasrecords 1 VehicleId"]


def test_readings_without_any_start_follow_each_other(planned: Any) -> None:
    records = [
        odometer(1, "2024-03-01", InitialMileage=0, Mileage=3000),
        odometer(2, "2024-01-01", InitialMileage=0, Mileage=1000),
        odometer(3, "2024-02-01", InitialMileage=0, Mileage=1500),
    ]

    assert planned({"odometerrecords": records}).readings() == [
        (1500, 3000),
        (1000, 1000),
        (1000, 1500),
    ]


def test_readings_with_a_start_stay(planned: Any) -> None:
    records = [odometer(1, InitialMileage=0), odometer(2, InitialMileage=1200)]

    assert planned({"odometerrecords": records}).readings() == [(0, 1000), (1200, 2000)]


def test_attachments_are_files_addresses_and_records(planned: Any) -> None:
    files = [
        attached("/documents/bill.pdf", "Bill"),
        attached("https://example.org/a b".replace(" ", "%20"), "Shop"),
        attached("::GasRecord:1", "Fill-up"),
        attached("::2:1", "By number"),
    ]
    result = planned(
        {"servicerecords": [service(1, Files=files)], "gasrecords": [gas(1)]},
        {"/documents/bill.pdf": PDF},
    )
    (item,) = result.plan.attachments

    assert item.value.attachments == [
        Attachment("Bill", location="/documents/bill.pdf"),
        Attachment("Shop", url="https://example.org/a%20b"),
        Attachment("Fill-up", target=("gasrecords", "1")),
        Attachment("By number", target=("gasrecords", "1")),
    ]
    assert [file.value.name for file in result.plan.files] == ["Bill"]
    assert result.findings == []


def test_what_cannot_be_attached_is_in_the_notes(planned: Any) -> None:
    files = [
        attached("::TaxRecord:3", "Tax"),
        attached("::ServiceRecord:99", "Gone"),
        attached("/documents/missing.pdf", "Missing"),
        attached("/documents/empty.pdf", "Empty"),
        attached("ftp://example.org", "Old"),
        attached("", "Nothing"),
    ]
    result = planned(
        {"servicerecords": [service(1, Files=files, Notes="mine")], "taxrecords": [{"_id": 3}]},
        {"/documents/empty.pdf": b""},
    )

    assert result.plan.attachments == []
    assert result.service().notes.splitlines() == [
        "mine",
        "Attachment Tax: ::TaxRecord:3",
        "Attachment Gone: ::ServiceRecord:99",
        "Attachment Missing: /documents/missing.pdf",
        "Attachment Empty: /documents/empty.pdf",
        "Attachment Old: ftp://example.org",
    ]
    assert result.findings[0].field == "Files[0].Location"
    assert len(result.findings) == 5


def test_a_program_is_refused_but_not_its_record(planned: Any) -> None:
    result = planned(
        {"servicerecords": [service(1, Files=[attached("/documents/x.pdf")])]},
        {"/documents/x.pdf": b"\x7fELF" + bytes(60)},
    )

    assert [f.level for f in result.findings] == [Level.INVALID]
    assert "/documents/x.pdf" in result.service().notes


def test_a_file_above_the_limit_is_refused(planned: Any) -> None:
    result = planned(
        {"vehicles": [vehicle(ImageLocation="/images/a.jpg")]},
        {"/images/a.jpg": JPEG},
        max_file_bytes=10,
    )

    assert "larger than 10 bytes" in result.findings[0].message


def test_users_keep_their_passwords(planned: Any) -> None:
    people = [
        user(1, "anna", IsAdmin=True),
        user(2, "bo:b", EmailAddress="nowhere"),
        user(3, "x", UserName=None, Password=None),
        user(4, "old", Password="plain"),
    ]
    result = planned(
        {"userrecords": people},
        root_config={
            "UserNameHash": sha256("root"),
            "UserPasswordHash": sha256("secret"),
            "UseMPG": True,
        },
    )
    root, anna, bob, nameless, old = (item.value for item in result.plan.users)

    assert (root.name, root.name_sha256, root.role) == (
        None,
        bytes.fromhex(sha256("root")),
        Role.OWNER,
    )
    assert root.password == sha256("secret")
    assert (anna.name, anna.email, anna.role) == ("anna", "anna@example.org", Role.ADMIN)
    assert anna.password == sha256("password of anna")
    assert (bob.name, bob.email, bob.role) == ("bo-b", None, Role.MEMBER)
    assert (nameless.name, nameless.password) == ("user 3", "")
    assert old.password == ""
    assert "secret" not in repr(result.plan)
    settings = next(p.value.preferences for p in result.plan.preferences if p.source_id == "-1")
    assert settings.lubelogger == {"UseMPG": True}


def test_a_broken_root_user_cannot_be_stored(planned: Any) -> None:
    result = planned({}, root_config={"UserNameHash": "root", "UserPasswordHash": "x"})

    assert [f.level for f in result.findings] == [Level.INVALID]


def test_without_sign_in_there_is_no_root_user(planned: Any) -> None:
    assert planned({}, root_config={"UserNameHash": None, "UserPasswordHash": ""}).plan.users == []


def test_api_keys_keep_their_rights(planned: Any) -> None:
    keys = [
        {
            "_id": 1,
            "UserId": -1,
            "Name": "Home",
            "Key": sha256("k1").upper(),
            "Permissions": ["View", "Edit"],
        },
        {"_id": 2, "UserId": 1, "Name": None, "Key": sha256("k2"), "Permissions": [0, 2]},
        {"_id": 3, "UserId": 1, "Name": "None", "Key": sha256("k3"), "Permissions": []},
        {"_id": 4, "UserId": 9, "Name": "Orphan", "Key": sha256("k4"), "Permissions": [0]},
        {"_id": 5, "UserId": 1, "Name": "Bad", "Key": "k5", "Permissions": [0]},
    ]
    result = planned(
        {"userrecords": [user(1, "anna")], "apikeyrecords": keys},
        root_config={"UserNameHash": sha256("r"), "UserPasswordHash": sha256("s")},
    )

    assert [
        (k.value.user, k.value.name, k.value.key_sha256, k.value.scopes)
        for k in result.plan.api_keys
    ] == [
        ("-1", "Home", sha256("k1"), {Scope.VIEW, Scope.EDIT}),
        ("1", "LubeLogger key 2", sha256("k2"), {Scope.VIEW, Scope.DELETE}),
        ("1", "None", sha256("k3"), {Scope.VIEW}),
    ]
    assert result.said == ["apikeyrecords 4 UserId", "apikeyrecords 5 Key"]


def test_shares_are_the_strongest_right_of_each_user(planned: Any) -> None:
    def household(parent: int, child: int, *permissions: str) -> Document:
        return {
            "_id": {"ParentUserId": parent, "ChildUserId": child},
            "Permissions": list(permissions),
        }

    result = planned(
        {
            "vehicles": [vehicle(1), vehicle(2)],
            "userrecords": [user(n, f"u{n}") for n in (1, 2, 3, 4)],
            "useraccessrecords": [
                access(1, 1),
                access(1, 2),
                access(2, 1),
                access(2, 9),
                access(8, 1),
            ],
            "userhouseholdrecords": [
                household(1, 2, "View", "Edit"),
                household(1, 3, "Edit", "Delete"),
                household(1, 4, "Delete"),
                household(1, 9, "Edit"),
                household(2, 3, "View"),
            ],
        }
    )

    assert {item.source_id: item.value.permission for item in result.plan.shares} == {
        "1:1": Permission.MANAGE,
        "1:2": Permission.MANAGE,
        "2:1": Permission.MANAGE,
        "2:2": Permission.EDIT,
        "3:1": Permission.DELETE,
        "3:2": Permission.DELETE,
        "4:1": Permission.VIEW,
        "4:2": Permission.VIEW,
    }
    assert len(result.findings) == 4


def test_extra_field_definitions(planned: Any) -> None:
    def defined(mode: int, *names: str | None) -> Document:
        fields = [{"Name": name, "IsRequired": True, "FieldType": "Date"} for name in names]
        return {"_id": mode, "ExtraFields": fields}

    result = planned(
        {"extrafields": [defined(0, "Shop"), defined(3, "Office", "Fee"), defined(11, "VIN", None)]}
    )

    assert [
        (item.value.record_type, item.value.name, item.value.field_type, item.value.is_required)
        for item in result.plan.definitions
    ] == [("service", "Shop", "date", True), ("vehicle", "VIN", "date", True)]
    assert result.plan.waiting["extra field definitions"] == 2


def test_what_has_no_home_is_counted(planned: Any) -> None:
    result = planned(
        {
            "notes": [{"_id": 1}],
            "equipmentrecords": [{"_id": 1}],
            "somethingnew": [{"_id": 1}, {"_id": 2}],
            "odometerrecords": [odometer(1, EquipmentRecordId=[1])],
        },
        {"/documents/tax.pdf": PDF, "/translations/xx_XX.json": b"{}"},
    )

    assert result.plan.waiting == {
        "notes": 1,
        "equipment": 1,
        "somethingnew (unknown)": 2,
        "equipment on odometer records": 1,
        "files of these or of no record": 1,
        "translations and widgets": 1,
    }


def test_a_vehicle_without_a_number_cannot_be_stored(planned: Any) -> None:
    result = planned({"vehicles": [vehicle(1) | {"_id": "one"}]})

    assert result.said == ["vehicles one _id"]


def test_fingerprints_change_with_the_result_only(planned: Any) -> None:
    def fingerprint(*, day: str = "2024-05-01", **fields: Any) -> bytes:
        files = {"/documents/bill.pdf": fields.pop("content", PDF)}
        record = service(1, day, Files=[attached("/documents/bill.pdf")], **fields)
        plan = planned({"servicerecords": [record]}, files).plan
        value: bytes = plan.records["servicerecords"][0].fingerprint
        return value

    first = fingerprint()
    assert fingerprint(Cost=Decimal("19.9")) == first  # as PostgreSQL's store writes 19.90
    assert fingerprint(Unknown=1, RequisitionHistory=[]) == first
    assert fingerprint(Date=midnight("2024-05-01", hours_east=2)) == first
    assert fingerprint(Notes="new") != first
    assert fingerprint(day="2024-05-02") != first
    assert fingerprint(content=PDF + b"new") != first
