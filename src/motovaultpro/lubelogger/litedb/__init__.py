"""Reads LiteDB 5 files, LubeLogger's `cartracker.db`, without LiteDB and without writing.

`open_database` (or `open_backup` for a backup zip) returns a `Database`: the records as of the
last confirmed transaction, for they are checked before they are believed and anything wrong is a
`LiteDBError` of one clear line. The types of the values are in `values`.
"""

from motovaultpro.lubelogger.litedb.database import Database
from motovaultpro.lubelogger.litedb.errors import (
    DamagedError,
    EmptyFileError,
    LiteDBError,
    LogError,
    NotLiteDBError,
    PasswordNeededError,
    Problem,
    UnreadableFileError,
    UnsupportedVersionError,
    WrongPasswordError,
    ZipArchiveError,
)
from motovaultpro.lubelogger.litedb.header import Collation
from motovaultpro.lubelogger.litedb.source import open_backup, open_database
from motovaultpro.lubelogger.litedb.values import (
    DateTimeLimit,
    Document,
    Int64,
    KeyLimit,
    ObjectId,
    Value,
)

__all__ = [
    "Collation",
    "DamagedError",
    "Database",
    "DateTimeLimit",
    "Document",
    "EmptyFileError",
    "Int64",
    "KeyLimit",
    "LiteDBError",
    "LogError",
    "NotLiteDBError",
    "ObjectId",
    "PasswordNeededError",
    "Problem",
    "UnreadableFileError",
    "UnsupportedVersionError",
    "Value",
    "WrongPasswordError",
    "ZipArchiveError",
    "open_backup",
    "open_database",
]
