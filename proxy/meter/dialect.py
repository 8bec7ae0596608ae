"""The plug point of the meter: what one wire family must say.

What lives here: the protocols and what an operation is. What does not: any family (`dialects/`).
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from proxy.model import Ask, Kind, Reading


class Operation(msgspec.Struct, frozen=True):
    """What a method and path mean in one family."""

    name: str
    """The column `operation`; from a fixed set per dialect."""
    kind: Kind
    is_step: bool
    """Whether it is work: listing models or counting tokens is not."""
    buffered: bool
    """Whether the request body is worth reading whole before it is forwarded."""
    model: str = ""
    """The model, where the path names it (Gemini, Bedrock, Azure's deployments), percent-decoded."""
    stream: bool = False
    """The path itself says that the answer is a stream."""
    names_endpoint: bool = False
    """The answer may begin with the URL of further calls, which has to lead back here."""


class Head(msgspec.Struct, frozen=True):
    """What is known of an answer before its body."""

    status: int
    content_type: str = ""
    headers: Sequence[tuple[bytes, bytes]] = ()
    """Names and values as they came."""

    def get(self, name: bytes) -> bytes:
        """Give the first value under a lower-case name, or nothing."""
        return next((v.strip() for n, v in self.headers if n.lower() == name), b"")


class Reader(Protocol):
    """Reads one answer. Fed by `Tee`, which guards it."""

    @property
    def terminal(self) -> bool:
        """The terminal event has been fed; true with the line that completes it. An error event ends a stream, too."""

    @property
    def output_started(self) -> bool:
        """The first output token of a stream (text, reasoning or tool call) has been seen."""

    @property
    def calls_started(self) -> bool:
        """The first event of a stream that asks for a tool call has been seen."""

    @property
    def held_bytes(self) -> int:
        """How much of an answer is kept because it can only be read whole; `Tee` stops at its limit."""

    @property
    def truncated(self) -> bool:
        """Something was too long to be read."""

    def feed(self, chunk: bytes) -> None:
        """Take the next decoded bytes. May raise."""

    def reading(self) -> Reading:
        """Say what has been read so far; at any time, cheap when repeated."""


class Dialect(Protocol):
    """One wire family."""

    name: str

    def operation(self, method: str, path: str) -> Operation | None:
        """Recognise an operation by the upstream path, without query; `None` where it is not this family's."""

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """Read the request; `None` where the body was not read. Never raises."""

    def reader(self, ask: Ask, head: Head) -> Reader:
        """Start reading the answer of a request that `read_request` has read."""
