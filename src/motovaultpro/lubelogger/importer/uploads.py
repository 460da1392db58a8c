"""The uploads that records refer to: read once each, told apart by location."""

from typing import Final

from motovaultpro.core.storage.content import UnsupportedFileError, sniff
from motovaultpro.lubelogger.importer.fields import MAX_LINE, Fields, one_line
from motovaultpro.lubelogger.importer.files import FileFacts, SourceFiles, examine
from motovaultpro.lubelogger.importer.findings import Level
from motovaultpro.lubelogger.importer.items import Item, UploadedFile

FILES: Final = "files"


class Uploads:
    def __init__(self, files: SourceFiles, *, max_bytes: int) -> None:
        self._files = files
        self._max_bytes = max_bytes
        self._facts: dict[str, FileFacts | None] = {}
        self._used: dict[str, Item[UploadedFile]] = {}

    @property
    def used(self) -> list[Item[UploadedFile]]:
        return list(self._used.values())

    def use(self, owner: Fields, field: str, location: str, name: str) -> UploadedFile | None:
        """The file for its `owner` record, or None with a finding that says why it cannot come along."""
        if location not in self._facts:
            self._facts[location] = examine(self._files, location)
        facts = self._facts[location]
        if facts is None:
            owner.note(field, f"the file {location} is not in the source", Level.WARNING)
            return None
        if not facts.size:
            owner.note(field, f"the file {location} is empty", Level.WARNING)
            return None
        if facts.size > self._max_bytes:
            message = f"the file {location} is larger than {self._max_bytes} bytes"
            owner.note(field, message, Level.INVALID)
            return None
        name = one_line(name)[:MAX_LINE] or location.rpartition("/")[2]
        try:
            sniff(facts.head, name)
        except UnsupportedFileError as error:
            owner.note(field, f"the file {location} is refused: {error.detail}", Level.INVALID)
            return None
        known = self._used.get(location)
        if known is None:
            upload = UploadedFile(location, name, facts.sha256, facts.size)
            known = self._used[location] = Item(FILES, location, upload)
        return known.value

    def unused(self) -> list[str]:
        return [location for location in self._files.locations() if location not in self._facts]
