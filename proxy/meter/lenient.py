"""Reads JSON of strangers: what has the wrong type counts as absent.

What lives here: decoding that gives `None` instead of raising, and the checks of single values. What does not: what the
values mean.
"""

import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

UNREADABLE = (ValueError, RecursionError)
"""What msgspec raises for broken input: its own errors and `UnicodeDecodeError` are `ValueError`s."""

MAX_COUNT = 1 << 53
"""No honest token count is larger, and JSON readers of other languages stop being exact here."""

NOT_TEXT = frozenset(
    (
        "type",
        "role",
        "id",
        "data",
        "url",
        "image_url",
        "file_data",
        "encrypted_content",
        "signature",
        "media_type",
        "bytes",
        "redactedContent",
    )
)
"""Members of messages whose strings are no prompt text: names of things, and media in base64."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_TEXT = msgspec.json.Decoder(str)
_decode_text = _TEXT.decode


def load(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """Decode; half a surrogate pair, which msgspec refuses, costs only these characters. Raises one of `UNREADABLE`."""
    try:
        return decoder.decode(data)
    except UNREADABLE:
        repaired = _without_halves(data)
        if repaired == data:
            raise
        return decoder.decode(repaired)


def _without_halves(data: bytes) -> bytes:
    """Replace the halves of surrogate pairs that stand alone."""
    if _SURROGATE.search(data) is None:
        return data
    return _ESCAPE.sub(lambda e: rb"\ufffd" if e["half"] else e[0], data)


def value(raw: msgspec.Raw) -> Any:
    """Decode a member that was put off; `None` where it is absent or cannot be read."""
    try:
        return _decode_any(raw) if raw else None
    except UNREADABLE:
        return None


def table(raw: msgspec.Raw) -> dict[str, Any] | None:
    """Give a member that is an object, else `None`."""
    found = value(raw)
    return found if isinstance(found, dict) else None


def member(holder: Any, name: str) -> dict[str, Any]:
    """Give the object under this name; empty where there is none."""
    found = holder.get(name) if isinstance(holder, dict) else None
    return found if isinstance(found, dict) else {}


def items(found: Any) -> list[Any]:
    """Give the list, or an empty one."""
    return found if isinstance(found, list) else []


def text(found: Any) -> str:
    """Give the string, or an empty one."""
    return found if isinstance(found, str) else ""


def count(found: Any) -> int | None:
    """Give a count that can be believed: whole, not negative, not absurd."""
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    # A boolean is an `int`, but not of this type.
    return found if type(found) is int and 0 <= found <= MAX_COUNT else None


def characters(raw_parts: list[bytes]) -> int:
    """Count the characters of a text that stands in pieces as raw JSON (escaped, without quotes)."""
    return len(unescape(raw_parts))


def unescape(raw_parts: list[bytes]) -> str:
    """Give the text that stands in pieces as raw JSON; where the escapes are broken, the bytes as they are."""
    try:
        return _decode_text(b'"%b"' % b"".join(raw_parts))
    except UNREADABLE:
        return "".join(map(_unescape_alone, raw_parts))


def _unescape_alone(raw: bytes) -> str:
    try:
        return load(_TEXT, b'"%b"' % raw)
    except UNREADABLE:
        return raw.decode("utf-8", "replace")


def is_text(raw: bytes) -> bool:
    """Whether these bytes can stand between the quotes of a JSON string."""
    try:
        _decode_text(b'"%b"' % raw)
    except UNREADABLE:
        return False
    return True


def escape(found: str) -> bytes:
    """Give a text as raw JSON without quotes, the opposite of `unescape`."""
    return _encode(found)[1:-1]


def strings(found: Any, skip: frozenset[str]) -> Iterator[str]:
    """Give all strings in a decoded value, in their order, except under the keys to skip."""
    if isinstance(found, str):
        yield found
        return
    todo = [found]
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            children = [child for key, child in node.items() if key not in skip]
            todo.extend(reversed(children))
        elif isinstance(node, list):
            todo.extend(reversed(node))


def string_lengths(found: Any, skip: frozenset[str]) -> int:
    """Sum the lengths of all strings in a decoded value, except under the keys to skip."""
    total = 0
    todo = [found]
    for node in todo:
        if isinstance(node, str):
            total += len(node)
        elif isinstance(node, dict):
            todo += [child for key, child in node.items() if key not in skip]
        elif isinstance(node, list):
            todo += node
    return total
