"""Log files of the services: following them, keeping them small, and showing a line of them."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.text import Text

MIB = 1024 * 1024
ROTATE_BYTES = 10 * MIB
_CHUNK_BYTES = MIB
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta")
_LEVEL_STYLES = {"warning": "yellow", "warn": "yellow", "error": "red", "critical": "bold red"}
_TIME_KEYS, _LEVEL_KEYS, _MESSAGE_KEYS = ("timestamp", "time"), ("level",), ("event", "message")


class LogLine(NamedTuple):
    service: str
    text: str


class LogTail:
    """Hands out what is appended to the files. A shrunken file is read from its beginning."""

    def __init__(self, files: Mapping[str, Path], *, from_end: bool = True) -> None:
        self._files = dict(files)
        self._offsets = {name: _size(file) if from_end else 0 for name, file in files.items()}
        self._rests = dict.fromkeys(files, b"")

    def poll(self) -> list[LogLine]:
        """Whole lines since the last call; the beginning of an unfinished one waits."""
        return [LogLine(name, line) for name in self._files for line in self._read(name)]

    def rotate(self, limit: int = ROTATE_BYTES) -> None:
        """Moves the content of a file that grew past `limit` to `<file>.1`, replacing the one before.

        The writer keeps its open file, so it is emptied, not renamed; a line written between copy and cut is lost.
        """
        for name, file in self._files.items():
            if self._offsets[name] > limit:
                shutil.copyfile(file, file.with_name(f"{file.name}.1"))
                os.truncate(file, 0)
                self._offsets[name] = 0

    def _read(self, name: str) -> Iterable[str]:
        size = _size(self._files[name])
        if size < self._offsets[name]:
            self._offsets[name], self._rests[name] = 0, b""
        if size == self._offsets[name]:
            return []
        with self._files[name].open("rb") as stream:
            stream.seek(self._offsets[name])
            read = stream.read(_CHUNK_BYTES)
        self._offsets[name] += len(read)
        *lines, self._rests[name] = (self._rests[name] + read).split(b"\n")
        return [line.decode(errors="replace") for line in lines if line.strip()]


def last_lines(file: Path, count: int) -> list[str]:
    """At most `count` lines from the end of a file, which may be absent."""
    size = _size(file)
    if size == 0:
        return []
    with file.open("rb") as stream:
        stream.seek(max(0, size - _CHUNK_BYTES))
        lines = stream.read().decode(errors="replace").splitlines()
    return [line for line in lines if line.strip()][-count:] if count else []


def as_json(line: LogLine) -> str:
    """One object: what the service wrote, or its text as `message`, and the service."""
    return json.dumps({"service": line.service} | (_parse(line.text) or {"message": line.text}))


def as_text(line: LogLine, services: list[str]) -> Text:
    """For people: a coloured prefix, then the line; objects as time, level, message and the rest."""
    width = max(map(len, services))
    colour = _COLOURS[services.index(line.service) % len(_COLOURS)]
    text = Text(f"{line.service:<{width}} | ", style=colour)
    parsed = _parse(line.text)
    if parsed is None:
        return text.append(line.text, style="default")
    time, level, message = (
        _take(parsed, keys) for keys in (_TIME_KEYS, _LEVEL_KEYS, _MESSAGE_KEYS)
    )
    rest = " ".join(f"{key}={value}" for key, value in parsed.items())
    text.append(f"{time} ", style="dim")
    text.append(f"{level} ", style=_LEVEL_STYLES.get(level, "dim"))
    return text.append(f"{message} ".lstrip(), style="default").append(rest, style="dim")


def _take(parsed: dict[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        if key in parsed:
            return " ".join(str(parsed.pop(key)).split())
    return ""


def _parse(text: str) -> dict[str, Any] | None:  # Any: whatever JSON a service writes
    if not text.startswith("{"):
        return None
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
