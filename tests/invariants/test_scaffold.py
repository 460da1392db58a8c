"""`make feature` and `make migration` make what they promise."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import new_feature, new_migration


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(new_feature, "ROOT", tmp_path)
    return tmp_path


def test_a_new_capsule_is_whole_and_well_formed(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["new_feature.py", "tyre_sets"])
    assert new_feature.main() == 0
    made = sorted(
        str(path.relative_to(elsewhere)) for path in elsewhere.rglob("*") if path.is_file()
    )
    assert made == [
        *(
            f"src/motovaultpro/features/tyre_sets/{name}"
            for name in (
                "README.md",
                "__init__.py",
                "models.py",
                "repository.py",
                "router.py",
                "schemas.py",
                "service.py",
            )
        ),
        "tests/features/tyre_sets/test_tyre_sets.py",
    ]
    for path in elsewhere.rglob("*.py"):
        ast.parse(path.read_text())
        assert "__plural__" not in path.read_text()
    lint = subprocess.run(
        [Path(sys.executable).with_name("ruff"), "format", "--check", elsewhere],
        check=False,
        capture_output=True,
    )
    assert lint.returncode == 0, lint.stdout
    assert "make migration NAME=add_tyre_sets" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["", "Tyres", "tyre", "../evil", "tyres; rm"])
def test_a_bad_name_makes_nothing(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["new_feature.py", name])
    assert new_feature.main() == 2
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("name", ["", "Add", "a b", "../x"])
def test_a_bad_migration_name_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, "argv", ["new_migration.py", name])
    assert new_migration.main() == 2
