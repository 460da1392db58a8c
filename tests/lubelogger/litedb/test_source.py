import os
import shutil
import zipfile
from pathlib import Path

import pytest

from motovaultpro.lubelogger.litedb import (
    NotLiteDBError,
    UnreadableFileError,
    ZipArchiveError,
    open_backup,
    open_database,
)
from motovaultpro.lubelogger.litedb.source import ATTEMPTS, MAX_FILE_SIZE, read_when_still
from tests.factories.litedb_file import encrypt, log_between, make_file

OLD = make_file({"notes": [{"_id": 1, "text": "old"}]})
NEW = make_file({"notes": [{"_id": 1, "text": "new"}]})
LOG = log_between(OLD, NEW)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cartracker.db"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def log(file: Path) -> Path:
    path = file.with_name("cartracker-log.db")
    path.write_bytes(LOG)
    return path


def text_of(path: Path, *, log: bytes | None = None, use_log: bool = True) -> object:
    (note,) = open_database(path, log=log, use_log=use_log).read("notes")
    return note["text"]


def test_the_log_beside_the_file_is_applied(file: Path, log: Path) -> None:
    assert text_of(file) == "new"
    assert text_of(file, use_log=False) == "old"
    assert text_of(file, log=b"") == "old"
    log.unlink()
    assert text_of(file) == "old"
    assert text_of(file, log=LOG) == "new"


def test_nothing_is_written(file: Path, log: Path) -> None:
    text_of(file)

    assert sorted(file.parent.iterdir()) == [log, file]
    assert (file.read_bytes(), log.read_bytes()) == (OLD, LOG)


def test_without_the_log_an_unreadable_log_does_not_matter(file: Path) -> None:
    file.with_name("cartracker-log.db").mkdir()

    assert text_of(file, use_log=False) == "old"
    with pytest.raises(UnreadableFileError, match=r"cartracker-log\.db is not a regular file"):
        open_database(file)


@pytest.mark.parametrize("path", ["missing.db", "", "/", "zero\0", "cartracker.db/x"])
def test_refuses_paths_that_lead_to_no_file(file: Path, path: str) -> None:
    with pytest.raises(UnreadableFileError):
        open_database(file.parent / path)


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.db")

    with pytest.raises(UnreadableFileError, match=r"pipe\.db is not a regular file"):
        open_database(tmp_path / "pipe.db")


def test_a_log_that_loops_to_itself_is_refused(file: Path) -> None:
    log = file.with_name("cartracker-log.db")
    log.symlink_to(log)

    with pytest.raises(UnreadableFileError, match="its log cannot be read: "):
        open_database(file)


def test_a_huge_file_is_refused_before_it_is_read(file: Path) -> None:
    os.truncate(file, MAX_FILE_SIZE + 1)  # sparse

    with pytest.raises(UnreadableFileError, match="larger than 512 MiB"):
        open_database(file)


def test_reads_again_until_file_and_log_hold_still() -> None:
    states = iter(["a", "b", "b"])
    contents = iter([b"torn", b"whole"])

    assert read_when_still(lambda: next(states), lambda: next(contents)) == ("b", b"whole")


def test_gives_up_on_a_file_that_never_holds_still() -> None:
    states = iter(range(100))

    with pytest.raises(UnreadableFileError, match="changes while it is read"):
        read_when_still(lambda: next(states), lambda: b"")
    assert next(states) == ATTEMPTS + 1


def make_backup(path: Path, members: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_reads_the_database_in_a_backup(tmp_path: Path) -> None:
    backup = make_backup(tmp_path / "b.zip", {"images/a": b"a", "data/cartracker.db": OLD})

    assert list(open_backup(backup).read("notes")) == [{"_id": 1, "text": "old"}]


def test_a_log_in_the_backup_is_applied(tmp_path: Path) -> None:
    members = {"data/cartracker.db": OLD, "data/cartracker-log.db": LOG}
    backup = make_backup(tmp_path / "b.zip", members)

    assert list(open_backup(backup).read("notes")) == [{"_id": 1, "text": "new"}]
    assert list(open_backup(backup, use_log=False).read("notes")) == [{"_id": 1, "text": "old"}]


def test_a_password_opens_the_database_in_a_backup(tmp_path: Path) -> None:
    secret = encrypt(OLD, "secret", bytes(16))
    backup = make_backup(tmp_path / "b.zip", {"data/cartracker.db": secret})

    assert open_backup(backup, password="secret").collections == ["notes"]


def test_a_zip_is_not_a_database_and_a_database_is_not_a_zip(file: Path, tmp_path: Path) -> None:
    backup = make_backup(tmp_path / "b.zip", {"data/cartracker.db": OLD})

    with pytest.raises(ZipArchiveError):
        open_database(backup)
    with pytest.raises(UnreadableFileError, match="zip archive cannot be read"):
        open_backup(file)


def test_says_when_a_zip_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(NotLiteDBError, match=r"holds no data/cartracker\.db"):
        open_backup(make_backup(tmp_path / "b.zip", {"readme.txt": b""}))


def test_refuses_packings_with_a_memory_of_their_own(tmp_path: Path) -> None:
    members = {"data/cartracker.db": OLD}

    with pytest.raises(UnreadableFileError, match="packed in a way"):
        open_backup(make_backup(tmp_path / "b.zip", members, zipfile.ZIP_LZMA))


def test_the_invented_database_reads_whole(tmp_path: Path) -> None:
    fixture = Path(__file__).parents[2] / "fixtures" / "lubelogger-invented.db"
    copy = Path(shutil.copy(fixture, tmp_path))

    for salvage in (False, True):
        database = open_database(copy, salvage=salvage)
        counts = {name: len(list(database.read(name))) for name in database.collections}
        assert counts == {
            "vehicles": 3,
            "gasrecords": 52,
            "odometerrecords": 40,
            "servicerecords": 20,
            "notes": 2,
            "reminderrecords": 2,
            "useraccessrecords": 1,
        }
        assert database.problems == []
