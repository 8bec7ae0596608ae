"""Reads JSON of strangers: what has the wrong type counts as absent.

What lives here: decoding that gives `None` instead of raising, and the checks of single values. What does not: what the
values mean.
"""

import re
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
    )
)
"""Members of messages whose strings are no prompt text: names of things, and media in base64."""

_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_decode_text = msgspec.json.Decoder(str).decode


def load(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """Decode; half a surrogate pair, which msgspec refuses, costs only these characters. Raises one of `UNREADABLE`."""
    try:
        return decoder.decode(data)
    except UNREADABLE:
        repaired = _LONE_SURROGATE.sub(rb"\\ufffd", data)
        if repaired == data:
            raise
        return decoder.decode(repaired)


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
    if (
        isinstance(found, bool)
        or not isinstance(found, int)
        or not 0 <= found <= MAX_COUNT
    ):
        return None
    return found


def characters(raw_parts: list[bytes]) -> int:
    """Count the characters of a text that stands in pieces as raw JSON (escaped, without quotes)."""
    return len(unescape(raw_parts))


def unescape(raw_parts: list[bytes]) -> str:
    """Give the text that stands in pieces as raw JSON; where the escapes are broken, the bytes as they are."""
    joined = b"".join(raw_parts)
    try:
        return _decode_text(b'"' + joined + b'"')
    except UNREADABLE:
        return joined.decode("utf-8", "replace")


def escape(found: str) -> bytes:
    """Give a text as raw JSON without quotes, the opposite of `unescape`."""
    return _encode(found)[1:-1]


def string_lengths(found: Any, skip: frozenset[str]) -> int:
    """Sum the lengths of all strings in a decoded value, except under the keys to skip."""
    total, todo = 0, [found]
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            total += len(node)
        elif isinstance(node, dict):
            todo.extend(child for key, child in node.items() if key not in skip)
        elif isinstance(node, list):
            todo.extend(node)
    return total
