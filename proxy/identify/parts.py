"""What a message consists of, before anything is hashed.

What lives here: the value. What does not: taking messages apart (`messages.py`).
"""

from typing import Any

from proxy.identify.items import Call

Result = tuple[str, str, Any]
"""Id of the call, name of the tool, what it gave."""


class Parts:
    """What was found in one message."""

    __slots__ = ("calls", "failed", "media", "results", "signatures", "text")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.calls: list[Call] = []
        self.results: list[Result] = []
        self.media: list[bytes] = []
        self.signatures: list[str] = []
        self.failed: list[str] = []
        """Ids of the results that say of themselves that the call failed."""
