"""What the requests of most LLM families have in common.

What lives here: counting prompt text, and the `Ask` of a request that says nothing. What does not: field names of a family.
"""

import re
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from proxy.meter import lenient
from proxy.meter.dialect import Operation
from proxy.model import Ask

T = TypeVar("T")

_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/")


def blank(dialect: str, operation: Operation, *, well_formed: bool = True) -> Ask:
    """Give the `Ask` of a request of which nothing is known but what the path says."""
    return Ask(
        dialect=dialect,
        operation=operation.name,
        kind=operation.kind,
        is_step=operation.is_step,
        model=operation.model,
        stream=operation.stream,
        well_formed=well_formed,
    )


def of_deployment(operation: Operation, path: str) -> Operation:
    """Name the deployment that an Azure path names: the body need not say a model then."""
    found = _DEPLOYMENT.search(path)
    return replace(operation, model=unquote(found[1])) if found else operation


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
