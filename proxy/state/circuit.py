"""When to leave somebody alone who does not answer.

What lives here: the rule. What does not: who is asked (`redis_line.py`), the health of providers (a policy).
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long nobody asks after a failure; it doubles from the first to the longest."""

    first_seconds: float = 0.05
    longest_seconds: float = 5.0

    def __post_init__(self) -> None:
        """Refuse pauses that are none."""
        if not 0 < self.first_seconds <= self.longest_seconds:
            raise ValueError("pauses are positive, and the first is not the longest")


class Circuit:
    """Lets everybody pass until something fails; then, after each pause, one, and all again when that works."""

    def __init__(
        self,
        pauses: Pauses,
        clock: Callable[[], float],
        dice: Callable[[], float],
    ) -> None:
        """`dice` gives 0 to 1: replicas do not come back all at once."""
        self._pauses = pauses
        self._clock = clock
        self._dice = dice
        self._pause = 0.0
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether something failed, and nothing has worked since."""
        return self._pause > 0

    def allows(self) -> bool:
        """Say whether to ask; who is allowed to after a pause is the only one for another."""
        if not self._pause:
            return True
        now = self._clock()
        if now < self._until:
            return False
        self._until = now + self._pause
        return True

    def failed(self) -> float:
        """Open, and give the seconds until somebody may try. What fails within a pause does not prolong it."""
        now = self._clock()
        if not self._pause or now >= self._until:
            self._lengthen(now)
        return self._until - now

    def tried(self) -> float:
        """Open for longer, since the one who tried failed; give the seconds until the next may try."""
        now = self._clock()
        self._lengthen(now)
        return self._until - now

    def worked(self) -> None:
        """Close."""
        self._pause = 0.0

    def _lengthen(self, now: float) -> None:
        longest, first = self._pauses.longest_seconds, self._pauses.first_seconds
        self._pause = min(max(2 * self._pause, first), longest)
        self._until = now + self._pause * (0.5 + self._dice())
