"""The protocol of a family, and the few things that all of them do alike.

What lives here: compact JSON, pieces of text for streams, text of content parts, tolerant access to members of requests.
What does not: any family.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from proxy.simulate.question import (
    Event,
    Exchange,
    Question,
    Refusal,
    UnacceptableError,
)
from proxy.simulate.tokens import CHARACTERS_PER_TOKEN

MAX_PIECES = 2000
"""Of one text in a stream; longer ones come in larger pieces."""
_MEDIA = "[media]"


class Family(Protocol):
    """One wire format."""

    name: str
    content_type: str
    """Of JSON answers."""
    marks_cache: bool
    """Whether the client marks what is to be cached."""

    def read(self, body: dict[str, Any]) -> Question:
        """Read a request; raise `UnacceptableError`."""

    def whole(self, exchange: Exchange) -> dict[str, Any]:
        """Give the answer as one JSON object."""

    def events(self, exchange: Exchange) -> Iterator[Event]:
        """Give the answer as a stream."""

    def refusal(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """Give an error as JSON."""

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        """Give an error that ends a stream."""


def dump(value: Any) -> bytes:
    """Write JSON without spaces."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "replace")


def unnamed(value: Any, end: bytes = b"\n\n") -> bytes:
    """Write an event without a name."""
    return b"data: " + dump(value) + end


def named(value: dict[str, Any]) -> bytes:
    """Write an event that is named after its type."""
    return b"event: %b\ndata: %b\n\n" % (str(value["type"]).encode(), dump(value))


def pieces(text: str) -> Iterator[tuple[str, int]]:
    """Cut a text into pieces of one token or a few; give each with its number of tokens."""
    tokens = max(1, -(-len(text) // (CHARACTERS_PER_TOKEN * MAX_PIECES)))
    size = CHARACTERS_PER_TOKEN * tokens
    for at in range(0, len(text), size):
        yield text[at : at + size], tokens


def text_of(content: Any) -> str:
    """Give the text of a message's content, which is text or parts with text."""
    if isinstance(content, str):
        return content
    return "\n".join(filter(None, map(_text_of_part, items(content))))


def _text_of_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    said = table(part)
    for name in ("text", "refusal", "thinking"):
        if isinstance(said.get(name), str):
            return str(said[name])
    return _MEDIA if said else ""


def items(value: Any) -> list[Any]:
    """Give a list, empty where there is none."""
    return value if isinstance(value, list) else []


def table(value: Any) -> dict[str, Any]:
    """Give an object, empty where there is none."""
    return value if isinstance(value, dict) else {}


def words(value: Any) -> tuple[str, ...]:
    """Give strings from a string or a list."""
    found = [value] if isinstance(value, str) else items(value)
    return tuple(each for each in found if isinstance(each, str))


def whole_number(value: Any) -> int | None:
    """Give a count, or nothing."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value if is_count else None


def require(body: dict[str, Any], name: str, kind: type, what: str) -> Any:
    """Give a member that must be there; raise `UnacceptableError`."""
    value = body.get(name)
    if not isinstance(value, kind):
        raise UnacceptableError(what)
    return value


def missing(wanted: Iterable[str], given: Iterable[str]) -> list[str]:
    """Give what is wanted and not given, in order."""
    known = set(given)
    return [each for each in wanted if each not in known]
