"""What a run came to, for the record of its end.

What lives here: the values. What does not: adding up a worker's calls (`proxy/runs.py`), the sum of several workers (`redis_state.py`).
"""

from typing import Protocol

import msgspec

from proxy.model import RunOutcome


class Totals(msgspec.Struct, frozen=True, array_like=True):
    """What a run's calls add up to."""

    attempts: int = 0
    """Refused calls are none."""
    retries: int = 0
    cost: int = 0
    """Pico-dollars."""
    tokens: int = 0
    inferred: RunOutcome = RunOutcome.ENDED
    """If the run ended now."""
    reported: str = ""
    """What somebody said of it; the newest counts."""

    def __add__(self, later: "Totals") -> "Totals":
        """Add what came later: calls, a refusal (no attempt, and `capped`), or a report alone."""
        return Totals(
            self.attempts + later.attempts,
            self.retries + later.retries,
            self.cost + later.cost,
            self.tokens + later.tokens,
            later.inferred if later.says_how else self.inferred,
            later.reported or self.reported,
        )

    @property
    def says_how(self) -> bool:
        """Whether anything of this says how the run goes."""
        return self.attempts > 0 or self.inferred is RunOutcome.CAPPED


NOTHING = Totals()
Place = tuple[str, str]
"""Tenant and run."""


class Purse(Protocol):
    """Adds up what runs come to whose calls pass through several workers."""

    def add(self, place: Place, spent: Totals, now_us: int) -> None:
        """Add calls, or a report; never waits."""

    def known(self, place: Place) -> Totals:
        """Give what a run has come to, as far as this worker was told when the run's last call came here."""
