"""Readers for answers in which nothing is counted.

What lives here: answers that are passed by, and error bodies, which say why. What does not: any family.
"""

from functools import partial

from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Reader
from proxy.meter.draft import Draft
from proxy.model import Reading


class Unread:
    """A reader that keeps nothing, and says what was known before."""

    terminal = False
    output_started = False
    calls_started = False
    held_bytes = 0
    truncated = False

    def __init__(self, known: Reading | None = None) -> None:
        self._known = known or Reading()

    def feed(self, chunk: bytes) -> None:
        """See `Reader`."""

    def reading(self) -> Reading:
        """See `Reader`."""
        return self._known


class _Errors:
    def __init__(self, status: int) -> None:
        self.draft = Draft(status)

    def plain(self, line: bytes) -> bool:
        return True

    def event(self, name: bytes, data: bytes) -> None: ...

    def document(self, body: bytes) -> None: ...


def unmetered(status: int) -> Reader:
    """Give a reader that reads error answers only."""
    return (
        Unread()
        if status < 400
        else AnswerReader(partial(_Errors, status), status, "application/json")
    )
