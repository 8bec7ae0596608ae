"""What time it is for all who share one Redis: its own.

What lives here: how far this worker's clocks are from Redis's, and times by it. What does not: asking Redis (`redis_line.py`,
`redis_claims.py`), which times are written.

Replicas must agree when a run was last seen, when a gate opens and which day it is; where each went by its own clock, one that is an hour
ahead would end the runs of all others. What Redis says was true at some moment between question and answer: as long as what is known
lies in between, it stands, so that a slow answer moves nothing; where not, the middle is taken. Asked on each connection and with each beat.
"""

import time
from collections.abc import Callable

from proxy.steady import SteadyClock

LEAST_US = 1_000_000
"""A wall clock that differs by less is left as it is: how long a run is idle is a matter of minutes."""


def _wall_us() -> int:
    return time.time_ns() // 1000


class SharedClock:
    """One worker's idea of it."""

    def __init__(
        self,
        steady_us: Callable[[], int] | None = None,
        wall_us: Callable[[], int] = _wall_us,
    ) -> None:
        self._steady_us = steady_us or SteadyClock().now_us
        self._wall_us = wall_us
        self.ahead_us = 0
        """Redis's time less the steady clock's."""

    def asked(self) -> int:
        """Note when Redis is asked."""
        return self._steady_us()

    def heard(self, asked_us: int, seconds: int, micros: int) -> None:
        """Take what Redis says."""
        said, heard_us = seconds * 1_000_000 + micros, self._steady_us()
        if not asked_us + self.ahead_us <= said <= heard_us + self.ahead_us:
            self.ahead_us = said - (asked_us + heard_us) // 2

    def of_wall(self, wall_us: int) -> int:
        """Say what a time of this machine's wall clock is, whatever was done to that meanwhile."""
        off_us = self._steady_us() + self.ahead_us - self._wall_us()
        return wall_us + off_us if abs(off_us) >= LEAST_US else wall_us
