"""Reads Gemini's answers: a document, server-sent events, or, without `?alt=sse`, an array that arrives element by element.

What lives here: telling these apart, and when such a stream has ended. What does not: what an event says (`dialects/`).

No sentinel ends these streams. The first chunk in which all candidates have a finish reason does (see the `Family`), unless the
last usage is still missing then: in that case the end of the body does, and what was finished is not taken for cut.
"""

from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from proxy.meter import faults, lenient
from proxy.meter.answer import COMPACT_BYTES, AnswerReader, Family
from proxy.meter.json_array import JsonArray
from proxy.model import Reading

_BEFORE = b" \t\r\n\xef\xbb\xbf"
"""What may stand before the first byte of JSON."""


class FinishingFamily(Family, Protocol):
    """A family whose streams end without a sentinel."""

    finished: bool
    """All of the answer has come, but perhaps for counts."""

    def settle(self) -> None:
        """Bring up to date what is not with each event; called before a reading."""


class GeminiReader:
    """The `Reader` of both framings."""

    def __init__(
        self, make: Callable[[], FinishingFamily], status: int, content_type: str
    ) -> None:
        self._make = make
        self._status = status
        self._family: FinishingFamily
        self._answer = AnswerReader(self._made, status, content_type)
        self._array: JsonArray | None = None
        self._begun = False
        self._since_compact = 0

    @property
    def terminal(self) -> bool:
        """See `Reader`."""
        return self._family.draft.terminal

    @property
    def output_started(self) -> bool:
        """See `Reader`."""
        return self._family.draft.output_started

    @property
    def calls_started(self) -> bool:
        """See `Reader`."""
        return bool(self._family.draft.calls)

    @property
    def held_bytes(self) -> int:
        """See `Reader`."""
        return self._answer.held_bytes

    @property
    def truncated(self) -> bool:
        """See `Reader`."""
        if self._array is None:
            return self._answer.truncated
        return self._array.truncated or self._family.draft.truncated

    def feed(self, chunk: bytes) -> None:
        """See `Reader`."""
        if not self._begun:
            visible = chunk.lstrip(_BEFORE)
            self._begun = bool(visible)
            if visible.startswith(b"["):
                self._array = JsonArray(self._element)
        if self._array is None:
            self._answer.feed(chunk)
            return
        self._array.feed(chunk)
        self._since_compact += len(chunk)
        if self._since_compact > COMPACT_BYTES:
            self._since_compact = 0
            self._family.draft.compact()

    def reading(self) -> Reading:
        """See `Reader`."""
        self._family.settle()
        reading = self._answer.reading() if self._array is None else self._of_array()
        ended = reading.expects_terminal and self._family.finished
        return replace(reading, terminal=True) if ended else reading

    def _made(self) -> FinishingFamily:
        """Give the family anew: a document is read from its beginning each time."""
        self._family = self._make()
        return self._family

    def _element(self, element: bytes) -> None:
        # What is kept as it stood must not depend on the line ends of the wire, as it does not in events.
        element = element.replace(b"\r\n", b"\n")
        try:
            self._family.event(b"", element)
        except lenient.UNREADABLE:
            self._family.draft.malformed = True

    def _of_array(self) -> Reading:
        draft = self._family.draft
        if self._status >= 400 and draft.fault is None:
            draft.fault = faults.classify(self._status, None)
        draft.truncated |= self.truncated
        return draft.reading(expects_terminal=self._status < 400)
