"""Reads an answer that is either one JSON document or an event stream, as most families have it.

What lives here: telling the two apart, holding a document until it is read, error answers. What does not: the fields of
any family; each gives a `Family`. Families with another framing write their own `Reader`.
"""

from collections.abc import Callable
from typing import Protocol

from proxy.meter import faults, lenient
from proxy.meter.draft import Draft
from proxy.meter.framing import EventStream
from proxy.meter.skim import LINE_END, MAX_PIECES, SHORT_BYTES
from proxy.model import Reading

COMPACT_BYTES = 1 << 18
"""After so many bytes of a stream the text that was kept by reference is counted and let go."""

MAX_BLANK_BYTES = 4096

_EVENT_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_LONGEST_FIELD = max(map(len, _EVENT_FIELDS))
_BOM = b"\xef\xbb\xbf"
_UNDECIDED = (*_EVENT_FIELDS, _BOM)


class Family(Protocol):
    """What is particular to one wire family; holds the state of one answer."""

    draft: Draft

    def plain(self, line: bytes, /) -> bool:
        """Take a line of a stream that surely says nothing but text: most lines are such, so it must be cheap."""

    def event(self, name: bytes, data: bytes) -> None:
        """Take name and data of an event. Raises one of `lenient.UNREADABLE` where that is no JSON."""

    def document(self, body: bytes) -> None:
        """Take a whole answer. Raises as `event` does."""


class AnswerReader:
    """The `Reader` of a family whose answers are JSON or server-sent events."""

    def __init__(
        self, make: Callable[[], Family], status: int, content_type: str
    ) -> None:
        self._make = make
        self._family = make()
        self._family_used = False
        """It has read a document: one that has grown since is read anew."""
        self._skimmer = self._family.draft.skimmer
        self._status = status
        self._says_events = content_type.lower().startswith("text/event-stream")
        self._stream: EventStream | None = None
        self._start = b""
        self._document: list[bytes] = []
        self._since_compact = 0
        self._read: Reading | None = None
        self.held_bytes = 0
        self.terminal = False
        """See `Reader`."""
        self.output_started = False
        """See `Reader`."""

    @property
    def calls_started(self) -> bool:
        """See `Reader`."""
        return bool(self._family.draft.calls)

    @property
    def truncated(self) -> bool:
        """See `Reader`."""
        return self._family.draft.truncated or (
            self._stream is not None and self._stream.truncated
        )

    def feed(self, chunk: bytes) -> None:
        """See `Reader`. What comes first is all that most events cost."""
        skimmer = self._skimmer
        rest = chunk.removeprefix(skimmer.head)
        text = rest.removesuffix(skimmer.tail)
        if text is not rest and rest is not chunk:
            pieces = skimmer.pieces
            if taken := LINE_END not in text:
                pieces.append(text)
            else:
                taken = skimmer.take(text)
            if taken:
                if len(text) < SHORT_BYTES and len(pieces) < MAX_PIECES:
                    return
                chunk = b""
        self._examine(chunk)

    def _examine(self, chunk: bytes) -> None:
        self._read = None
        if self._stream is not None:
            self._settle(self._stream)
            self._scan(self._stream, chunk)
        elif self._document:
            self._hold(chunk)
        else:
            self._begin(chunk)

    def _settle(self, stream: EventStream) -> None:
        """Look at what was set aside."""
        skimmer = self._skimmer
        if skimmer.pieces:
            self._read = None
            for event in skimmer.settle():
                self._scan(stream, event)
            self._account(skimmer.handed_bytes)

    def _scan(self, stream: EventStream, chunk: bytes) -> None:
        stream.feed(chunk)
        draft = self._family.draft
        self.terminal = draft.terminal
        self.output_started = draft.output_started
        self._skimmer.arm(stream.idle and not draft.terminal)
        self._account(len(chunk))

    def _account(self, size: int) -> None:
        self._since_compact += size
        if self._since_compact > COMPACT_BYTES:
            self._since_compact = 0
            self._family.draft.compact()

    def reading(self) -> Reading:
        """See `Reader`."""
        if self._stream is not None:
            self._settle(self._stream)
        if self._read is None:
            self._read = self._finish()
        return self._read

    def _event(self, name: bytes, data: bytes, last: bool) -> bool:
        try:
            self._family.event(name, data)
        except lenient.UNREADABLE:
            self._family.draft.malformed |= last
            return False
        return True

    def _begin(self, chunk: bytes) -> None:
        """Decide by the first bytes, for content types lie: recorded streams came as application/json and without any."""
        self._start += chunk
        visible = self._start.lstrip().removeprefix(_BOM).lstrip()
        if len(visible) < _LONGEST_FIELD and any(
            field.startswith(visible) for field in _UNDECIDED
        ):
            if len(self._start) > MAX_BLANK_BYTES:
                self._start = b""
            return
        if visible.startswith(_EVENT_FIELDS) or (
            self._says_events and not visible.startswith((b"{", b"["))
        ):
            self._stream = EventStream(self._family.plain, self._event)
            self._scan(self._stream, self._start)
        else:
            self._hold(self._start)
        self._start = b""

    def _hold(self, chunk: bytes) -> None:
        self._document.append(chunk)
        self.held_bytes += len(chunk)

    def _finish(self) -> Reading:
        if self._document:
            self._read_document(b"".join(self._document))
        if self._status >= 400 and self._family.draft.fault is None:
            self._family.draft.fault = faults.classify(self._status, None)
        if self.truncated:
            self._family.draft.truncated = True
        return self._family.draft.reading(expects_terminal=self._stream is not None)

    def _read_document(self, body: bytes) -> None:
        self._document = [body]
        if self._family_used:
            self._family = self._make()
        self._family_used = True
        body = body.lstrip().removeprefix(_BOM)
        if self._status >= 400:
            fault, readable = faults.read_fault(self._status, body)
            self._family.draft.fault = fault
            self._family.draft.malformed = not readable
            return
        try:
            self._family.document(body)
        except lenient.UNREADABLE:
            self._family.draft.malformed = True
        self._family.draft.terminal = False
