"""A dialect with a fault of ours in it.

What lives here: one fault in a place that the test chooses. What does not: broken input, which no dialect may raise for.
"""

from proxy.meter.dialect import Head, Operation
from proxy.model import Ask, Kind, Reading


class RaisingReader:
    """A reader with a fault of ours in one of its methods."""

    terminal = output_started = calls_started = truncated = False
    held_bytes = 0

    def __init__(self, where: str) -> None:
        self._where = where

    def feed(self, chunk: bytes) -> None:
        if self._where == "feed":
            raise RuntimeError("a fault of ours")

    def reading(self) -> Reading:
        if self._where == "reading":
            raise RuntimeError("a fault of ours")
        return Reading()


class RaisingDialect:
    """A dialect with a fault of ours in one place."""

    name = "raising"

    def __init__(self, where: str) -> None:
        self._where = where

    def operation(self, method: str, path: str) -> Operation:
        return Operation("chat", Kind.LLM, is_step=True, buffered=True)

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        if self._where == "read_request":
            raise RuntimeError("a fault of ours")
        return Ask(self.name, operation.name, Kind.LLM, True)

    def reader(self, ask: Ask, head: Head) -> RaisingReader:
        if self._where == "reader":
            raise RuntimeError("a fault of ours")
        return RaisingReader(self._where)
