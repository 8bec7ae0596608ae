"""A small, strict HTTP/1.1 reader for tests.

What lives here: reading one message from a stream and building one as bytes. It is the independent oracle of the
end-to-end tests: it shares no code with the product, with aiohttp or with http.client, so that a shared parser bug
cannot hide. It refuses what the product must never send (bare LF, folded lines, two lengths).
"""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import SupportsIndex

Headers = list[tuple[bytes, bytes]]
WAIT_SECONDS = 60.0
"""Longest that a test waits for what must come: a guard against hangs, which a busy machine never reaches."""

_HEX = re.compile(rb"[0-9a-fA-F]{1,16}")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class WireError(Exception):
    """The peer sent something that is not strict HTTP/1.1."""


class CutError(WireError):
    """The peer closed or reset the connection in the middle of a message; `seen` is what came of the body."""

    def __init__(self, what: str, seen: bytes = b"") -> None:
        super().__init__(what)
        self.seen = seen


@dataclass
class Message:
    """One request or response as it stood on the wire."""

    start: bytes
    headers: Headers
    raw_head: bytes
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    trailers: Headers = field(default_factory=list)
    framing: str = "none"
    """`none`, `length`, `chunked` or `eof`."""
    complete: bool = False

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: bytes) -> bytes | None:
        return next(iter(self.all(name)), None)

    def without(self, *names: bytes) -> Headers:
        return [(key, value) for key, value in self.headers if key.lower() not in names]

    @property
    def method(self) -> bytes:
        return self.start.split(b" ", 1)[0]

    @property
    def target(self) -> bytes:
        return self.start.split(b" ", 1)[1].rsplit(b" ", 1)[0]

    @property
    def status(self) -> int:
        return int(self.start.split(b" ", 2)[1])

    @property
    def reason(self) -> bytes:
        return self.start.split(b" ", 2)[2]


class RecordingReader(asyncio.StreamReader):
    """A stream reader that keeps a copy of every byte that came, unless told not to."""

    def __init__(
        self, limit: int, loop: asyncio.AbstractEventLoop, record: bool = True
    ) -> None:
        super().__init__(limit=limit, loop=loop)
        self.record = record
        self.raw = bytearray()
        self.received = 0
        self._lost: Exception | None = None

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        assert isinstance(data, bytes | bytearray)
        self.received += len(data)
        if self.record:
            self.raw += data
        super().feed_data(data)

    def set_exception(self, exc: Exception) -> None:
        """Keep what came before a reset readable, so that a slow reader sees what a quick one sees."""
        self._lost = exc
        self.feed_eof()

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        if not data and self._lost is not None:
            raise self._lost
        return data

    async def readexactly(self, n: int) -> bytes:
        try:
            return await super().readexactly(n)
        except asyncio.IncompleteReadError:
            if self._lost is not None:
                raise self._lost from None
            raise

    async def readuntil(self, separator: bytes = b"\n") -> bytes:  # type: ignore[override]
        try:
            return await super().readuntil(separator)
        except asyncio.IncompleteReadError:
            if self._lost is not None:
                raise self._lost from None
            raise


async def read_head(reader: asyncio.StreamReader) -> Message | None:
    """Read up to the blank line; `None` when the peer closed before the first byte."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise CutError("closed inside a head", error.partial) from error
    except ConnectionError as error:
        raise CutError(f"reset: {error}") from error
    lines = raw[:-4].split(b"\r\n")
    if any(b"\n" in line or b"\r" in line or b"\0" in line for line in lines):
        raise WireError(f"control bytes in a head: {raw[:200]!r}")
    return Message(lines[0], [_header(line) for line in lines[1:]], raw)


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not _NAME.fullmatch(name):
        raise WireError(f"not a header line: {line[:200]!r}")
    return name, value.strip(b" \t")


async def read_body(
    reader: asyncio.StreamReader, message: Message, until_eof: bool = False
) -> None:
    """Read the body that the message's headers announce into it."""
    lengths, codings = message.all(b"content-length"), message.all(b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise WireError(f"ambiguous framing: {message.headers!r}")
    if codings:
        if codings != [b"chunked"]:
            raise WireError(f"ambiguous framing: {message.headers!r}")
        message.framing = "chunked"
        await _read_chunked(reader, message)
    elif lengths:
        message.framing = "length"
        await _read_exactly(reader, message, int(lengths[0]))
    elif until_eof:
        message.framing = "eof"
        message.body = await reader.read()
    message.complete = True


async def _read_exactly(
    reader: asyncio.StreamReader, message: Message, length: int
) -> None:
    try:
        message.body = await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise CutError(
            f"{len(error.partial)} of {length} bytes", error.partial
        ) from error
    except ConnectionError as error:
        raise CutError(f"reset: {error}") from error


async def read_chunk(reader: asyncio.StreamReader) -> bytes:
    """Read one chunk; empty at the last one, whose trailers are left in the stream."""
    size_line = (await reader.readuntil(b"\r\n"))[:-2]
    if not _HEX.fullmatch(size_line):
        raise WireError(f"not a chunk size: {size_line[:80]!r}")
    size = int(size_line, 16)
    if size == 0:
        return b""
    data = await reader.readexactly(size)
    if await reader.readexactly(2) != b"\r\n":
        raise WireError("no CRLF after a chunk")
    return data


async def _read_chunked(reader: asyncio.StreamReader, message: Message) -> None:
    try:
        while chunk := await read_chunk(reader):
            message.chunks.append(chunk)
        while line := (await reader.readuntil(b"\r\n"))[:-2]:
            message.trailers.append(_header(line))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise CutError(
            "closed inside a chunked body", b"".join(message.chunks)
        ) from error
    message.body = b"".join(message.chunks)


def response(
    body: bytes = b"",
    *headers: tuple[bytes, bytes],
    status: bytes = b"200 OK",
    length: bool = True,
) -> bytes:
    """Build a response; with a Content-Length unless told not to."""
    fields = (
        [*headers, (b"Content-Length", b"%d" % len(body))] if length else list(headers)
    )
    return b"HTTP/1.1 " + status + b"\r\n" + fields_of(fields) + b"\r\n" + body


def request(
    target: bytes,
    *headers: tuple[bytes, bytes],
    method: bytes = b"GET",
    body: bytes | None = None,
) -> bytes:
    """Build a request with a Host; with a Content-Length when there is a body."""
    fields = [(b"Host", b"proxy.test"), *headers]
    if body is not None:
        fields.append((b"Content-Length", b"%d" % len(body)))
    return (
        method
        + b" "
        + target
        + b" HTTP/1.1\r\n"
        + fields_of(fields)
        + b"\r\n"
        + (body or b"")
    )


def fields_of(headers: Headers) -> bytes:
    """Join header lines."""
    return b"".join(name + b": " + value + b"\r\n" for name, value in headers)


def chunk(data: bytes) -> bytes:
    """Frame one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
