"""Reads an answer that is one JSON value a line, or one value alone: Ollama, and Cohere's first API.

What lives here: lines cut anywhere, telling such a stream from a single document and from server-sent events. What does not: the fields
of any family.

Strategy. A line is shown to the family when its end has come; what is left without a line end is looked at when somebody asks for
the reading, since a whole object cannot go on. Whether the answer is a stream the values say themselves (`streams`): content types lie,
and some recorded answers had none. A document over several lines ends with a brace alone on its line.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from proxy.meter import lenient
from proxy.meter.answer import COMPACT_BYTES, MAX_BLANK_BYTES, AnswerReader, Family
from proxy.meter.dialect import Head, Reader
from proxy.model import Ask, Reading

_BOM = b"\xef\xbb\xbf"
_STREAM_TYPES = ("ndjson", "stream+json", "jsonl")


class LineFamily(Family, Protocol):
    """A family whose events are lines; `event` is shown each value, also one that is the whole answer."""

    streams: bool
    """A value was seen that is only a piece of the answer."""


def line_reader(make: Callable[[], LineFamily], ask: Ask, head: Head) -> Reader:
    """Give the reader of an answer; errors are documents."""
    kind = head.content_type.lower()
    if head.status >= 400 or kind.startswith("text/event-stream"):
        return AnswerReader(make, head.status, kind)
    streamed = any(name in kind for name in _STREAM_TYPES) or (
        ask.stream and "json" not in kind
    )
    return _Lines(make, head, streamed)


class _Lines:
    """The `Reader`."""

    def __init__(
        self, make: Callable[[], LineFamily], head: Head, streamed: bool
    ) -> None:
        self._make = make
        self._head = head
        self._streamed = streamed
        self._family = make()
        self._events: AnswerReader | None = None
        self._begun = False
        self._values = 0
        self._waiting: list[bytes] = []
        """Pieces of the line that has not ended."""
        self._held: list[bytes] = []
        """Ended lines of a value that has not."""
        self._since_compact = 0
        self.held_bytes = 0

    @property
    def terminal(self) -> bool:
        """See `Reader`."""
        if self._events is not None:
            return self._events.terminal
        return self._family.draft.terminal and self._expects_terminal()

    @property
    def output_started(self) -> bool:
        """See `Reader`."""
        return (self._events or self._family.draft).output_started

    @property
    def calls_started(self) -> bool:
        """See `Reader`."""
        if self._events is not None:
            return self._events.calls_started
        return bool(self._family.draft.calls)

    @property
    def truncated(self) -> bool:
        """See `Reader`."""
        return (self._events or self._family.draft).truncated

    def feed(self, chunk: bytes) -> None:
        """See `Reader`."""
        if self._events is not None:
            self._events.feed(chunk)
        elif self._begun:
            self._feed_lines(chunk)
        else:
            self._begin(chunk)

    def reading(self) -> Reading:
        """See `Reader`."""
        if self._events is not None:
            return self._events.reading()
        rest = b"".join([*self._held, *self._waiting])
        if rest.rstrip().endswith(b"}") and self._show(rest):
            self._let_go()
            rest = b""
        expects = self._expects_terminal()
        reading = self._family.draft.reading(expects_terminal=expects)
        return msgspec.structs.replace(
            reading,
            terminal=reading.terminal and expects,
            malformed=reading.malformed or (not expects and bool(rest.strip())),
        )

    def _expects_terminal(self) -> bool:
        return self._family.streams if self._values else self._streamed

    def _begin(self, chunk: bytes) -> None:
        """Decide by the first bytes."""
        self._waiting.append(chunk)
        start = b"".join(self._waiting)
        visible = start.lstrip().removeprefix(_BOM).lstrip()
        if not visible or _BOM.startswith(visible):
            self._waiting = [start] if len(start) <= MAX_BLANK_BYTES else []
            return
        self._begun = True
        self._waiting = []
        if visible.startswith((b"{", b"[")):
            self._feed_lines(visible)
            return
        self._events = AnswerReader(
            self._make, self._head.status, self._head.content_type
        )
        self._events.feed(start)

    def _feed_lines(self, chunk: bytes) -> None:
        *lines, unfinished = chunk.split(b"\n")
        for line in lines:
            self._waiting.append(line)
            self._line(b"".join(self._waiting))
            self._waiting.clear()
        if unfinished:
            self._waiting.append(unfinished)
        self.held_bytes = (
            len(unfinished)
            if lines and not self._held
            else self.held_bytes + len(chunk)
        )
        self._since_compact += len(chunk)
        if self._since_compact > COMPACT_BYTES:
            self._since_compact = 0
            self._family.draft.compact()

    def _line(self, line: bytes) -> None:
        bare = line.rstrip()
        if self._held:
            self._held.append(line + b"\n")
            if bare == b"}":
                self._family.draft.malformed |= not self._show(b"".join(self._held))
                self._held.clear()
        elif bare and not self._show(bare):
            if bare == b"{" or not (self._values or self._streamed):
                self._held.append(line + b"\n")
            else:
                self._family.draft.malformed = True

    def _show(self, value: bytes) -> bool:
        try:
            self._family.event(b"", value)
        except lenient.UNREADABLE:
            return False
        self._values += 1
        return True

    def _let_go(self) -> None:
        self._waiting.clear()
        self._held.clear()
        self.held_bytes = 0
