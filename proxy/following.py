"""What the run is told of one exchange, so that its next call, or its next attempt, is known by it.

What lives here: when it is told, and the rule that a fault in that costs only itself. What does not: what is told (`trail.py`).
"""

from proxy.desk import Desk
from proxy.model import ErrorType, Outcome, Reading
from proxy.trail import Trail


class Following:
    """Follows one exchange."""

    def __init__(self, desk: Desk, trail: Trail | None) -> None:
        """Without `trail` nothing of it is remembered."""
        self._desk = desk
        self._trail = trail
        self.waits = False
        """Another attempt may follow, and be what the run remembers: it is told nothing until that is known."""
        self.is_over = False
        """The run knows what the agent got, and that was not of this exchange."""

    def begun(self) -> tuple[bytes, ...]:
        """Give the records of the admission."""
        return self._trail.begun if self._trail else ()

    def tell(
        self, outcome: Outcome, error_type: ErrorType, reading: Reading, now_us: int
    ) -> tuple[bytes, ...]:
        """Let the next call of the run find this one; gives the records of that. A fault costs only that."""
        try:
            if self._trail is not None and not (self.waits or self.is_over):
                return self._trail.answered(outcome, error_type, reading, now_us)
        except Exception:  # noqa: BLE001  # the guard of the phase identify
            self._desk.fault("identify")
        return ()

    def pass_on(self, now_us: int) -> Trail | None:
        """Let the step's next attempt be what the run remembers; gives what follows that. A fault costs only that."""
        trail, self._trail = self._trail, None
        try:
            return None if trail is None else trail.again(now_us)
        except Exception:  # noqa: BLE001  # as above
            self._desk.fault("identify")
            return None
