"""Splits a JSON array into its elements while it arrives.

What lives here: the borders of a streamed array's elements (Gemini without `?alt=sse`). What does not: what they mean.

Strategy. An element begins at the bracket that opens the second level and ends where that level is left; only strings can
hold brackets that mean nothing. So per chunk the search goes from one bracket, quote or backslash to the next, and what
lies between is never looked at. Pieces of an unfinished element wait in a list and are joined once. Elements that are
neither objects nor arrays are passed by: no stream has them.
"""

import re
from collections.abc import Callable

from proxy.meter.framing import EVENT_CAP

_STRUCTURE = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')
_QUOTE, _BACKSLASH = ord('"'), ord("\\")
_OPENING = frozenset(b"{[")

_ARRAY, _ELEMENT = 1, 2
"""How deep the inside of the array is, and that of an element."""


class JsonArray:
    """Tells `element` what stands in chunks cut anywhere; the result does not depend on the cuts."""

    def __init__(self, element: Callable[[bytes], None], cap: int = EVENT_CAP) -> None:
        """`cap` is the largest element in bytes; a larger one is skipped and flagged."""
        self._element = element
        self._cap = cap
        self._depth = 0
        self._in_string = False
        self._border = _STRUCTURE
        self._escaped = False
        """A backslash was the last byte."""
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self.truncated = False
        """An element was longer than the cap and is missing."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        if not chunk:
            return
        start, at = 0, int(self._escaped)
        self._escaped = False
        while found := self._border.search(chunk, at):
            at = found.end()
            byte = chunk[at - 1]
            if byte == _QUOTE:
                self._in_string = not self._in_string
                self._border = _IN_STRING if self._in_string else _STRUCTURE
            elif byte == _BACKSLASH:
                self._escaped = at == len(chunk)
                at += 1
            elif byte in _OPENING:
                self._depth += 1
                start = at - 1 if self._depth == _ELEMENT else start
            elif self._closes():
                self._complete(chunk[start:at])
        if self._depth >= _ELEMENT:
            self._wait(chunk[start:])

    def _closes(self) -> bool:
        """Leave a level; say whether an element ended with it."""
        self._depth = max(0, self._depth - 1)
        return self._depth == _ARRAY

    def _wait(self, piece: bytes) -> None:
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > self._cap:
            self.truncated = True
            self._waiting.clear()
        else:
            self._waiting.append(piece)

    def _complete(self, piece: bytes) -> None:
        self._wait(piece)
        whole = self._waiting_bytes <= self._cap
        element = b"".join(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        if whole:
            self._element(element)
