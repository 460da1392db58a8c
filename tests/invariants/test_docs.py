"""What the documents name exists: files, headings, commands, options, settings, metrics, capsules."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
import typer.main

from motovaultpro.cli import app
from motovaultpro.core.settings import described

ROOT = Path(__file__).parents[2]
# Whatever is not ours begins with a dot.
DOCUMENTS = sorted(
    file
    for file in ROOT.rglob("*.md")
    if not any(
        part.startswith(".") or part == "node_modules" for part in file.relative_to(ROOT).parts
    )
)
MONITORING = ROOT / "docs/operations/monitoring.md"

_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]+`|^(?: {4,}|\t).*$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"(?<![\w-])motovault(?![\w-])(?P<rest>[^`\n#;|)&>]*)")
_SETTING = re.compile(r"MVP_[A-Z][A-Z0-9_]*[A-Z0-9]")
_METRIC = re.compile(r"motovault_[a-z_]+[a-z]")
_OPTION = re.compile(r"--?[a-z][a-z-]*")

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT))
)


def test_there_is_something_to_look_at() -> None:
    assert {ROOT / "README.md", ROOT / "docs/architecture.md", MONITORING} <= set(DOCUMENTS)
    assert ["logs", "backend", "-n", "10000", "--log-format", "json"] in _commands(MONITORING)


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    dead = []
    for target in _LINK.findall(_without_code(document)):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, heading = target.partition("#")
        file = (document.parent / name).resolve() if name else document
        if not file.exists() or (heading and heading not in _headings(file)):
            dead.append(target)
    assert dead == []


@each_document
def test_commands_exist(document: Path) -> None:
    assert [problem for words in _commands(document) if (problem := _problem(words))] == []


@each_document
def test_settings_exist(document: Path) -> None:
    settings = ROOT / "src/motovaultpro/core/settings.py"
    known = {item.variable for item in described()}
    known |= set(_SETTING.findall(settings.read_text()))  # those that say where settings are
    known |= {name for command in _tree().values() for name in command.variables}
    assert set(_SETTING.findall(document.read_text())) - known == set()


def test_monitoring_names_every_metric_and_no_other() -> None:
    for module in ("app", "worker"):  # what these import registers what it measures
        import_module(f"motovaultpro.{module}")
    registered = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for metric in prometheus_client.REGISTRY.collect()
        if metric.name.startswith("motovault_")
    }
    text = MONITORING.read_text()
    in_table = set(re.findall(r"^\| `(motovault_\w+)`", text, re.MULTILINE))
    assert in_table == registered
    assert set(_METRIC.findall(text)) == registered


def test_architecture_has_the_feature_map_of_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(c["layers"] for c in contracts if c["name"] == "Feature map")
    expected = [{name.strip(" ()") for name in layer.split("|")} for layer in layers]

    line = re.search(
        r"feature map, top to bottom: ([^.]+)\.", (ROOT / "docs/architecture.md").read_text()
    )

    assert line is not None
    shown = [
        {re.sub(r"[\s-]+", "_", name.strip()).lower() for name in layer.split(",")}
        for layer in line[1].split(";")
    ]
    assert shown == expected


def _without_code(document: Path) -> str:
    return _CODE.sub("", _FENCE.sub("", document.read_text()))


def _headings(document: Path) -> set[str]:
    """The fragments by which GitHub links to them."""
    lines = re.findall(r"^#+ (.+)$", _FENCE.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line).strip().lower().replace(" ", "-") for line in lines}


def _commands(document: Path) -> Iterator[list[str]]:
    """The words after each `motovault` in code."""
    text = document.read_text()
    blocks = [*_FENCE.findall(text), *_CODE.findall(_FENCE.sub("", text))]
    for block in blocks:
        for line in block.splitlines():
            for match in _COMMAND.finditer(line):
                words = match["rest"].split()
                if words[:1] != ["--"]:  # an account of that name, `runuser -u motovault -- …`
                    yield words


def _problem(words: list[str]) -> str | None:
    path: tuple[str, ...] = ()
    rest = list(words)
    while rest and (*path, rest[0]) in _tree():
        path = (*path, rest.pop(0))
    command = _tree()[path]
    if command.is_group and rest and not rest[0].startswith(("-", "…", ".")):
        return f"motovault {' '.join(words)}: no such command"
    wrong = {word.partition("=")[0] for word in rest if _OPTION.match(word)} - command.options
    return f"motovault {' '.join(words)}: no such option {wrong}" if wrong else None


@dataclass(frozen=True)
class _Command:
    options: frozenset[str]
    variables: frozenset[str]
    is_group: bool


@cache
def _tree() -> dict[tuple[str, ...], _Command]:
    """Every command by its path."""
    tree: dict[tuple[str, ...], _Command] = {}
    waiting: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(app))]
    while waiting:
        path, command = waiting.pop()
        children = getattr(command, "commands", {})
        tree[path] = _Command(
            frozenset({"-h", "--help"} | {name for p in command.params for name in p.opts}),
            frozenset(str(p.envvar) for p in command.params if getattr(p, "envvar", None)),
            bool(children),
        )
        waiting += [((*path, name), child) for name, child in children.items()]
    return tree
