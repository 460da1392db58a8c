"""The walls stand, and each falls over when something is put through it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LINT = Path(sys.executable).with_name("lint-imports")
PACKAGE = Path("src/motovaultpro")

# Contract -> what to add where, to break just it.
VIOLATIONS = {
    "Rooms": ("core/clock.py", "import motovaultpro.features.users.contracts"),
    "Feature map": ("features/users/contracts.py", "import motovaultpro.features.vehicles.facade"),
    "Inside a capsule": (
        "features/vehicles/contracts.py",
        "import motovaultpro.features.vehicles.service",
    ),
    "Between capsules: facade and contracts only": (
        "features/fuel/service.py",
        "import motovaultpro.features.vehicles.repository",
    ),
    "SQL lives in repositories and models": ("features/vehicles/service.py", "import sqlalchemy"),
    "HTTP lives in routers and dependencies": ("features/vehicles/service.py", "import fastapi"),
    "Standalone starts processes, it does not import them": (
        "standalone/runtime.py",
        "import motovaultpro.features.users.facade",
    ),
    "No cycles in core": ("core/errors.py", "import motovaultpro.core.database"),
}


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT, "--no-cache", "--no-logo", "--config", directory / "pyproject.toml"],
        cwd=directory,
        env={"PYTHONPATH": str(directory / "src"), "COLUMNS": "200"},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        ROOT / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_violation_is_caught(contract: str, copy: Path) -> None:
    file, line = VIOLATIONS[contract]
    target = copy / PACKAGE / file
    target.write_text(f"{line}\n{target.read_text()}")
    result = lint(copy)
    assert result.returncode == 1
    assert f"{contract} BROKEN" in result.stdout


@pytest.mark.parametrize(
    "name", ["features/tyres/__init__.py", "telemetry/__init__.py", "features/fuel/helpers.py"]
)
def test_what_is_not_on_the_map_is_caught(name: str, copy: Path) -> None:
    target = copy / PACKAGE / name
    target.parent.mkdir(exist_ok=True)
    target.touch()
    assert lint(copy).returncode == 1


def test_the_walls_stand(copy: Path) -> None:
    assert lint(copy).returncode == 0, lint(copy).stdout
