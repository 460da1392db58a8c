import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from motovaultpro.cli.import_ import app
from motovaultpro.core.settings import Settings
from tests.factories.garages import Garage
from tests.factories.litedb_file import encrypt, make_file
from tests.factories.lubelogger import PDF, attached, gas, service, vehicle, write_backup

Run = Callable[..., Any]


@pytest.fixture
def run(settings: Settings, garage: Garage, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `motovault import ...` on the garage of the test."""
    monkeypatch.setenv("MVP_DATABASE__URL", settings.database.url.get_secret_value())
    monkeypatch.setenv("MVP_STORAGE__URL", settings.storage.url)
    monkeypatch.setenv("MVP_SECURITY__SECRET_KEY", "s" * 32)

    def invoke(
        *arguments: object, tenant: UUID = garage.tenant_id, answer: str | None = None
    ) -> Any:
        return CliRunner().invoke(
            app, [*map(str, arguments), "--tenant", str(tenant)], input=answer
        )

    return invoke


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return write_backup(
        tmp_path / "backup.zip",
        {
            "vehicles": [vehicle(PurchaseDate="05/01/2019")],
            "gasrecords": [gas(1), gas(2)],
            "servicerecords": [service(1, Files=[attached("/documents/bill.pdf")])],
            "taxrecords": [{"_id": 1}],
        },
        {"/documents/bill.pdf": PDF},
    )


def test_imports_shows_and_takes_back(run: Run, backup: Path, tmp_path: Path) -> None:
    plan = run("lubelogger", backup, "--dry-run")
    assert plan.exit_code == 0
    assert "would do:" in plan.stdout

    result = run("lubelogger", backup, "--currency", "eur", "--report", tmp_path / "report.json")
    assert result.exit_code == 0, result.output
    assert " is done." in result.stdout
    assert "Waiting until they have a home here: taxes 1." in result.stdout
    assert "Files: 1 in use, 1 brought now." in result.stdout
    assert "vehicles 1: PurchaseDate: the date '05/01/2019' is ambiguous" in result.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["currency"] == "EUR"
    assert [s["new"] for s in report["steps"] if s["name"] == "gasrecords"] == [2]

    again = run("lubelogger", backup, "--currency", "EUR", "--format", "json")
    assert json.loads(again.stdout)["run"] is None

    listed = json.loads(run("list", "--format", "json").stdout)
    assert [(item["id"], item["status"]) for item in listed] == [(report["run"], "finished")]
    assert "finished" in run("list").stdout

    refused = run("rollback", report["run"], answer="n\n")
    assert refused.exit_code == 1
    assert "fuel records" in refused.stdout
    done = run("rollback", report["run"], "--yes")
    assert done.exit_code == 0
    assert f"Import {report['run']} is rolled back." in done.stdout
    assert "rolled back" in run("list").stdout


def test_a_second_import_of_the_same_says_so(run: Run, backup: Path) -> None:
    run("lubelogger", backup)
    again = run("lubelogger", backup)

    assert again.exit_code == 0
    assert again.stdout.startswith("Nothing to do: all of")
    assert "nothing, all of it is here already." in run("lubelogger", backup, "--dry-run").stdout


def test_what_cannot_be_stored_stops_everything(run: Run, tmp_path: Path) -> None:
    records = [gas(1, Cost="much"), gas(2)]
    path = write_backup(tmp_path / "b.zip", {"vehicles": [vehicle()], "gasrecords": records})

    refused = run("lubelogger", path)
    assert refused.exit_code == 1
    assert "gasrecords 1: Cost: 'much' is not a number" in refused.stderr
    assert "1 values cannot be stored; nothing was imported" in refused.stderr
    assert "Nothing was imported yet." in run("list").stdout

    skipped = run("lubelogger", path, "--skip-invalid")
    assert skipped.exit_code == 0
    assert "Left out, cannot be stored:" in skipped.stdout


def test_long_lists_are_cut(run: Run, tmp_path: Path) -> None:
    records = [service(n, Description=None) for n in range(1, 31)]
    path = write_backup(tmp_path / "b.zip", {"vehicles": [vehicle()], "servicerecords": records})

    assert "and 10 more (--report has all)" in run("lubelogger", path).stdout


def test_bad_input_is_one_line(run: Run, backup: Path, tmp_path: Path) -> None:
    for arguments, says in [
        ((tmp_path / "missing.zip",), "No such file"),
        ((backup, "--time-zone", "Mars/Olympus"), "is not a time zone"),
        ((backup, "--time-zone", "../etc"), "is not a time zone"),
        ((backup, "--date-format", "day"), "no date format"),
        ((backup, "--currency", "XXX"), "is not a currency"),
        ((backup, "--password-file", tmp_path), "no password can be read"),
        ((backup, "--report", tmp_path), "the report cannot be written"),
    ]:
        result = run("lubelogger", *arguments)
        assert result.exit_code == 1
        assert says in result.stderr
        assert result.stderr.count("\n") == 1, result.stderr
    missing = run("lubelogger", backup, tenant=UUID(int=1))
    assert (missing.exit_code, missing.stderr) == (1, "motovault: There is no such garage.\n")
    assert "there is no import 0" in run("rollback", 0).stderr


def test_without_a_running_system_it_says_so(backup: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["lubelogger", str(backup), "--data-dir", str(tmp_path / "x")])

    assert result.exit_code == 2
    assert "does not run on" in result.stderr


def test_reads_the_password_from_a_file(run: Run, tmp_path: Path) -> None:
    path, secret = tmp_path / "cartracker.db", tmp_path / "secret"
    path.write_bytes(encrypt(make_file({"vehicles": [vehicle()]}), "geheim", bytes(16)))
    secret.write_text("geheim\n")

    assert run("lubelogger", path, "--password-file", secret, "--dry-run").exit_code == 0
