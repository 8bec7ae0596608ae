"""One connection of an agent: aiohttp's request handler with the holes closed.

What lives here: what aiohttp's parser refuses or gives up on, flow control, upgraded connections. What does not: requests
(`agent.py`), listening (`server.py`).
"""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from proxy.forward.failures import BodyMalformedError
from proxy.forward.headers import write_head


def _refusal(first_line: bytes, kind: bytes, text: bytes) -> bytes:
    body = b'{"error": {"type": "%b", "code": "%b", "message": "tachograph: %b"}}' % (
        kind,
        kind,
        text,
    )
    lines = [
        (b"Content-Type", b"application/json"),
        (b"x-tacho-error", kind),
        (b"Content-Length", str(len(body)).encode("ascii")),
        (b"Connection", b"close"),
    ]
    return write_head(first_line, lines) + body


_PLAIN_END = b"\r\n0\r\n\r\n"
_MALFORMED = _refusal(
    b"HTTP/1.1 400 Bad Request",
    b"invalid_request",
    b"the request is not valid HTTP/1.1",
)
_LINE_TOO_LONG = _refusal(
    b"HTTP/1.1 431 Request Header Fields Too Large",
    b"too_large",
    b"a line of the request's head is too long; limits.max_header_line_bytes says how long it may be",
)
_FAILED = _refusal(
    b"HTTP/1.1 500 Internal Server Error", b"internal", b"the proxy failed"
)


class AgentConnection(web.RequestHandler):
    """One connection of an agent: aiohttp's request handler with the holes closed."""

    __slots__ = (
        "_head_bytes",
        "_last_bytes",
        "_malformed",
        "_max_head_bytes",
        "tunnel",
        "writable_changed",
    )

    def __init__(
        self,
        manager: web.Server,
        max_head_bytes: int,
        malformed: Callable[[str], None],
        **settings: Any,
    ) -> None:
        """`malformed` gets the reason of each refusal that is made here, before a handler is asked."""
        super().__init__(manager, **settings)
        self._max_head_bytes = max_head_bytes
        self._malformed = malformed
        self._head_bytes = 0
        self._last_bytes = b""
        self.tunnel: Tunnel | None = None
        self.writable_changed: Callable[[bool], None] | None = None

    def data_received(self, data: bytes) -> None:
        """Bound the head's total size, and fail a body that the parser gave up on (aiohttp would leave it hanging)."""
        self._last_bytes = (self._last_bytes + data)[-len(_PLAIN_END) :]
        idle = self._waiter is not None and not self._waiter.done()
        super().data_received(data)
        if idle and self._waiter is not None and not self._waiter.done():
            self._head_bytes += len(data)
            if self._head_bytes > self._max_head_bytes:
                self._refuse_head()
            return
        self._head_bytes = 0
        self._fail_broken_body()

    @property
    def chunked_end_is_plain(self) -> bool:
        """Whether a chunked body that has been read surely had no trailers and nothing came behind it.

        aiohttp 3.14.5 makes the last trailer the first header of the next request on the connection: an agent behind a
        shared front proxy could smuggle headers into another's request. After such a body the connection is not used again.
        """
        return self._last_bytes == _PLAIN_END and not self._messages

    def _fail_broken_body(self) -> None:
        request = self._current_request
        if request is None or not self._messages or request.content.is_eof():
            return
        broken = getattr(self._messages[-1][0], "exc", None)
        if isinstance(broken, HttpProcessingError):
            request.content.set_exception(
                BodyMalformedError("the request's body breaks HTTP")
            )

    def _refuse_head(self) -> None:
        self._malformed("head_too_large")
        if self.transport is not None:
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        self.force_close()

    def eof_received(self) -> bool | None:  # type: ignore[override]  # asyncio's own contract; aiohttp narrowed it
        """Pass the agent's half-close on when it speaks through a tunnel."""
        if self.tunnel is not None:
            self.tunnel.feed_eof()
            return True
        return None

    def pause_writing(self) -> None:
        """Note that the agent does not read."""
        super().pause_writing()
        if self.writable_changed is not None:
            self.writable_changed(False)

    def resume_writing(self) -> None:
        """Note that the agent reads again."""
        super().resume_writing()
        if self.writable_changed is not None:
            self.writable_changed(True)

    async def drain(self) -> None:
        """Wait until the agent has taken what is buffered."""
        await self._drain_helper()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp itself refuses, without a traceback and without quoting the request."""
        if status >= 500:
            reason, refusal = "internal", _FAILED
        elif isinstance(exc, LineTooLong):
            reason, refusal = "head_too_large", _LINE_TOO_LONG
        else:
            reason, refusal = "malformed_request", _MALFORMED
        self._malformed(reason)
        if self.transport is not None and not request.writer.output_size:
            self.transport.write(refusal)
        return Sent(keep_alive=False)


class Tunnel:
    """What the agent's bytes go to after an upgrade; has the shape of aiohttp's payload parsers."""

    def __init__(
        self, on_data: Callable[[bytes], None], on_eof: Callable[[], None]
    ) -> None:
        """Hand each piece of data to `on_data`, the end to `on_eof`."""
        self._on_data = on_data
        self._on_eof = on_eof

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take bytes from the agent; the tunnel never ends by itself."""
        self._on_data(data)
        return False, b""

    def feed_eof(self) -> None:
        """Take the end of the agent's bytes."""
        self._on_eof()


class Sent(web.StreamResponse):
    """Tells aiohttp that the answer is on the transport already."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._reusable = keep_alive

    @property
    def keep_alive(self) -> bool:
        return self._reusable

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None
