"""An agent on a raw socket.

What lives here: a connection that sends exactly the bytes that a test gives it and reads answers with the strict reader
of `wire.py`. What does not: any HTTP library, retries, defaults.
"""

import asyncio
import socket
from types import TracebackType
from typing import Self

from tests.helpers.origin import linger_zero
from tests.helpers.wire import (
    WAIT_SECONDS,
    CutError,
    Message,
    RecordingReader,
    read_body,
    read_chunk,
    read_head,
)


class RawClient:
    """One connection to the proxy."""

    def __init__(self, reader: RecordingReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(
        cls,
        port: int,
        *,
        limit: int = 4 << 20,
        receive_buffer: int | None = None,
        record: bool = True,
    ) -> Self:
        """Connect; a small `receive_buffer` and `limit` make a client that can refuse to read."""
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await loop.sock_connect(sock, ("127.0.0.1", port))
        except BaseException:
            sock.close()
            raise
        reader = RecordingReader(limit, loop, record)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(lambda: protocol, sock=sock)
        return cls(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.writer.transport.abort()
        await asyncio.sleep(0)

    @property
    def raw(self) -> bytes:
        return bytes(self.reader.raw)

    async def send(self, *parts: bytes) -> None:
        """Write each part on its own."""
        async with asyncio.timeout(WAIT_SECONDS):
            for part in parts:
                self.writer.write(part)
                await self.writer.drain()

    async def head(self) -> Message:
        """Read the next head, interim (1xx) ones included."""
        async with asyncio.timeout(WAIT_SECONDS):
            message = await read_head(self.reader)
        if message is None:
            raise CutError("closed before an answer")
        return message

    async def final_head(self) -> Message:
        """Read the next head that is not interim."""
        while (message := await self.head()).status < 200:
            pass
        return message

    async def response(
        self, *, bodyless: bool = False, wait_seconds: float = WAIT_SECONDS
    ) -> Message:
        """Read a whole answer; `bodyless` for an answer to HEAD."""
        message = await self.final_head()
        if bodyless or message.status in {204, 304}:
            message.complete = True
            return message
        async with asyncio.timeout(wait_seconds):
            await read_body(self.reader, message, until_eof=True)
        return message

    async def call(
        self, *parts: bytes, bodyless: bool = False, wait_seconds: float = WAIT_SECONDS
    ) -> Message:
        """Send a request and read its answer."""
        await self.send(*parts)
        return await self.response(bodyless=bodyless, wait_seconds=wait_seconds)

    async def chunk(self) -> bytes:
        """Read one chunk of a chunked answer."""
        async with asyncio.timeout(WAIT_SECONDS):
            return await read_chunk(self.reader)

    async def chunks_of(self, size: int) -> bytes:
        """Read whole chunks until `size` bytes of body have come."""
        seen = b""
        while len(seen) < size:
            data = await self.chunk()
            if not data:
                raise CutError("the body ended early", seen)
            seen += data
        return seen

    async def rest(self, wait_seconds: float = WAIT_SECONDS) -> bytes:
        """Read whatever comes until the peer closes or resets."""
        seen = bytearray()
        async with asyncio.timeout(wait_seconds):
            try:
                while data := await self.reader.read(1 << 16):
                    seen += data
            except ConnectionError:
                pass
        return bytes(seen)

    def finish(self) -> None:
        """Half-close: no more bytes from here (FIN)."""
        self.writer.write_eof()

    def leave(self) -> None:
        """Close in the ordinary way."""
        self.writer.close()

    def reset(self) -> None:
        """Leave with a RST."""
        linger_zero(self.writer)
        self.writer.transport.abort()
