"""The provider's side: one connection, and how its failures are named.

What lives here: one exchange at a time on a connection, time limits, flow control both ways. What does not: connecting
(`connect.py`), reuse (`pool.py`), what is sent (`relay.py`), how an answer is read (`http1.py`).

A request is never sent twice: a connection that dies before the first byte of an answer is an error that the agent sees
(`stale_connection` if it had been used before), since nobody knows whether the provider began to work.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from time import monotonic
from typing import cast

from proxy.forward.bell import NEVER_SECONDS, Bell
from proxy.forward.failures import UpstreamError
from proxy.forward.http1 import AnswerHead, AnswerReader, ProtocolError
from proxy.forward.inbox import Inbox
from proxy.forward.origin import Limits, Origin
from proxy.model import ErrorType


class UpstreamConnection(asyncio.Protocol):
    """One connection to a provider; carries one exchange after the other, never two at once.

    `send`, `drain`, `head` and `read` are called by the one task that has the exchange.
    """

    def __init__(self, origin: Origin) -> None:
        """Start unconnected; the event loop calls `connection_made`."""
        self.origin = origin
        self.transport: asyncio.Transport | None = None
        self.used = 0
        self.idle_since = 0.0
        self.tunnel: Callable[[bytes], None] | None = None
        self.tunnel_eof: Callable[[], None] | None = None
        self.on_writable: Callable[[bool], None] | None = None
        self._lost: UpstreamError | None = None
        self._eof = False
        self._reader: AnswerReader | None = None
        self.inbox = Inbox(0.0)
        self._reading_paused = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._bell = Bell()
        self.request_sent = False
        """Set by the sender when the whole request is on its way."""
        self.first_byte_at: float | None = None
        self.head_at: float | None = None

    # The event loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; requests are small, so they are sent at once."""
        self.transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the answer's reader, or to the tunnel."""
        if self.tunnel is not None:
            self.tunnel(data)
            return
        if self._reader is None:
            self._fail(
                UpstreamError(
                    ErrorType.UPSTREAM_PROTOCOL_ERROR, "the upstream spoke unasked"
                )
            )
            self.abort()
            return
        now = monotonic()
        if self.first_byte_at is None:
            self.first_byte_at = now
        try:
            body = self._reader.feed(data)
        except ProtocolError as error:
            self._fail(UpstreamError(ErrorType.UPSTREAM_PROTOCOL_ERROR, str(error)))
            self.abort()
            return
        if self._reader.head is not None and self.head_at is None:
            self.head_at = now
        if body:
            self.inbox.put(body, now)
            if self.inbox.full and not self._reading_paused:
                self._reading_paused = True
                self.pause_reading()
        self._bell.ring()

    def eof_received(self) -> bool:
        """Note the end of the upstream's bytes; the transport stays open only for a tunnel's other half."""
        self._eof = True
        if self.tunnel_eof is not None:
            self.tunnel_eof()
            return True
        if self._reader is not None:
            self._reader.feed_eof()
        self._bell.ring()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits; what is buffered can still be read."""
        if self._reader is not None and exc is None:
            self._reader.feed_eof()
        self._fail(self._loss(exc))
        self._writable.set()
        if self.tunnel_eof is not None and not self._eof:
            self.tunnel_eof()
        self.transport = None

    def _loss(self, exc: Exception | None) -> UpstreamError:
        if self.first_byte_at is None:
            if self.used > 1:
                return UpstreamError(
                    ErrorType.STALE_CONNECTION,
                    "the upstream closed a reused connection",
                )
            return UpstreamError(
                ErrorType.CONNECT,
                "the upstream closed the connection before it answered",
            )
        if isinstance(exc, ssl.SSLError):
            return UpstreamError(
                ErrorType.TLS,
                "TLS with the upstream failed in the middle of the answer",
            )
        return UpstreamError(
            ErrorType.CUT,
            "the upstream closed the connection in the middle of its answer",
        )

    def pause_writing(self) -> None:
        """Hold the sender: the upstream does not read."""
        self._writable.clear()
        if self.on_writable is not None:
            self.on_writable(False)

    def resume_writing(self) -> None:
        """Let the sender go on."""
        self._writable.set()
        if self.on_writable is not None:
            self.on_writable(True)

    def _fail(self, error: UpstreamError) -> None:
        if self._lost is None:
            self._lost = error
        self._bell.ring()

    # The exchange's side.

    def begin(
        self, method: bytes, limits: Limits, *, allow_upgrade: bool = False
    ) -> None:
        """Start an exchange; the connection must be idle."""
        self.used += 1
        self.request_sent = False
        self._bell.reset()
        self.first_byte_at = self.head_at = None
        self.inbox = Inbox(monotonic())
        self._reader = AnswerReader(method, limits.max_head_bytes, allow_upgrade)

    def write(self, data: bytes) -> None:
        """Send bytes; a lost connection is reported by the reading side."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def write_eof(self) -> None:
        """Say that no more bytes come; only a tunnel does that."""
        if (
            self.transport is not None
            and not self.transport.is_closing()
            and self.transport.can_write_eof()
        ):
            self.transport.write_eof()

    async def drain(self) -> None:
        """Wait until the upstream takes more."""
        await self._writable.wait()

    async def wants_body(self, patience_seconds: float) -> bool:
        """Wait for the upstream's 100 or its answer; whether to send the body, as also when it says nothing in time."""
        try:
            async with asyncio.timeout(patience_seconds):
                await self._bell.rung.wait()
        except TimeoutError:
            return True
        return self.alive and (self._reader is None or self._reader.head is None)

    @property
    def ended(self) -> bool:
        """Whether the upstream has said that no more bytes come."""
        return self._eof

    @property
    def alive(self) -> bool:
        """Whether bytes can still be sent."""
        return (
            self._lost is None
            and self.transport is not None
            and not self.transport.is_closing()
        )

    @property
    def finished(self) -> bool:
        """Whether the whole answer has arrived and has been read."""
        return (
            self._reader is not None and self._reader.complete and self.inbox.is_empty()
        )

    @property
    def surplus(self) -> bytes:
        """What came behind the answer; the first bytes of a tunnel."""
        return self._reader.surplus if self._reader is not None else b""

    async def head(self, first_byte_seconds: float | None) -> AnswerHead:
        """Wait for the answer's head. Raises `UpstreamError`."""
        deadline = monotonic() + (first_byte_seconds or NEVER_SECONDS)
        reader = self._reader
        assert reader is not None
        while reader.head is None:
            if self._lost is not None:
                raise self._lost
            if not await self._bell.wait(deadline):
                raise UpstreamError(
                    ErrorType.TTFB_TIMEOUT,
                    f"the upstream sent no answer within {first_byte_seconds:g} s",
                )
        return reader.head

    async def read(self, idle_seconds: float | None) -> bytes:
        """Give the next bytes of the body, empty at its end. Raises `UpstreamError`."""
        reader = self._reader
        assert reader is not None
        inbox = self.inbox
        while inbox.is_empty():
            if reader.complete:
                return b""
            if self._lost is not None:
                raise self._lost
            since = max(inbox.last_at, self.head_at or 0.0)
            deadline = since + (idle_seconds or NEVER_SECONDS)
            news = await self._bell.wait(deadline)
            if not news and inbox.is_empty() and monotonic() >= deadline:
                raise UpstreamError(
                    ErrorType.IDLE_TIMEOUT,
                    f"the upstream sent nothing for {idle_seconds:g} s",
                )
        data = inbox.take()
        if self._reading_paused:
            self._reading_paused = False
            self.resume_reading()
            inbox.last_at = monotonic()
        return data

    def pause_reading(self) -> None:
        """Stop taking bytes from the upstream."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def abort(self) -> None:
        """Drop the connection at once; the upstream sees a reset and can stop working."""
        if self.transport is not None:
            self.transport.abort()

    @property
    def reusable(self) -> bool:
        """Whether another exchange may follow: the answer is whole, nothing came behind it, both sides agree."""
        reader = self._reader
        return (
            reader is not None
            and self.request_sent
            and reader.complete
            and not reader.surplus
            and reader.head is not None
            and reader.head.keep_alive
            and reader.head.status != 101
            and not self._eof
            and self.alive
        )

    def rest(self, now: float) -> None:
        """Become idle: bytes that come now are unasked."""
        self._reader = None
        self.idle_since = now
