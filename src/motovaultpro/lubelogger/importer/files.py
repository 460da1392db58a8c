"""The uploaded files of an installation: in a backup zip, in a directory, or not at hand."""

import hashlib
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol
from urllib.parse import unquote

from motovaultpro.core.storage.content import SNIFF_BYTES
from motovaultpro.lubelogger.importer.errors import ImportRefusedError
from motovaultpro.lubelogger.litedb.source import ZIP_ERRORS

BLOCK_BYTES: Final = 256 * 1024
# Where LubeLogger stores uploads; only one level, so that no location leads out of the folder.
_LOCATION = re.compile(r"/?(images|documents)/([^/\\\0]+)")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """`head` is what tells the kind of the file."""

    size: int
    sha256: str
    head: bytes


class SourceFiles(Protocol):
    """`location` is as in the records: `/documents/<guid>.pdf`."""

    def open(self, location: str) -> IO[bytes] | None:
        """None if there is no such file."""

    def read_config(self, name: str) -> bytes | None:
        """`userConfig.json` or `serverConfig.json`, None if it is absent."""

    def locations(self) -> list[str]:
        """Every stored upload."""

    def others(self) -> list[str]:
        """What else an installation keeps as files: translations, widgets."""


class NoFiles:
    def open(self, location: str) -> IO[bytes] | None:  # noqa: ARG002 - the protocol's
        return None

    def read_config(self, name: str) -> bytes | None:  # noqa: ARG002 - the protocol's
        return None

    def locations(self) -> list[str]:
        return []

    def others(self) -> list[str]:
        return []


class DirectoryFiles:
    """A `data` directory, or one into which a backup was unpacked."""

    def __init__(self, root: Path) -> None:
        self._roots = [root, root / "data"]

    def open(self, location: str) -> IO[bytes] | None:
        parts = _parts(location)
        path = parts and self._find(*parts)
        return path.open("rb") if path else None

    def read_config(self, name: str) -> bytes | None:
        path = self._find("config", name)
        return path.read_bytes() if path else None

    def locations(self) -> list[str]:
        return [
            f"/{folder}/{path.name}"
            for root in self._roots
            for folder in ("images", "documents")
            for path in sorted((root / folder).glob("*"))
            if path.is_file()
        ]

    def others(self) -> list[str]:
        return [
            path.relative_to(root).as_posix()
            for root in self._roots
            for path in (*sorted((root / "translations").glob("*.json")), root / "widgets.html")
            if path.is_file()
        ]

    def _find(self, folder: str, name: str) -> Path | None:
        paths = (root / folder / name for root in self._roots)
        return next((path for path in paths if path.is_file()), None)


class ZipFiles:
    """A backup; its members are found below its top or below `data/`."""

    def __init__(self, archive: Path) -> None:
        self._archive = zipfile.ZipFile(archive)
        self._names = {name.removeprefix("data/"): name for name in self._archive.namelist()}

    def open(self, location: str) -> IO[bytes] | None:
        parts = _parts(location)
        name = self._names.get("/".join(parts)) if parts else None
        return self._archive.open(name) if name else None

    def read_config(self, name: str) -> bytes | None:
        member = self._names.get(f"config/{name}")
        return self._archive.read(member) if member else None

    def locations(self) -> list[str]:
        return sorted(f"/{name}" for name in self._names if _LOCATION.fullmatch(name))

    def others(self) -> list[str]:
        return sorted(
            name
            for name in self._names
            if name == "widgets.html" or re.fullmatch(r"translations/[^/]+\.json", name)
        )


def is_upload(location: str) -> bool:
    return _parts(location) is not None


def examine(files: SourceFiles, location: str) -> FileFacts | None:
    """Read the file once; None if there is none. Raises `ImportRefusedError` if it cannot be read."""
    with reading(location):
        stream = files.open(location)
        if stream is None:
            return None
        digest, size, head = hashlib.sha256(), 0, b""
        with stream:
            while block := stream.read(BLOCK_BYTES):
                head = head or block[:SNIFF_BYTES]
                digest.update(block)
                size += len(block)
    return FileFacts(size, digest.hexdigest(), head)


@contextmanager
def reading(what: str) -> Iterator[None]:
    try:
        yield
    except ZIP_ERRORS as error:
        raise ImportRefusedError(f"{what} cannot be read: {error}") from error


def _parts(location: str) -> tuple[str, str] | None:
    match = _LOCATION.fullmatch(unquote(location).partition("?")[0])
    if match is None or match[2] in {".", ".."}:
        return None
    return match[1], match[2]
