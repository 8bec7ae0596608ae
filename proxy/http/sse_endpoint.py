"""The endpoint that an MCP server of the old HTTP+SSE transport names, as the agent must call it.

What lives here: finding the event `endpoint` at the beginning of a stream, and replacing the URL that it names. What does not: which
URL leads back here (`leading_back.py`), knowing which streams may begin with it (the dialect), counting, recording.

Strategy: such a stream begins with `event: endpoint` and `data: /messages?session_id=...`. The client joins that to its own
URL, and refuses another origin. Only the bytes of that one value are replaced. Of the first event its data is held until its blank
line, and only while it may be the one.
https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
"""

import re
from collections.abc import Iterator

from proxy.http.leading_back import LeadingBack

CAP_BYTES = 8192
"""So much of an event is held at most; a larger one goes on as it is."""

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\r|\n)")
_OBJECT = re.compile(rb"data: ?[{\[]")


class SseEndpoint:
    """Rewrites the endpoint in the first event of one stream; all else passes as it is."""

    def __init__(self, leading_back: LeadingBack) -> None:
        self._leading_back = leading_back
        self._held = b""
        self._at = 0
        self._after_cr = False
        self._name = b""
        self._value: slice | None = None
        self.over = False
        """All that comes passes as it is."""
        self.rewritten = False
        self.unreachable = False
        """The endpoint lies outside of the route, so that no path of ours leads to it."""
        self.named = False
        """It was an endpoint: answers to other calls come on this stream."""
        self.too_long = False
        """The first event was larger than the cap, so that nobody looked for an endpoint in it."""

    def feed(self, chunk: bytes) -> bytes:
        """Give what may go on to the agent now."""
        passed = []
        while chunk and not self.over:
            # No more than what decides that it is too long, so that it does not matter how the stream is sliced.
            room = CAP_BYTES + 1 - len(self._held)
            self._held, chunk = self._held + chunk[:room], chunk[room:]
            passed += [*map(self._take_line, self._lines()), self._undecided()]
        return b"".join(passed) + chunk

    def flush(self) -> bytes:
        """Give the rest, at the end of the stream."""
        self.over = True
        rest, self._held = self._held, b""
        return rest

    def _lines(self) -> Iterator[re.Match[bytes]]:
        while not self.over and (found := _LINE.match(self._held, self._at)):
            yield found

    def _undecided(self) -> bytes:
        """Give what is held of an unfinished line and of its event, unless that may be ours to change."""
        rest = self._held[self._at :]
        is_object = not self._name and _OBJECT.match(rest) is not None
        if self.over or is_object:
            return self.flush()
        self.too_long = len(self._held) > CAP_BYTES
        return self.flush() if self.too_long else b""

    def _take_line(self, found: re.Match[bytes]) -> bytes:
        """Take a line; give what can go on, which is all before the data."""
        start, self._at = self._at, found.end()
        line = found[1]
        second_half = self._after_cr and found[0] == b"\n"
        self._after_cr = found[2] == b"\r" and self._at == len(self._held)
        if not second_half:
            self._read_line(line, start)
        if self.over or self._value is not None:
            return b""
        passed, self._held = self._held[: self._at], self._held[self._at :]
        self._at = 0
        return passed

    def _read_line(self, line: bytes, start: int) -> None:
        name, _, value = line.partition(b":")
        begins = start + len(line) - len(value) + value.startswith(b" ")
        if not line and self._value is not None:
            self._end_event(self._value)
        elif not line:
            self._name = b""
        elif name == b"event":
            self._name = value.removeprefix(b" ")
            self.over = self._name != b"endpoint"
        elif name == b"data":
            # An endpoint of two lines is none.
            self.over = self._value is not None
            self._value = slice(begins, start + len(line))

    def _end_event(self, place: slice) -> None:
        self.over = True
        self.named = self._name == b"endpoint"
        if self.named:
            held, wanted = self._held, self._leading_back.wanted(self._held[place])
            self.unreachable = self._leading_back.unreachable
            if wanted is not None:
                self.rewritten = True
                self._held = held[: place.start] + wanted + held[place.stop :]
