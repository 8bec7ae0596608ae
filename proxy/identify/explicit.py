"""What a request says of itself: the path's prefix and the `x-tacho-*` headers.

What lives here: reading and checking it. What does not: whether it counts (`who.py`). What is invalid is left out and counted,
never trusted, never a reason to refuse a request.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from proxy.http.headers import Headers
from proxy.model import is_id

PREFIX = b"x-tacho-"
MAX_TAGS = 16
MAX_NAME_CHARACTERS = 128
_TAG_PREFIX = b"x-tacho-tag-"
_TAG_KEY = re.compile(rb"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Explicit:
    """What a request named; empty where it named nothing valid."""

    run: str = ""
    session: str = ""
    tenant: str = ""
    agent: str = ""
    agent_source: str = ""
    """`path`, `header` or empty."""
    agent_version: str = ""
    step_name: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    ignored: int = 0
    """Headers of ours that were not valid."""


def read_explicit(
    headers: Headers, *, tenant: str = "", agent: str = "", run: str = ""
) -> Explicit:
    """Read the headers; what the path named (already checked, passed by keyword) wins over them. Never raises."""
    reader = _Reader(headers)
    named = reader.text(b"x-tacho-agent", is_name)
    return Explicit(
        run=run or reader.text(b"x-tacho-run", is_id),
        session=reader.text(b"x-tacho-session", is_id),
        tenant=tenant or reader.text(b"x-tacho-tenant", is_id),
        agent=agent or named,
        agent_source="path" if agent else "header" if named else "",
        agent_version=reader.text(b"x-tacho-agent-version", is_name),
        step_name=reader.text(b"x-tacho-step-name", is_name),
        tags=reader.tags(),
        ignored=reader.ignored,
    )


def is_name(text: str) -> bool:
    """Tell whether a text may be a name: 1 to 128 printable characters, so no control, escape or bidirectional marks."""
    return 0 < len(text) <= MAX_NAME_CHARACTERS and text.isprintable()


class _Reader:
    """Reads one request's headers and counts those that are not valid."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers
        self.ignored = 0

    def text(self, name: bytes, is_valid: Callable[[str], bool]) -> str:
        """Give the header's text if it stands once and is valid."""
        values = self._headers.every(name)
        if not values:
            return ""
        text = _decode(values[0])
        if len(values) == 1 and text is not None and is_valid(text):
            return text
        self.ignored += 1
        return ""

    def tags(self) -> dict[str, str]:
        """Give the first so many valid tags."""
        tags: dict[str, str] = {}
        for name, value in self._headers.starting_with(_TAG_PREFIX):
            key, text = name.removeprefix(_TAG_PREFIX), _decode(value)
            if (
                len(tags) < MAX_TAGS
                and _TAG_KEY.fullmatch(key)
                and text is not None
                and is_name(text)
            ):
                tags[key.decode("ascii")] = text
            else:
                self.ignored += 1
        return tags


def _decode(value: bytes) -> str | None:
    try:
        return value.strip().decode("utf-8")
    except UnicodeDecodeError:
        return None
