"""Splits a server-sent event stream into events while it arrives.

What lives here: line ends, fields and event borders of `text/event-stream`. What does not: what the data means.

Strategy. Work goes line by line, and per chunk it is one `split`: lines that go on in the next chunk wait in a list and
are joined once. Every line is first shown to `plain`, which knows most of them by their beginning and end. A `data:` line
is shown to `event` the moment it is complete, because the blank line behind it may come much later and a terminal event
must be known before it is passed on; where the data only makes sense together with further lines (pretty-printed JSON),
`event` says so, and is asked again with all of it.
https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from collections.abc import Callable

EVENT_CAP = 8 << 20
"""Bytes of one event, or one line, that are held; a longer one is skipped and flagged."""

EAGER_TRIES = 16
"""How often the data of one event is shown before its blank line; keeps events of a million lines linear."""

_BOM = b"\xef\xbb\xbf"


Plain = Callable[[bytes], bool]
"""Takes a whole line that surely needs no further reading; called outside of events of several lines, must be cheap."""

Event = Callable[[bytes, bytes, bool], bool]
"""Takes name and data of an event; False (heeded unless the third, `last`, is true): incomplete, wait for more lines."""


class EventStream:
    """Tells `plain` and `event` what stands in chunks cut anywhere; the result does not depend on the cuts."""

    def __init__(self, plain: Plain, event: Event, cap: int = EVENT_CAP) -> None:
        self._plain = plain
        self._event = event
        self._cap = cap
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._overlong = False
        self._after_cr = False
        self._fresh = True
        self._name = b""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self.truncated = False
        """A line or event was longer than the cap and is missing."""

    @property
    def idle(self) -> bool:
        """Whether an event has just ended and nothing of the next one is there."""
        return not (
            self._waiting
            or self._data_bytes
            or self._name
            or self._after_cr
            or self._overlong
        )

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        if self._after_cr or b"\r" in chunk:
            chunk = self._without_cr(chunk)
        lines = chunk.split(b"\n")
        unfinished = lines.pop()
        if lines:
            if self._waiting or self._overlong:
                lines[0] = self._take_waiting(lines[0])
            if self._fresh:
                self._fresh = False
                lines[0] = lines[0].removeprefix(_BOM)
            self._lines(lines)
        if unfinished:
            self._wait(unfinished)

    def _without_cr(self, chunk: bytes) -> bytes:
        """Make CRLF and CR into LF; a CR at the very end ends its line at once, and an LF after it is none."""
        if self._after_cr:
            if not chunk:
                return chunk
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _wait(self, piece: bytes) -> None:
        if self._overlong:
            return
        self._waiting.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > self._cap:
            self._overlong = self.truncated = True
            self._waiting.clear()

    def _take_waiting(self, end: bytes) -> bytes:
        """Give the line that ends here; an overlong one is given as a comment, and its event is given up."""
        self._waiting.append(end)
        line = b":" if self._overlong else b"".join(self._waiting)
        if self._overlong:
            self._give_up()
        self._waiting.clear()
        self._waiting_bytes = 0
        self._overlong = False
        return line

    def _lines(self, lines: list[bytes]) -> None:
        plain = self._plain
        for line in lines:
            if not line:
                if self._name or self._data_bytes:
                    self._end_event()
            elif self._data or not plain(line):
                self._field(line)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if len(line) > self._cap:
            self._give_up()
        elif name == b"data":
            self._add_data(value.removeprefix(b" "))
        elif name == b"event":
            self._name = value.removeprefix(b" ")

    def _add_data(self, value: bytes) -> None:
        held = self._data
        if self._data_bytes + len(value) > self._cap:
            self._give_up()
            return
        held.append(value)
        self._data_bytes += len(value) + 1
        if len(held) <= EAGER_TRIES and value.endswith((b"}", b"]")):
            data = value if len(held) == 1 else b"\n".join(held)
            if self._event(self._name, data, False):
                held.clear()
                self._data_bytes = 0

    def _give_up(self) -> None:
        """Skip what is left of this event."""
        self.truncated = True
        self._data.clear()
        self._data_bytes = self._cap + 1

    def _end_event(self) -> None:
        if self._data:
            data = b"\n".join(self._data)
            self._data.clear()
            self._event(self._name, data, True)
        self._name = b""
        self._data_bytes = 0
