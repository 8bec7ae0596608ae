"""One request of an agent, and where its answer goes.

Answers are written to the transport as bytes of our own, so that nothing is added, reordered or recoded.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Any, cast

from aiohttp import web

from proxy.forward.connection import AgentConnection, Sent, Tunnel
from proxy.forward.failures import (
    AgentGoneError,
    BodyMalformedError,
    BodyTimeoutError,
    WriteStalledError,
)
from proxy.forward.headers import write_head
from proxy.forward.http1 import Framing

_NO_LINGER = struct.pack("ii", 1, 0)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(slots=True, frozen=True)
class PortLimits:
    """Sizes in bytes and times in seconds of the data port."""

    max_header_line_bytes: int
    max_header_bytes: int
    max_headers: int
    keepalive_seconds: float
    body_idle_seconds: float
    write_stall_seconds: float


class Agent:
    """One request and the place where its answer goes."""

    def __init__(self, request: web.BaseRequest, limits: PortLimits) -> None:
        """Wrap aiohttp's request; nothing is read yet."""
        self._request = request
        self._limits = limits
        self._connection = cast(AgentConnection, request.protocol)
        self._transport = request.transport
        self.method = request.method.encode("ascii")
        self.target = request.raw_path.encode("utf-8", "surrogateescape")
        self.headers: tuple[tuple[bytes, bytes], ...] = request.raw_headers
        self.head_too_large = self._head_bytes() > limits.max_header_bytes
        self.version = (request.version.major, request.version.minor)
        self.minor_version = request.version.minor
        self._keep_alive = request.keep_alive
        self._lower = {name.lower(): value for name, value in reversed(self.headers)}
        self.chunked = b"transfer-encoding" in self._lower
        expect = self._lower.get(b"expect", b"").lower()
        self.expects_continue = expect == b"100-continue" and self.minor_version >= 1
        self._chunked_answer = False
        self.ends_with_connection = False
        """Only the end of the connection tells the agent that the answer is over."""
        self.started = False
        self.finished = False
        self.draining = False
        self.overdue = False
        """The drain's time is over: the port cuts the request."""
        self.endless: Callable[[], bool] = lambda: False
        """Whether the answer has no end of its own, so that a drain need not wait for it."""
        self.body_wait = 0.0
        """Seconds spent waiting for the agent's body."""

    def _head_bytes(self) -> int:
        fields = sum(len(name) + len(value) + 4 for name, value in self.headers)
        return len(self.target) + fields

    def get(self, name: bytes) -> bytes | None:
        """Give the first value of a header (name in lower case)."""
        return self._lower.get(name)

    @property
    def content_length(self) -> int | None:
        """The request's Content-Length; the parser has checked that it is a number."""
        value = self._lower.get(b"content-length")
        return int(value) if value else None

    @property
    def peer(self) -> tuple[str, int]:
        """Address and port of the other end; empty where the connection is gone or has none (a Unix socket)."""
        transport = self._transport
        found = transport.get_extra_info("peername") if transport else None
        return (found[0], found[1]) if isinstance(found, tuple) else ("", 0)

    @property
    def has_body(self) -> bool:
        """Whether bytes of a body come."""
        return not self._request.content.at_eof()

    @property
    def body_arrived(self) -> bool:
        """Whether all of the body is here already."""
        return self._request.content.is_eof()

    @property
    def gone(self) -> bool:
        """Whether the agent has closed its connection."""
        return self._connection.transport is None

    def ask_for_body(self) -> None:
        """Answer `Expect: 100-continue`, now that the request is welcome (RFC 9110 §10.1.1)."""
        if self.expects_continue and not self.started and self._transport is not None:
            self.expects_continue = False
            self._transport.write(_CONTINUE)

    async def read_body(self) -> bytes:
        """Give the next bytes of the body, empty at its end.

        Raises `BodyTimeoutError` when the agent stops sending, `BodyMalformedError` when what it sends is not HTTP,
        `AgentGoneError` when it leaves.
        """
        content = self._request.content
        if content.at_eof():
            return b""
        if content.is_eof() and content.exception() is None:
            return content.read_nowait()  # all of it is here: nothing to wait for
        began = monotonic()
        try:
            async with asyncio.timeout(self._limits.body_idle_seconds):
                return await content.readany()
        except TimeoutError as error:
            raise BodyTimeoutError(
                f"no byte of the body for {self._limits.body_idle_seconds:g} s"
            ) from error
        except web.RequestPayloadError as error:
            raise BodyMalformedError("the request's body breaks HTTP") from error
        except ConnectionError as error:
            raise AgentGoneError("the agent closed its connection") from error
        finally:
            self.body_wait += monotonic() - began

    def start(
        self,
        status: int,
        reason: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        framing: Framing,
    ) -> None:
        """Write the head. The framing of the upstream is kept, as far as the agent's version of HTTP has it."""
        self._chunked_answer = framing is Framing.CHUNKED and self.minor_version >= 1
        until_close = framing is Framing.UNTIL_CLOSE or (
            framing is Framing.CHUNKED and not self._chunked_answer
        )
        self.ends_with_connection = until_close
        if until_close or self.draining or self._may_have_trailers:
            self._keep_alive = False
        lines = [*headers]
        named = any(name.lower() == b"transfer-encoding" for name, _ in lines)
        if self._chunked_answer and not named:
            lines.append((b"Transfer-Encoding", b"chunked"))
        elif named and not self._chunked_answer:
            lines = [each for each in lines if each[0].lower() != b"transfer-encoding"]
        if not self._keep_alive:
            lines.append((b"Connection", b"close"))
        elif self.minor_version == 0:
            lines.append((b"Connection", b"keep-alive"))
        self.started = True
        self._write(write_head(b"HTTP/1.1 %d %b" % (status, reason), lines))

    async def write(self, chunk: bytes) -> None:
        """Send bytes of the body; waits while the agent does not read. Raises `WriteStalledError`, `AgentGoneError`."""
        if self._chunked_answer:
            chunk = b"%x\r\n%b\r\n" % (len(chunk), chunk)
        self._write(chunk)
        if self._connection.writing_paused:
            try:
                async with asyncio.timeout(self._limits.write_stall_seconds):
                    await self._connection.drain()
            except TimeoutError as error:
                raise WriteStalledError(
                    f"the agent read nothing for {self._limits.write_stall_seconds:g} s"
                ) from error
            except ConnectionError as error:
                raise AgentGoneError("the agent closed its connection") from error

    def _write(self, data: bytes) -> None:
        transport = self._connection.transport
        if transport is None or transport.is_closing():
            raise AgentGoneError("the agent closed its connection")
        transport.write(data)

    def finish(self) -> None:
        """Say that the answer is whole."""
        if self._chunked_answer:
            self._write(b"0\r\n\r\n")
        self.finished = True

    def answer(
        self,
        status: int,
        reason: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes,
    ) -> None:
        """Send a whole answer of our own."""
        if self.has_unread_body:
            self._keep_alive = False
        length = (b"Content-Length", str(len(body)).encode("ascii"))
        self.start(status, reason, [*headers, length], Framing.LENGTH)
        if self.method != b"HEAD":
            self._write(body)
        self.finished = True

    @property
    def has_unread_body(self) -> bool:
        """Whether the agent still has bytes of its body to send."""
        return not self._request.content.at_eof()

    @property
    def _may_have_trailers(self) -> bool:
        return (
            self.chunked
            and self.body_arrived
            and not self._connection.chunked_end_is_plain
        )

    def close_after(self) -> None:
        """Do not use the connection for another request."""
        self._keep_alive = False

    def cut(self) -> None:
        """End an answer that is not whole, so that the agent can see it.

        Without its last chunk or byte an answer is visibly cut once the connection closes; one that ends with the
        connection needs a reset.
        """
        if self.ends_with_connection:
            self.reset()
        else:
            self.close()

    def reset(self) -> None:
        """Drop the connection at once; the agent sees a reset, never a clean end."""
        self._keep_alive = False
        transport = self._connection.transport
        if transport is None:
            return
        sock = transport.get_extra_info("socket")
        if sock is not None:
            # Without this, close() sends a FIN when nothing unread is left in the socket.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()

    def close(self) -> None:
        """Close the connection after what has been written."""
        self._keep_alive = False
        if self._connection.transport is not None:
            self._connection.transport.close()

    def write_raw(self, data: bytes) -> None:
        """Send bytes of an upgraded connection; an agent that is gone has cancelled the handler already."""
        transport = self._connection.transport
        if transport is not None and not transport.is_closing():
            self.started = True
            transport.write(data)

    def write_eof(self) -> None:
        """Say that no more bytes come on an upgraded connection."""
        transport = self._connection.transport
        if (
            transport is not None
            and not transport.is_closing()
            and transport.can_write_eof()
        ):
            transport.write_eof()

    def tunnel(
        self, on_data: Callable[[bytes], None], on_eof: Callable[[], None]
    ) -> AgentConnection:
        """Hand all further bytes of the agent to `on_data`; for upgraded connections."""
        connection = self._connection
        connection.tunnel = Tunnel(on_data, on_eof)
        connection.set_parser(cast(Any, connection.tunnel))
        self._keep_alive = False
        return connection

    def response(self) -> web.StreamResponse:
        """Tell aiohttp how the connection goes on."""
        if self._request.content.exception() is not None:
            self._connection.force_close()
        if self._may_have_trailers:
            self._keep_alive = False
        return Sent(keep_alive=self._keep_alive and self.finished)
