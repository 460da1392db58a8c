from pathlib import Path

import pytest

from motovaultpro.standalone.components import binaries
from motovaultpro.standalone.components.errors import ComponentError


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Neither the wheel nor anything on PATH; answers where Debian would put PostgreSQL."""
    monkeypatch.setattr(binaries, "_POSTGRES_WHEEL", "no-such-wheel")
    monkeypatch.setattr(binaries, "_DEBIAN_POSTGRES", tmp_path / "debian")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path / "debian"


def _program(directory: Path, name: str) -> Path:
    directory.mkdir(parents=True)
    (directory / name).touch(mode=0o755)
    return directory


def test_an_override_wins(tmp_path: Path) -> None:
    assert binaries.find_postgres(_program(tmp_path / "own", "postgres")) == tmp_path / "own"


def test_the_wheel_comes_before_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(_program(tmp_path / "path", "postgres")))
    assert binaries.find_postgres().parent.name == "pginstall"


def test_path_comes_before_debian(no_wheel: Path, tmp_path: Path) -> None:
    _program(no_wheel / "18" / "bin", "postgres")
    assert binaries.find_postgres() == no_wheel / "18" / "bin"
    _program(tmp_path / "path", "postgres")
    assert binaries.find_postgres() == tmp_path / "path"


def test_debian_means_its_newest(no_wheel: Path) -> None:
    for version in ("9", "18", "17"):
        _program(no_wheel / version / "bin", "postgres")
    assert binaries.find_postgres() == no_wheel / "18" / "bin"


@pytest.mark.usefixtures("no_wheel")
def test_says_how_to_install_what_is_nowhere() -> None:
    with pytest.raises(ComponentError, match=r"pip install 'motovaultpro\[standalone\]'"):
        binaries.find_postgres()
    with pytest.raises(ComponentError, match="traefik is not installed"):
        binaries.find_program("no-such-wheel", "traefik")
    assert binaries.wheel_versions()["no-such-wheel"] is None


def test_copies_only_the_wheel(tmp_path: Path) -> None:
    with pytest.raises(ComponentError, match="MVP_PG_BIN"):
        binaries.copy_postgres(_program(tmp_path / "debian" / "18" / "bin", "postgres"), tmp_path)
