import os
from pathlib import Path

import pytest

from motovaultpro.standalone.components.errors import ComponentError
from motovaultpro.standalone.directory import DataDirectory, DirectoryBusyError, default_directory


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    made = DataDirectory(tmp_path / "data")
    made.create()
    return made


def test_root_gets_a_place_that_a_server_account_can_reach() -> None:
    place = default_directory()
    assert place.name == "motovaultpro"
    assert (place == Path("/var/lib/motovaultpro")) == (os.getuid() == 0)


def test_what_exists_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o750)
    (tmp_path / "data" / "storage").mkdir(mode=0o755)
    DataDirectory(tmp_path / "data").create()
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "data", tmp_path / "data/storage")]
    assert modes == [0o750, 0o755]


def test_says_that_a_directory_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ComponentError, match="--data-dir"):
        DataDirectory(tmp_path / "file" / "data").create()


def test_a_password_outlives_a_new_port(directory: DataDirectory) -> None:
    directory.keep_secret("database__url", "postgresql://app:p%40ss@127.0.0.1:1/motovault")
    assert directory.password("database__url") == "p@ss"
    assert len(directory.password("cache__url")) >= 32


def test_the_secret_key_is_made_once(directory: DataDirectory) -> None:
    directory.ensure_secret_key()
    before = (directory.secrets / "security__secret_key").read_text()
    directory.ensure_secret_key()
    assert (directory.secrets / "security__secret_key").read_text() == before
    assert len(before) >= 32


def test_a_secret_is_private_even_where_a_write_was_cut_off(directory: DataDirectory) -> None:
    (directory.secrets / ".cache__url.partial").write_text("half")
    directory.keep_secret("cache__url", "whole")
    assert (directory.secrets / "cache__url").read_text() == "whole"
    assert [file.name for file in directory.secrets.iterdir()] == ["cache__url"]
    assert (directory.secrets / "cache__url").stat().st_mode & 0o777 == 0o600


def test_one_holder_at_a_time(directory: DataDirectory) -> None:
    with (
        directory.hold(),
        pytest.raises(DirectoryBusyError, match=f"process {os.getpid()}"),
        directory.hold(),
    ):
        pass
    with directory.hold():
        pass


@pytest.mark.skipif(os.getuid() != 0, reason="only root's directory is shared with an account")
def test_a_strict_umask_does_not_shut_out_the_account_of_the_server(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        DataDirectory(tmp_path / "data").create()
    finally:
        os.umask(before)
    assert (tmp_path / "data").stat().st_mode & 0o011 == 0o011
    assert (tmp_path / "data" / "secrets").stat().st_mode & 0o777 == 0o700
