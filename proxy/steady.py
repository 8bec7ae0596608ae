"""The time by which periods, gates and breakers go: it never jumps.

What lives here: one clock. What does not: the times in records, which are the wall clock's, for people.

The wall clock is read once, at the start; from then on a clock counts that nobody sets, and that goes on while the machine sleeps. So an
hour forwards or backwards, by a person or by NTP, moves no period and opens no gate. A clock that was wrong at the start stays wrong until
the next one. Replicas agree as far as their wall clocks did when each began.
"""

import time
from collections.abc import Callable


def _counting_ns() -> int:
    return time.clock_gettime_ns(_CLOCK)


_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Where there is no such clock (macOS), the monotonic one, which there counts on through sleep."""


class SteadyClock:
    """Microseconds since the epoch, from the moment of its making."""

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        counting_ns: Callable[[], int] = _counting_ns,
    ) -> None:
        self._counting_ns = counting_ns
        self._anchor_ns = wall_ns() - counting_ns()

    def now_us(self) -> int:
        """Say what time it is."""
        return (self._anchor_ns + self._counting_ns()) // 1000
