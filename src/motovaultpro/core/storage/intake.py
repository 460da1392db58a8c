"""An upload on its way in: limited, counted, hashed, sniffed, cut into blocks."""

import hashlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Self

from motovaultpro.core.errors import AppError, InvalidError, TooLargeError
from motovaultpro.core.storage.content import SNIFF_BYTES, sniff

BLOCK_BYTES = 1024 * 1024


class UploadInterruptedError(AppError):
    code = "upload_interrupted"


class Intake:
    """Iterate over it for the blocks, about 1 MiB each.

    The first `keep_bytes` stay in `kept`, so that an upload that is not longer can start again elsewhere when its
    first destination fails half-way.
    """

    def __init__(
        self, chunks: AsyncIterator[bytes], *, filename: str, max_bytes: int, keep_bytes: int
    ) -> None:
        self.size = 0
        self.content_type = ""
        self.ended = False
        self._chunks = chunks
        self._filename = filename
        self._max_bytes = max_bytes
        self._keep_bytes = keep_bytes
        self._kept: list[bytes] = []
        self._unsent: deque[bytes] = deque()
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def kept(self) -> bytes:
        """All that was read, while that is at most `keep_bytes`; empty after."""
        return b"".join(self._kept)

    async def fill(self, up_to: int) -> bool:
        """Read ahead until there are `up_to` bytes in all; True if the upload ended before."""
        while self.size < up_to and not self.ended:
            block = await self._next()
            if block:
                self._unsent.append(block)
        return self.ended

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._unsent:
            return self._unsent.popleft()
        block = b"" if self.ended else await self._next()
        if not block:
            raise StopAsyncIteration
        return block

    async def _next(self) -> bytes:
        """The next block; an empty one at the end. Raises if the upload is empty, too large, refused or broken off."""
        first = self.size == 0
        pending: list[bytes] = []
        held = 0
        try:
            while held < BLOCK_BYTES and not self.ended:
                chunk = await anext(self._chunks, None)
                if chunk is None:
                    self.ended = True
                    break
                held += len(chunk)
                if self.size + held > self._max_bytes:
                    raise TooLargeError(f"The file is larger than {self._max_bytes} bytes.")
                pending.append(chunk)
        except OSError as error:
            # Why: an OSError must always mean the store to those who iterate, never the source.
            raise UploadInterruptedError("The upload broke off. Send the file again.") from error
        block = b"".join(pending)
        if first:
            self._meet(block)
        self._account(block)
        return block

    def _meet(self, block: bytes) -> None:
        if not block:
            raise InvalidError("The file is empty.")
        self.content_type = sniff(block[:SNIFF_BYTES], self._filename)

    def _account(self, block: bytes) -> None:
        self.size += len(block)
        self._hash.update(block)
        if self.size <= self._keep_bytes:
            self._kept.append(block)
        else:
            self._kept.clear()
