"""What the provider keeps of OpenAI's Responses: stored answers and conversations, bounded.

What lives here: keeping, finding and forgetting them. What does not: what they say.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

MAX_ENTRIES = 2000
MAX_BYTES = 64 << 20
Items = list[dict[str, Any]]


@dataclass(slots=True)
class Stored:
    """A response with all that stood before it, or a conversation."""

    items: Items = field(repr=False)
    response: dict[str, Any] = field(default_factory=dict, repr=False)
    size: int = 0
    ready: float = 0.0
    """When a response made in the background is finished, by the server's clock."""
    created: int = 0


class Store:
    """See the module."""

    def __init__(
        self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES
    ) -> None:
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self._entries: OrderedDict[str, Stored] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: str, stored: Stored) -> None:
        """Keep something, and forget the oldest where there is no room."""
        self.drop(key)
        self._entries[key] = stored
        self._bytes += stored.size
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._bytes -= self._entries.popitem(last=False)[1].size

    def get(self, key: str) -> Stored | None:
        """Find something."""
        return self._entries.get(key)

    def drop(self, key: str) -> bool:
        """Forget something; say whether it was there."""
        found = self._entries.pop(key, None)
        self._bytes -= found.size if found else 0
        return found is not None
