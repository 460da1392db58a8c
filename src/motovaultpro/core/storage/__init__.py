"""Files: storing, reading and serving them safely. Start with `Storage`."""

from motovaultpro.core.storage.content import UnsupportedFileError
from motovaultpro.core.storage.intake import UploadInterruptedError
from motovaultpro.core.storage.objects import Storage, StoredObject
from motovaultpro.core.storage.serving import (
    RangeNotSatisfiableError,
    download_headers,
    parse_range,
)
from motovaultpro.core.storage.spool import DatabaseSpool, Spool, SpooledObject
from motovaultpro.core.storage.store import ObjectInfo, StoredStream

__all__ = [
    "DatabaseSpool",
    "ObjectInfo",
    "RangeNotSatisfiableError",
    "Spool",
    "SpooledObject",
    "Storage",
    "StoredObject",
    "StoredStream",
    "UnsupportedFileError",
    "UploadInterruptedError",
    "download_headers",
    "parse_range",
]
