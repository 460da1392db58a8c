"""Imports into a real garage: what arrives, and what a second import does."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typing_extensions import override

from motovaultpro.core.database import Database
from motovaultpro.core.errors import UnavailableError
from motovaultpro.core.settings import Settings
from motovaultpro.core.storage import DatabaseSpool, Storage, StoredObject
from motovaultpro.lubelogger.importer import ImportRefusedError, Report, StepReport, Target, runs
from tests.factories.garages import Garage
from tests.factories.lubelogger import (
    JPEG,
    PDF,
    Document,
    access,
    attached,
    gas,
    odometer,
    service,
    sha256,
    user,
    vehicle,
    write_backup,
)
from tests.lubelogger.importer.conftest import Import

Collections = dict[str, Sequence[Document]]
Backup = Callable[..., Path]


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    def write(collections: Mapping[str, Sequence[Document]], *args: Any, **options: Any) -> Path:
        return write_backup(tmp_path / "backup.zip", collections, *args, **options)

    return write


def everything() -> Collections:
    links = [attached("/documents/bill.pdf"), attached("::GasRecord:2", "The fill-up")]
    return {
        "vehicles": [vehicle(ImageLocation="/images/car.jpg")],
        "gasrecords": [gas(1, "2024-05-01"), gas(2, "2024-05-09"), gas(3, "2024-05-20")],
        "servicerecords": [service(1, Files=links), service(2, Tags=["oil"])],
        "collisionrecords": [service(1)],
        "upgraderecords": [service(1, Files=[attached("/documents/bill.pdf", "Same bill")])],
        "odometerrecords": [odometer(1), odometer(2, Files=[attached("::ServiceRecord:1", "Why")])],
        "extrafields": [
            {"_id": 0, "ExtraFields": [{"Name": "Shop", "FieldType": "Text", "IsRequired": False}]}
        ],
    }


FILES = {"/images/car.jpg": JPEG, "/documents/bill.pdf": PDF}


def step(report: Report, name: str) -> StepReport:
    return next(step for step in report.steps if step.name == name)


async def rows(garage: Garage, query: str) -> list[Any]:
    async with garage.database.session(garage.tenant_id) as session:
        return list((await session.execute(text(query))).scalars())


async def change(garage: Garage, statement: str) -> None:
    async with garage.database.session(garage.tenant_id) as session:
        await session.execute(text(statement))


async def test_brings_everything_and_then_nothing(
    run_import: Import, garage: Garage, backup: Backup, target: Target
) -> None:
    path = backup(everything(), FILES)
    survey = await run_import(path, dry_run=True)
    assert (survey.dry_run, survey.run, step(survey, "gasrecords").new) == (True, None, 3)
    assert await garage.count("vehicles") == await garage.count("import_runs") == 0

    report = await run_import(path)
    assert (report.mismatches, report.differences, report.findings) == ([], [], [])
    assert len(report.files) == 2
    (vehicle_id,) = await rows(garage, "SELECT id FROM vehicles")
    page = (await garage.client.get(f"/api/v1/vehicles/{vehicle_id}/fuel-records")).json()
    assert [item["odometer"] for item in page["items"]] == [3000, 2000, 1000]
    # 1000 miles on 40.5 gallons, twice.
    assert page["items"][0]["economy"] == pytest.approx(1000 / 40.5)

    before = await rows(
        garage, "SELECT xmin::text FROM fuel_records UNION SELECT xmin::text FROM attachments"
    )
    again = await run_import(path)
    assert (again.run, again.has_work, again.mismatches) == (None, False, [])
    assert step(again, "servicerecords").unchanged == 2
    assert (
        await rows(
            garage, "SELECT xmin::text FROM fuel_records UNION SELECT xmin::text FROM attachments"
        )
        == before
    )
    assert len(await runs(target)) == 1


async def test_links_lead_to_the_new_ids(
    run_import: Import, garage: Garage, backup: Backup
) -> None:
    await run_import(backup(everything(), FILES))

    services = await rows(
        garage, "SELECT id FROM maintenance_records WHERE kind = 'service' ORDER BY odometer"
    )
    fills = await rows(garage, "SELECT id FROM fuel_records ORDER BY odometer")
    found = await rows(
        garage,
        "SELECT row(record_type, record_id, name, document_id IS NOT NULL, target_type, target_id)::text"
        " FROM attachments ORDER BY record_type, record_id, position",
    )
    assert (
        len(
            {
                *await rows(
                    garage, "SELECT document_id FROM attachments WHERE document_id IS NOT NULL"
                )
            }
        )
        == 1
    )
    assert [line for line in found if line.startswith("(service")] == [
        f"(service,{services[0]},bill.pdf,t,,)",
        f'(service,{services[0]},"The fill-up",f,fuel,{fills[1]})',
    ]
    assert next(line for line in found if line.startswith("(odometer")).endswith(
        f",Why,f,service,{services[0]})"
    )


async def test_files_arrive_byte_for_byte(
    run_import: Import, garage: Garage, backup: Backup
) -> None:
    report = await run_import(backup(everything(), FILES))

    assert {f.location: f.sha256_source == f.sha256_target for f in report.files} == {
        "/images/car.jpg": True,
        "/documents/bill.pdf": True,
    }
    (image,) = await rows(garage, "SELECT image_document_id FROM vehicles")
    answer = await garage.client.get(f"/api/v1/documents/{image}/content")
    assert answer.content == JPEG


async def test_a_second_import_brings_what_is_new_or_changed(
    run_import: Import, garage: Garage, backup: Backup
) -> None:
    first = await run_import(backup(everything(), FILES))
    ids = await rows(garage, "SELECT id FROM fuel_records ORDER BY odometer")
    later = everything()
    later["gasrecords"] = [gas(1), gas(2, Cost=Decimal("99.99")), gas(4, "2024-06-01")]

    report = await run_import(backup(later, FILES))

    fuel = step(report, "gasrecords")
    assert (fuel.new, fuel.changed, fuel.unchanged, fuel.gone_at_source) == (1, ["2"], 1, ["3"])
    assert report.run == (first.run or 0) + 1
    assert report.mismatches == []
    assert [*ids] == (await rows(garage, "SELECT id FROM fuel_records ORDER BY odometer"))[:3]
    assert await rows(garage, "SELECT cost FROM fuel_records ORDER BY odometer") == [
        Decimal("71.25"), Decimal("99.99"), Decimal("71.25"), Decimal("71.25"),
    ]  # fmt: skip
    assert report.files == []


async def test_the_source_wins_only_where_it_changed(
    run_import: Import, garage: Garage, backup: Backup
) -> None:
    await run_import(backup(everything(), FILES))
    await change(
        garage, "UPDATE maintenance_records SET cost = 1, notes = 'mine' WHERE kind = 'service'"
    )
    later = everything()
    later["servicerecords"] = [
        *later["servicerecords"][:1],
        service(2, Description="Changed there", Tags=["oil"]),
    ]

    report = await run_import(backup(later, FILES))

    assert step(report, "servicerecords").changed == ["2"]
    assert await rows(
        garage, "SELECT notes FROM maintenance_records WHERE kind = 'service' ORDER BY odometer"
    ) == [
        "mine",
        "",
    ]
    assert report.mismatches == []
    assert report.differences == ["service records: cost is 20.90 here, 39.80 at the source"]


async def test_what_was_deleted_here_stays_deleted_until_it_changes(
    run_import: Import, garage: Garage, backup: Backup
) -> None:
    await run_import(backup(everything(), FILES))
    await change(garage, "DELETE FROM fuel_records WHERE odometer IN (1000, 3000)")

    report = await run_import(backup(everything(), FILES))
    assert report.run is None
    assert step(report, "gasrecords").deleted_here == ["1", "3"]

    later = everything()
    later["gasrecords"] = [gas(1, Notes="changed"), *later["gasrecords"][1:]]
    report = await run_import(backup(later, FILES))
    assert step(report, "gasrecords").changed == ["1"]
    assert await rows(garage, "SELECT odometer FROM fuel_records ORDER BY 1") == [1000, 2000]
    assert (await run_import(backup(later, FILES))).run is None


async def test_a_vehicle_that_was_deleted_here_takes_its_records_along(
    run_import: Import, garage: Garage, backup: Backup
) -> None:
    await run_import(backup(everything(), FILES))
    await change(garage, "DELETE FROM vehicles")
    later = everything()
    later["gasrecords"] = [*later["gasrecords"], gas(9)]

    report = await run_import(backup(later, FILES))
    assert report.run is None
    assert step(report, "vehicles").deleted_here == ["1"]
    assert step(report, "gasrecords").deleted_here == ["1", "2", "3", "9"]

    later["vehicles"] = [vehicle(Make="Volga", ImageLocation="/images/car.jpg")]
    report = await run_import(backup(later, FILES))
    assert report.mismatches == []
    assert await garage.count("fuel_records") == 4
    assert await garage.count("attachments") == 4
    assert (await run_import(backup(later, FILES))).run is None


async def test_a_file_that_comes_later_is_attached(
    run_import: Import, garage: Garage, backup: Backup
) -> None:
    report = await run_import(backup(everything()))
    assert {f.message for f in report.findings} == {
        "the file /images/car.jpg is not in the source",
        "the file /documents/bill.pdf is not in the source",
    }
    (notes,) = await rows(garage, "SELECT notes FROM maintenance_records WHERE kind = 'upgrade'")
    assert notes == "Attachment Same bill: /documents/bill.pdf"

    report = await run_import(backup(everything(), FILES))
    assert step(report, "upgraderecords").changed == ["1"]
    assert len(report.files) == 2
    assert await rows(garage, "SELECT notes FROM maintenance_records WHERE kind = 'upgrade'") == [
        ""
    ]
    assert await rows(garage, "SELECT count(*) FROM attachments WHERE document_id IS NOT NULL") == [
        2
    ]


async def test_a_document_that_was_deleted_here_comes_again_with_its_record(
    run_import: Import, garage: Garage, backup: Backup
) -> None:
    await run_import(backup(everything(), FILES))
    await change(garage, "DELETE FROM attachments")
    await change(
        garage, "DELETE FROM documents d WHERE d.id <> (SELECT image_document_id FROM vehicles)"
    )
    later = everything()
    later["upgraderecords"] = [service(1, Notes="new", Files=[attached("/documents/bill.pdf")])]

    report = await run_import(backup(later, FILES))

    assert [file.location for file in report.files] == ["/documents/bill.pdf"]
    assert await rows(garage, "SELECT record_type FROM attachments") == ["upgrade"]


class FailingStorage(Storage):
    """Goes away when the second file comes."""

    puts = 0  # Any below: what is passed on

    @override
    async def put(self, *args: Any, **options: Any) -> StoredObject:
        self.puts += 1
        if self.puts > 1:
            raise UnavailableError("File storage is away at the moment.")
        return await super().put(*args, **options)


@pytest.fixture
def failing_storage(settings: Settings, database: Database) -> Storage:
    return FailingStorage(settings.storage, DatabaseSpool(database))


async def test_an_import_that_broke_off_goes_on(
    run_import: Import, garage: Garage, backup: Backup, target: Target, failing_storage: Storage
) -> None:
    path = backup(everything(), FILES)
    with pytest.raises(UnavailableError):
        await run_import(path, into=replace(target, storage=failing_storage))
    assert [run.status for run in await runs(target)] == ["failed"]
    assert await garage.count("fuel_records") == 3
    assert await garage.count("attachments") == 0

    report = await run_import(path)

    assert report.resumed
    assert (step(report, "gasrecords").unchanged, step(report, "attachments").new) == (3, 3)
    assert report.mismatches == []
    assert [run.status for run in await runs(target)] == ["finished"]
    assert await garage.count("fuel_records") == 3


async def test_a_transaction_that_fails_leaves_no_file(
    run_import: Import, backup: Backup, target: Target, failing_storage: Storage
) -> None:
    collections = everything()
    collections["vehicles"] = [
        vehicle(ImageLocation="/images/car.jpg", MapLocation="/documents/bill.pdf")
    ]

    with pytest.raises(UnavailableError):
        await run_import(backup(collections, FILES), into=replace(target, storage=failing_storage))

    assert [info async for info in target.storage.list(str(target.tenant_id))] == []


async def test_two_imports_at_once_bring_everything_once(
    run_import: Import, garage: Garage, backup: Backup
) -> None:
    path = backup(everything(), FILES)

    await asyncio.gather(run_import(path), run_import(path))

    assert await garage.count("vehicles") == 1
    assert await garage.count("fuel_records") == 3
    assert await garage.count("attachments") == 4


async def test_another_installation_is_refused(
    run_import: Import, garage: Garage, backup: Backup, other_garage: Garage, target: Target
) -> None:
    await run_import(backup(everything(), FILES))
    other = backup({"vehicles": [vehicle(Make="Volga")]}, created_ticks=638_000_000_000_000_000)

    with pytest.raises(ImportRefusedError, match="--same-installation"):
        await run_import(other)
    assert await rows(garage, "SELECT make FROM vehicles") == ["Lada"]

    await run_import(other, into=replace(target, tenant_id=other_garage.tenant_id))
    assert await rows(other_garage, "SELECT make FROM vehicles") == ["Volga"]
    await run_import(other, same_installation=True)
    assert await rows(garage, "SELECT make FROM vehicles") == ["Volga"]


async def test_ids_of_vehicles_are_kept_where_they_are_free(
    run_import: Import, garage: Garage, backup: Backup, other_garage: Garage, target: Target
) -> None:
    path = backup({"vehicles": [vehicle(900_001)]})
    await run_import(path)
    await run_import(path, into=replace(target, tenant_id=other_garage.tenant_id))

    (kept,) = await rows(garage, "SELECT id FROM vehicles")
    (other,) = await rows(other_garage, "SELECT id FROM vehicles")
    assert kept == 900_001
    assert other != kept


async def test_people_sign_in_as_before(run_import: Import, garage: Garage, backup: Backup) -> None:
    name = f"anna-{garage.tenant_id.hex[:8]}"
    root = f"root-{garage.tenant_id.hex[:8]}"
    key = garage.tenant_id.hex
    people: Collections = {
        "vehicles": [vehicle(1), vehicle(2)],
        "userrecords": [user(1, name, Password=sha256("old secret"))],
        "useraccessrecords": [access(1, 1)],
        "userconfigrecords": [{"_id": 1, "UserConfig": {"UseMPG": False, "UseDarkMode": True}}],
        "apikeyrecords": [
            {"_id": 1, "UserId": -1, "Name": "Home", "Key": sha256(key), "Permissions": ["View"]}
        ],
    }
    config = {"UserNameHash": sha256(root), "UserPasswordHash": sha256("root secret")}

    report = await run_import(backup(people, root_config=config))
    assert report.findings == []

    anonymous = await garage.client_as("viewer")
    anonymous.cookies.clear()
    answer = await anonymous.post(
        "/api/auth/login", json={"username": name, "password": "old secret"}
    )
    assert answer.status_code == 200
    headers = {"Authorization": f"Bearer {answer.json()['token']}"}
    seen = (await anonymous.get("/api/v1/vehicles", headers=headers)).json()["items"]
    assert [(v["license_plate"], v["permission"]) for v in seen] == [("IN-1", "manage")]
    me = (await anonymous.get("/api/v1/me", headers=headers)).json()
    assert (me["role"], me["preferences"]["theme"]) == ("member", "dark")
    assert me["preferences"]["lubelogger"] == {"UseMPG": False, "UseDarkMode": True}

    answer = await anonymous.post(
        "/api/auth/login", json={"username": root, "password": "root secret"}
    )
    assert answer.status_code == 200
    headers = {"Authorization": f"Bearer {answer.json()['token']}"}
    assert (await anonymous.get("/api/v1/me", headers=headers)).json()["role"] == "owner"

    answer = await anonymous.get("/api/v1/vehicles", headers={"X-API-Key": key})
    assert len(answer.json()["items"]) == 2
