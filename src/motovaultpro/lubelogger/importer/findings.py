"""What the reader of a report must know about single records."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    NOTE = "note"
    """Stored, but not letter by letter: what was made of it is said."""
    WARNING = "warning"
    """Something the record refers to could not come along."""
    INVALID = "invalid"
    """Cannot be stored."""


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    collection: str
    source_id: str
    field: str
    message: str


class Findings:
    """Collects findings, each once, in the order they were made."""

    def __init__(self) -> None:
        self._all: dict[Finding, None] = {}

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._all)

    def add(self, level: Level, collection: str, source_id: str, field: str, message: str) -> None:
        self._all[Finding(level, collection, source_id, field, message)] = None

    @property
    def invalid(self) -> list[Finding]:
        return [finding for finding in self if finding.level is Level.INVALID]
