"""Uploads for the storage tests: bytes that never repeat, in chunks."""

import hashlib
from collections.abc import AsyncIterator
from functools import cache

from motovaultpro.core.storage import StoredStream

KIB = 1024
MIB = 1024 * KIB


@cache
def some_bytes(size: int) -> bytes:
    """Binary of no known type, of which no two parts are alike."""
    return (
        b"\x00\x01" + hashlib.shake_256(b"storage").digest(size)[:-2]
        if size > 2
        else b"\x00" * size
    )


async def in_chunks(content: bytes, size: int = 64 * KIB) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def read(stream: StoredStream) -> bytes:
    return b"".join([chunk async for chunk in stream.chunks])
