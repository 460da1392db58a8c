"""A TCP proxy on the loopback interface that misbehaves when told to."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

from motovaultpro.standalone.components.ports import LOOPBACK

_CHUNK = 65_536
_LINGER_0 = struct.pack("ii", 1, 0)


class Proxy:
    """`latency`: seconds before each chunk. `blackhole`: accept, read, pass nothing on; what was held back is lost.

    `reset()` ends all connections at once with RST. `reset_at(word)` does so when a client sends the word: before the server
    has seen it, or once the server has answered it.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self.latency = 0.0
        self.blackhole = False
        self.blackhole_at: bytes | None = None
        self._reset_at: tuple[bytes, bool] | None = None
        self._is_answer_awaited = False
        self._writers: set[asyncio.StreamWriter] = set()

    def url(self, direct: str) -> str:
        """A server's address, by way of this proxy."""
        parts = urlsplit(direct)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@{LOOPBACK}:{self.port}"))

    @property
    def connections(self) -> int:
        return len(self._writers) // 2

    def reset(self) -> None:
        for writer in tuple(self._writers):
            _abort(writer)

    def reset_at(self, word: bytes, *, after_answer: bool) -> None:
        self._reset_at = (word, after_answer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: asyncio.StreamWriter | None = None
        self._writers.add(writer)
        try:
            answers, upstream = await asyncio.open_connection(LOOPBACK, self._target)
            self._writers.add(upstream)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forth(reader, upstream))
                group.create_task(self._back(answers, writer))
        except (OSError, ExceptionGroup):
            pass
        finally:
            for end in (writer, upstream):
                if end is not None:
                    self._writers.discard(end)
                    end.close()
                    with suppress(OSError):
                        await end.wait_closed()

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            if self.blackhole_at is not None and self.blackhole_at in data:
                self.blackhole = True
            if self._reset_at is not None and self._reset_at[0] in data:
                self._is_answer_awaited = self._reset_at[1]
                self._reset_at = None
                if not self._is_answer_awaited:
                    self.reset()
                    return
            await self._pass(data, writer)
        raise ConnectionResetError

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            if self._is_answer_awaited:
                self._is_answer_awaited = False
                self.reset()
                return
            await self._pass(data, writer)
        raise ConnectionResetError

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self.latency:
            await asyncio.sleep(self.latency)
        if not self.blackhole:
            writer.write(data)
            await writer.drain()


def _abort(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
    writer.transport.abort()


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(port)
    server = await asyncio.start_server(proxy.serve, LOOPBACK, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.reset()
        await server.wait_closed()
