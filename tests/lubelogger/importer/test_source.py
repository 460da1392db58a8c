import zipfile
from pathlib import Path

import pytest

from motovaultpro.lubelogger.importer import ImportRefusedError, SourceOptions, open_source
from motovaultpro.lubelogger.importer.files import examine
from tests.factories.litedb_file import encrypt, log_between, make_file
from tests.factories.lubelogger import JPEG, vehicle, write_backup

FILES = {"/images/car.jpg": JPEG, "/documents/bill.pdf": b"%PDF-"}


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return write_backup(
        tmp_path / "backup.zip",
        {"vehicles": [vehicle()]},
        {**FILES, "translations/de_DE.json": b"{}", "data/widgets.html": b"<b>"},
        root_config={"UseMPG": False},
    )


@pytest.fixture
def unpacked(backup: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(backup) as archive:
        archive.extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked"


def test_a_backup_and_the_same_unpacked_are_the_same(backup: Path, unpacked: Path) -> None:
    for path in (backup, unpacked):
        source = open_source(str(path))

        assert [d["Make"] for d in source.of("vehicles")] == ["Lada"]
        assert source.root_config == {"UseMPG": False}
        assert source.server_config == {}
        assert sorted(source.files.locations()) == ["/documents/bill.pdf", "/images/car.jpg"]
        assert source.files.others() == ["translations/de_DE.json", "widgets.html"]
        facts = examine(source.files, "/images/car.jpg")
        assert facts is not None
        assert (facts.size, facts.head) == (len(JPEG), JPEG)
        assert examine(source.files, "/images/other.jpg") is None


def test_a_data_directory_is_read_with_its_log(tmp_path: Path) -> None:
    before, after = make_file({"vehicles": []}), make_file({"vehicles": [vehicle()]})
    (tmp_path / "cartracker.db").write_bytes(before)
    (tmp_path / "cartracker-log.db").write_bytes(log_between(before, after))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "car.jpg").write_bytes(JPEG)

    for path in (tmp_path, tmp_path / "cartracker.db"):
        source = open_source(str(path))
        assert len(source.of("vehicles")) == 1
        assert source.files.locations() == ["/images/car.jpg"]


@pytest.mark.parametrize(
    "location",
    ["/documents/../../secret", "/documents/..%2f..%2fsecret", "documents/a/b.pdf", "/etc/passwd", "/documents/..",
     "/documents/..\\secret", "/config/userConfig.json", "/documents/\0"],
)  # fmt: skip
def test_no_location_leads_out_of_the_folders(unpacked: Path, backup: Path, location: str) -> None:
    (unpacked / "secret").write_text("secret")

    assert open_source(str(unpacked)).files.open(location) is None
    assert open_source(str(backup)).files.open(location) is None


def test_files_may_be_elsewhere(tmp_path: Path, unpacked: Path) -> None:
    bare = tmp_path / "elsewhere" / "cartracker.db"
    bare.parent.mkdir()
    bare.write_bytes(make_file({"vehicles": [vehicle()]}))

    assert open_source(str(bare)).files.locations() == []
    assert len(open_source(str(bare), SourceOptions(files=unpacked)).files.locations()) == 2


def test_warns_of_a_file_that_is_not_the_store(tmp_path: Path) -> None:
    path = write_backup(
        tmp_path / "b.zip", {"vehicles": []}, server_config={"POSTGRES_CONNECTION": "Host=db"}
    )

    assert "PostgreSQL" in open_source(str(path)).problems[0]


def test_refuses_what_cannot_be_read_in_one_line(tmp_path: Path, backup: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no database")
    secret = tmp_path / "secret.db"
    secret.write_bytes(encrypt(make_file({}), "secret", bytes(16)))
    other_zip = tmp_path / "other.zip"
    with zipfile.ZipFile(other_zip, "w") as archive:
        archive.writestr("readme.txt", "hello")
    cut = tmp_path / "cut.zip"
    cut.write_bytes(backup.read_bytes()[:3000])
    wrong_config = tmp_path / "config.zip"
    with zipfile.ZipFile(wrong_config, "w") as archive:
        archive.writestr("data/cartracker.db", make_file({}))
        archive.writestr("config/userConfig.json", "{broken")
    list_config = tmp_path / "list.zip"
    with zipfile.ZipFile(list_config, "w") as archive:
        archive.writestr("data/cartracker.db", make_file({}))
        archive.writestr("config/userConfig.json", "[]")
    for path, says in [
        (tmp_path / "missing.zip", "No such file"),
        (text, "not a LiteDB file"),
        (secret, "--password"),
        (other_zip, "holds no data/cartracker.db"),
        (cut, "zip"),
        (tmp_path, "there is no cartracker.db"),
        (wrong_config, "userConfig.json is not JSON"),
        (list_config, "does not hold a JSON object"),
    ]:
        with pytest.raises(ImportRefusedError) as refusal:
            open_source(str(path))
        assert says in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_opens_with_the_password(tmp_path: Path) -> None:
    path = tmp_path / "cartracker.db"
    path.write_bytes(encrypt(make_file({"vehicles": [vehicle()]}), "secret", bytes(16)))

    assert len(open_source(str(path), SourceOptions(password="secret")).of("vehicles")) == 1


def test_a_damaged_file_in_a_zip_is_one_line(backup: Path) -> None:
    raw = bytearray(backup.read_bytes())
    at = raw.find(JPEG)
    raw[at : at + 4] = b"\0\0\0\0"
    backup.write_bytes(bytes(raw))

    with pytest.raises(ImportRefusedError, match=r"/images/car.jpg cannot be read: Bad CRC"):
        examine(open_source(str(backup)).files, "/images/car.jpg")
