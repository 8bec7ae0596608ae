"""How long to wait before a child that died is started again.

What lives here: `Backoff`, pure arithmetic. What does not: clocks and processes (`children.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Doubles from `first_seconds` to `most_seconds`, half of it random; forgets after `healthy_seconds` of good service."""

    random: Callable[[], float]
    """Gives numbers in [0, 1)."""
    first_seconds: float = 0.1
    most_seconds: float = 10.0
    healthy_seconds: float = 60.0
    _failures: int = 0

    def after(self, served_seconds: float) -> float:
        """Give the wait after a life that served `served_seconds` (0: it never got ready)."""
        if served_seconds >= self.healthy_seconds:
            self._failures = 0
        longest = min(
            self.most_seconds, self.first_seconds * 2.0 ** min(self._failures, 30)
        )
        self._failures += 1
        return longest * (0.5 + self.random() / 2)
