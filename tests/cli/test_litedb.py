import json
import zipfile
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from motovaultpro.cli.litedb import app
from tests.factories.litedb_file import (
    DATA,
    PAGE_SIZE,
    encrypt,
    log_between,
    make_file,
    page_numbers,
    patched,
)

RECORDS = [{"_id": 1, "text": "Škoda"}, {"_id": 2, "text": "2"}]
FILE = make_file({"notes": RECORDS, "empty": []})
NEWER = make_file({"notes": [{"_id": 1, "text": "new"}], "empty": []})
DUMP = {
    "notes": [
        {"_id": {"$numberInt": "1"}, "text": "Škoda"},
        {"_id": {"$numberInt": "2"}, "text": "2"},
    ],
    "empty": [],
}
DAMAGED = patched(FILE, page_numbers(FILE, DATA)[0] * PAGE_SIZE + 38, b"\xff" * 4)

root = typer.Typer()
root.add_typer(app, name="litedb")


def dump(*arguments: object) -> Result:
    return CliRunner().invoke(root, ["litedb", "dump", *map(str, arguments)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cartracker.db"
    path.write_bytes(FILE)
    return path


def test_dumps_all_collections(file: Path) -> None:
    result = dump(file)

    assert result.exit_code == 0
    assert json.loads(result.stdout) == DUMP
    assert result.stderr == ""


def test_dumps_a_database_without_collections(file: Path) -> None:
    file.write_bytes(make_file({}))

    assert json.loads(dump(file).stdout) == {}


def test_dumps_a_backup(tmp_path: Path) -> None:
    backup = tmp_path / "backup.zip"
    with zipfile.ZipFile(backup, "w") as archive:
        archive.writestr("data/cartracker.db", FILE)

    assert json.loads(dump(backup).stdout) == DUMP


def test_applies_the_log_unless_told_not_to(file: Path) -> None:
    file.with_name("cartracker-log.db").write_bytes(log_between(FILE, NEWER))

    assert json.loads(dump(file).stdout)["notes"] == [{"_id": {"$numberInt": "1"}, "text": "new"}]
    assert json.loads(dump(file, "--no-log").stdout) == DUMP


def test_prints_nothing_of_a_damaged_file_but_the_damage(file: Path) -> None:
    file.write_bytes(DAMAGED)
    result = dump(file)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"motovault: {file}: notes: record 1 (page 3): a document of 31 bytes says it has -1"
        " (--salvage reads what is left)\n"
    )


def test_salvage_prints_what_is_left_and_lists_the_losses(file: Path) -> None:
    file.write_bytes(DAMAGED)
    result = dump(file, "--salvage")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == DUMP | {"notes": DUMP["notes"][1:]}
    assert result.stderr == (
        f"motovault: {file}: notes: record 1 is lost: a document of 31 bytes says it has -1\n"
    )


def test_opens_with_a_password_or_a_file_of_it(file: Path, tmp_path: Path) -> None:
    file.write_bytes(encrypt(FILE, "pässword", bytes(16)))
    secret = tmp_path / "secret"
    secret.write_text("pässword\r\nanything\n", "utf-8")

    assert json.loads(dump(file, "--password", "pässword").stdout) == DUMP
    assert json.loads(dump(file, "--password-file", secret).stdout) == DUMP


def test_errors_are_one_line_that_says_what_helps(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.db"
    secret.write_bytes(encrypt(FILE, "secret", bytes(16)))
    text = tmp_path / "notes.txt"
    text.write_text("no database")
    other = make_file({"other": []}, created_ticks=1)
    file.with_name("cartracker-log.db").write_bytes(log_between(make_file({}), other))

    for arguments, says in [
        ((tmp_path / "missing.db",), "No such file or directory"),
        ((text,), "this is not a LiteDB file"),
        ((secret,), "(--password or --password-file)"),
        ((secret, "--password", "other"), "the password does not open"),
        ((secret, "--password-file", tmp_path), "no password can be read from"),
        ((file,), "(--no-log reads without the log)"),
    ]:
        result = dump(*arguments)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert says in result.stderr
        assert result.stderr.startswith("motovault: ")
        assert result.stderr.count("\n") == 1


def test_help_shows_examples() -> None:
    result = dump("--help")

    assert result.exit_code == 0
    assert "motovault litedb dump data/cartracker.db" in result.stdout
