"""A scripted upstream on a raw socket.

What lives here: a server that says exactly the bytes that a test gives it and records exactly the bytes that came. What
does not: any HTTP library.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from tests.helpers.wire import (
    Message,
    RecordingReader,
    WireError,
    read_body,
    read_head,
    response,
)


class Exchange:
    """One request at the origin and the means to answer it."""

    def __init__(self, request: Message, connection: "Connection", number: int) -> None:
        self.request = request
        self.connection = connection
        self.number = number
        """Position on its connection, from 0."""
        self.reader = connection.reader
        self.closed = False

    async def send(self, *parts: bytes) -> None:
        """Write each part on its own."""
        for part in parts:
            self.connection.writer.write(part)
            await self.connection.writer.drain()

    async def read_body(self) -> bytes:
        """Read the request's body if the origin has not done so already."""
        if not self.request.complete:
            await read_body(self.reader, self.request)
        return self.request.body

    def close(self) -> None:
        """End the connection with a FIN, after what was sent."""
        self.closed = True
        self.connection.writer.close()

    def reset(self) -> None:
        """End the connection with a RST."""
        self.closed = True
        linger_zero(self.connection.writer)
        self.connection.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the proxy closes this connection."""
        self.closed = True
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


class Connection:
    """One accepted connection and what came over it."""

    def __init__(
        self, reader: RecordingReader, writer: asyncio.StreamWriter, index: int
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.index = index

    @property
    def raw(self) -> bytes:
        return bytes(self.reader.raw)


Handler = Callable[[Exchange], Awaitable[None]]


def always(*parts: bytes) -> Handler:
    """Answer every request with these bytes."""

    async def answer(exchange: Exchange) -> None:
        await exchange.send(*parts)

    return answer


class RawOrigin:
    """Answers by `handler`; counts connections and requests; `faults` fail the test that stops it."""

    def __init__(
        self,
        handler: Handler | None = None,
        *,
        eager_body: bool = True,
        record: bool = True,
    ) -> None:
        self.handler = handler or always(response(b"ok"))
        self.eager_body = eager_body
        """Read the request's body before the handler runs."""
        self.record = record
        self.requests: list[Message] = []
        """Every request whose head came; `complete` tells whether its body did."""
        self.connections: list[Connection] = []
        self.violations: list[Exception] = []
        """What came that is not strict HTTP/1.1 (a cut body included)."""
        self.faults: list[BaseException] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def raw(self) -> bytes:
        return b"".join(connection.raw for connection in self.connections)

    @property
    def completed(self) -> list[Message]:
        return [request for request in self.requests if request.complete]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.StreamReaderProtocol:
            reader = RecordingReader(4 << 20, loop, self.record)
            return asyncio.StreamReaderProtocol(reader, self._serve, loop=loop)

        self._server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.faults and error is None:
            raise self.faults[0]

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        assert isinstance(reader, RecordingReader)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        connection = Connection(reader, writer, len(self.connections))
        self.connections.append(connection)
        try:
            await self._converse(connection)
        except (WireError, asyncio.IncompleteReadError) as error:
            self.violations.append(error)
        except (ConnectionError, asyncio.CancelledError):
            pass
        except BaseException as error:  # noqa: BLE001 - kept for the test that stops the origin
            self.faults.append(error)
        finally:
            writer.transport.abort()

    async def _converse(self, connection: Connection) -> None:
        number = 0
        while (request := await read_head(connection.reader)) is not None:
            self.requests.append(request)
            if self.eager_body:
                await read_body(connection.reader, request)
            exchange = Exchange(request, connection, number)
            await self.handler(exchange)
            if exchange.closed:
                await _flushed(connection.writer)
                return
            await exchange.read_body()
            number += 1


async def _flushed(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def linger_zero(writer: asyncio.StreamWriter) -> None:
    """Make the next close of this connection a RST."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
