"""Cuts a stream between its events, so that some of them can be kept back.

What lives here: where an event ends, in server-sent events, in lines of JSON and in AWS's event streams. What does not: what events say (`dialects/`),
who keeps which of them back (`proxy/holding.py`). No byte is changed: joined, the events are the stream.
"""

import re
import struct
from collections.abc import Callable

_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?=[^\n]))(?:\r\n|\n|\r(?=[^\n]))+")
_LONGEST_BLANK = 4
"""A border that has begun is looked for again, from so many bytes back."""
_SIZE = struct.Struct(">I")
_SMALLEST_FRAME = 16

Find = Callable[[bytes | bytearray, int, int], int | None]
"""Gives the end of the event that begins at the first place, `None` where it has not come; it does not end before the second."""


class Cutter:
    """Gives whole events of a stream that comes in any pieces."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._waiting = bytearray()
        self._searched = 0

    @property
    def waiting_bytes(self) -> int:
        """How much of an event is here that has not ended."""
        return len(self._waiting)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; give the events that have ended."""
        data: bytes | bytearray = chunk
        if self._waiting:
            # In place: to copy what waits for each piece would cost the square of a long event.
            self._waiting += chunk
            data = self._waiting
        events: list[bytes] = []
        at, searched = 0, self._searched
        while at < len(data):
            end = self._find(data, at, searched)
            if end is None:
                break
            events.append(bytes(data[at:end]))
            at = searched = end
        if data is self._waiting:
            del self._waiting[:at]
        else:
            self._waiting += data[at:]
        self._searched = max(0, len(self._waiting) - _LONGEST_BLANK)
        return events

    def rest(self) -> bytes:
        """Give what has come of an event that has not ended."""
        rest, self._waiting, self._searched = bytes(self._waiting), bytearray(), 0
        return rest


class EventCutter(Cutter):
    """Gives whole server-sent events."""

    def __init__(self) -> None:
        super().__init__(_end_of_event)


def cutter_for(content_type: str) -> Cutter | None:
    """Give what cuts an answer of this type; `None` for one that is no stream, or in a framing that cannot be cut."""
    kind = content_type.lower()
    for begin, find in _FRAMINGS:
        if kind.startswith(begin):
            return Cutter(find)
    return None


def _end_of_event(data: bytes | bytearray, _: int, searched: int) -> int | None:
    found = _BLANK_LINE.search(data, searched)
    return found.end() if found else None


def _end_of_line(data: bytes | bytearray, _: int, searched: int) -> int | None:
    return data.find(b"\n", searched) + 1 or None


def _end_of_frame(data: bytes | bytearray, at: int, _: int) -> int | None:
    """Read the length that a frame begins with; what is none ends with what has come."""
    if len(data) - at < _SIZE.size:
        return None
    size: int = _SIZE.unpack_from(data, at)[0]
    if size < _SMALLEST_FRAME:
        return len(data)
    return at + size if at + size <= len(data) else None


_FRAMINGS: tuple[tuple[str, Find], ...] = (
    ("text/event-stream", _end_of_event),
    ("application/x-ndjson", _end_of_line),
    ("application/jsonl", _end_of_line),
    ("application/stream+json", _end_of_line),
    ("application/vnd.amazon.eventstream", _end_of_frame),
)
