"""Takes out of an answer stream what the injected field put in.

What lives here: the exact undo of `inject.splice`, event by event, however the stream is sliced. What does not: compressed streams
(the request asks for identity). The meter reads the stream before it is stripped.
"""

from enum import Enum

from proxy.meter.members import Members, find_member, read_members

EVENT_CAP_BYTES = 1 << 20
"""An unfinished event beyond this is passed on as it stands."""


class _Line(Enum):
    """What a line, or its beginning, says of its event."""

    COMMENT = "passes at once, and decides nothing"
    FIELD = "undecided yet"
    OBJECT = "begins a JSON object: the whole event is needed"
    OTHER = "nothing in this event is ours to take"


_FIELDS = (b"data:", b"event:", b"id:", b"retry:")
_BLANK = (b"\n", b"\r\n")
_HEAD_BYTES = 64
"""So much of a line is looked at to see what it is."""


def _kind(head: bytes) -> _Line:
    if head.startswith(b":"):
        return _Line.COMMENT
    if head.startswith(b"data:"):
        payload = head[5:].lstrip(b" ")
        if not payload:
            return _Line.FIELD
        return _Line.OBJECT if payload.startswith(b"{") else _Line.OTHER
    known = head.startswith(_FIELDS) or any(name.startswith(head) for name in _FIELDS)
    return _Line.FIELD if known else _Line.OTHER


class Stripper:
    """Takes out of an answer stream what the injected field put in: the usage event and the `"usage":null` members.

    What comes out is what the server would have sent to the agent's own request, however the stream is sliced. Holds at most one
    unfinished event, and that only while something of it could be taken: it is judged at its blank line.
    """

    def __init__(
        self, cap_bytes: int = EVENT_CAP_BYTES, *, takes_nulls: bool = True
    ) -> None:
        """`takes_nulls` is false for servers that send `"usage":null` unasked, as vLLM does in legacy completions."""
        self.overflowed = False
        """An event was longer than the cap and went on unjudged."""
        self._cap_bytes = cap_bytes
        self._takes_nulls = takes_nulls
        self._line = bytearray()
        self._flowing = False
        self._begin_event()

    def _begin_event(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._object = False
        self._passing = False

    def feed(self, chunk: bytes) -> bytes:
        """Give what may go on to the agent now."""
        idle = not (self._held or self._line or self._flowing)
        if idle and b"usage" not in chunk and chunk.endswith((b"\n\n", b"\n\r\n")):
            self._passing = False
            return chunk
        out: list[bytes] = []
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            whole = bytes(self._line) + line + b"\n"
            self._line.clear()
            self._take_line(whole, out)
        if rest:
            self._take_rest(rest, out)
        return b"".join(out)

    def flush(self) -> bytes:
        """Give the rest, at the end of the stream."""
        rest = [*self._held, bytes(self._line)]
        self._line.clear()
        self._begin_event()
        return b"".join(_stripped(rest, self._takes_nulls))

    def _take_line(self, line: bytes, out: list[bytes]) -> None:
        if self._flowing:
            self._flowing = False
            out.append(line)
        elif line in _BLANK:
            out += _stripped([*self._held, line], self._takes_nulls)
            self._begin_event()
        elif self._passing:
            out.append(line)
        else:
            self._hold(line, out)

    def _hold(self, line: bytes, out: list[bytes]) -> None:
        """Keep a whole line, unless it decides that nothing of its event is taken."""
        kind = _kind(line[:_HEAD_BYTES])
        if kind is _Line.COMMENT and not self._held:
            out.append(line)
            return
        several = self._object and line.startswith(b"data:")
        self._held.append(line)
        self._held_bytes += len(line)
        self._object = self._object or kind is _Line.OBJECT
        if kind is _Line.OTHER or several or b"\r" in line[:-2] or self._over_cap():
            self._pass_event(out)

    def _take_rest(self, rest: bytes, out: list[bytes]) -> None:
        """Keep the beginning of a line, unless nothing of it can be taken."""
        if self._flowing:
            out.append(rest)
            return
        seen = len(self._line)
        self._line += rest
        if self._line == b"\r":
            return
        kind = _kind(bytes(self._line[:_HEAD_BYTES]))
        # A carriage return alone ends a line too; nobody sends that, and nobody shall wait for a line feed then.
        odd = self._line.find(b"\r", max(seen - 1, 0), len(self._line) - 1) >= 0
        if not self._passing and (kind is _Line.OTHER or odd or self._over_cap()):
            self._pass_event(out)
        if self._passing or (kind is _Line.COMMENT and not self._held):
            out.append(bytes(self._line))
            self._line.clear()
            self._flowing = True

    def _over_cap(self) -> bool:
        over = self._held_bytes + len(self._line) > self._cap_bytes
        self.overflowed = self.overflowed or over
        return over

    def _pass_event(self, out: list[bytes]) -> None:
        out += self._held
        self._begin_event()
        self._passing = True


def _stripped(event: list[bytes], takes_nulls: bool) -> list[bytes]:
    """Take from the lines of one event what the injection caused."""
    data = [index for index, line in enumerate(event) if line.startswith(b"data:")]
    if len(data) != 1 or b'"usage"' not in event[data[0]]:
        return event
    line = event[data[0]]
    members = read_members(line[5:]) or {}
    usage = bytes(members.get("usage", b""))
    if (
        usage.startswith(b"{")
        and bytes(members.get("choices", b"")).translate(None, b" \t") == b"[]"
    ):
        return [other for other in event if other.startswith(b":")]
    cut = _null_usage(line, members) if usage == b"null" and takes_nulls else None
    if cut is None:
        return event
    return [
        line[: cut.start] + line[cut.stop :] if other is line else other
        for other in event
    ]


def _null_usage(line: bytes, members: Members) -> slice | None:
    """Find the member to cut; where the key stands once and unescaped, as in almost every chunk, without stepping through."""
    start = line.find(b',"usage":null')
    if start > 0 and line.count(b'"usage"') == 1 and b"\\u" not in line:
        return slice(start, start + len(b',"usage":null'))
    place = find_member(line, members, "usage")
    return place.cut if place else None
