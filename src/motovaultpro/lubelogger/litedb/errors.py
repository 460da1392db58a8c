from dataclasses import dataclass

from typing_extensions import override


class LiteDBError(Exception):
    """The file cannot be read; the message is one line that an owner understands.

    Nothing else is raised by this package, whatever the bytes of the file are.
    """


class UnreadableFileError(LiteDBError):
    """Missing, no regular file, no permission, too large, or it never holds still."""


class EmptyFileError(LiteDBError):
    """0 bytes: nothing was ever stored (usual beside LubeLogger's PostgreSQL store)."""


class NotLiteDBError(LiteDBError):
    """Another kind of file."""


class ZipArchiveError(NotLiteDBError):
    """A zip archive: `open_backup` reads the database inside a LubeLogger backup."""


class UnsupportedVersionError(LiteDBError):
    """LiteDB, but older or newer than version 5."""


class PasswordNeededError(LiteDBError):
    """An encrypted file was opened without a password."""


class WrongPasswordError(LiteDBError):
    """The password does not open this encrypted file."""


class DamagedError(LiteDBError):
    """What the file says about itself cannot be true; `salvage=True` may read the rest."""


class LogError(DamagedError):
    """The log is damaged or of another database; `use_log=False` reads without it."""


@dataclass(frozen=True)
class Problem:
    """Something that a reader of the result must know: a loss, a guess, a warning."""

    detail: str
    collection: str | None = None

    @override
    def __str__(self) -> str:
        return f"{self.collection}: {self.detail}" if self.collection else self.detail
