"""What the requests of most LLM families have in common.

What lives here: counting prompt text, and the `Ask` of a request that says nothing. What does not: field names of a family.
"""

from typing import Any, TypeVar

import msgspec

from proxy.meter import lenient
from proxy.meter.dialect import Operation
from proxy.model import Ask

T = TypeVar("T")


def blank(dialect: str, operation: Operation, *, well_formed: bool = True) -> Ask:
    """Give the `Ask` of a request of which nothing else is known."""
    return Ask(
        dialect=dialect,
        operation=operation.name,
        kind=operation.kind,
        is_step=operation.is_step,
        well_formed=well_formed,
    )


def read(decoder: msgspec.json.Decoder[T], body: bytes) -> T | None:
    """Decode a request body; `None` where it is not this family's."""
    try:
        return lenient.load(decoder, body)
    except lenient.UNREADABLE:
        return None


def prompt_chars(*members: msgspec.Raw) -> int:
    """Count the text in the members that carry the prompt."""
    return sum(
        lenient.string_lengths(lenient.value(member), lenient.NOT_TEXT)
        for member in members
        if member
    )


def flag(found: Any) -> bool | None:
    """Give a boolean, else `None`."""
    return found if isinstance(found, bool) else None
