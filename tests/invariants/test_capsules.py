"""Every capsule explains itself and has tests of what it denies."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CAPSULES = sorted(
    path
    for path in (ROOT / "src/motovaultpro/features").iterdir()
    if (path / "__init__.py").exists()
)
# Those with routes for people who are signed in.
WITH_ROUTES = [
    path
    for path in CAPSULES
    if (path / "router.py").exists()
    and re.search(r"(?m)^router = ", (path / "router.py").read_text())
]


def test_there_are_capsules() -> None:
    assert len(CAPSULES) >= 9
    assert len(WITH_ROUTES) >= 9


@pytest.mark.parametrize("capsule", CAPSULES, ids=lambda path: path.name)
def test_has_a_readme_that_says_more_than_its_name(capsule: Path) -> None:
    assert len((capsule / "README.md").read_text().splitlines()) > 3


@pytest.mark.parametrize("capsule", WITH_ROUTES, ids=lambda path: path.name)
def test_has_denial_tests(capsule: Path) -> None:
    tests = ROOT / "tests/features" / capsule.name
    text = "".join(file.read_text() for file in tests.glob("test_*.py"))
    assert re.search("401|UNAUTHORIZED", text), f"{tests}: who is not signed in?"
    if (
        '"/{' in (capsule / "router.py").read_text()
        or "_id}" in (capsule / "router.py").read_text()
    ):
        assert "other_garage" in text, f"{tests}: what does another garage find?"
        assert re.search("404|NOT_FOUND", text), f"{tests}: what does another garage find?"
        assert re.search("422|UNPROCESSABLE", text), f"{tests}: what of invalid input?"
