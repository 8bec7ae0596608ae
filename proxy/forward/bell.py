"""Wakes the one task that waits for news of a connection, or tells it that its time is over."""

import asyncio
from time import monotonic

NEVER_SECONDS = 1e9
"""Stands for "no limit" in the arithmetic of deadlines."""


class Bell:
    """Rung by the event loop's side of a connection; `wait` belongs to one task, `rung` may be waited for by another."""

    def __init__(self) -> None:
        """Start silent."""
        self._wake: asyncio.Future[None] | None = None
        self.rung = asyncio.Event()
        """Set by the first ring, until `reset`."""

    def reset(self) -> None:
        """Forget that it was rung."""
        self.rung.clear()

    def ring(self) -> None:
        """Wake whoever waits."""
        self.rung.set()
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def wait(self, deadline: float) -> bool:
        """Wait for a ring until `deadline` (monotonic seconds); whether there was one."""
        loop = asyncio.get_running_loop()
        wake = self._wake = loop.create_future()
        timer = None
        if deadline < NEVER_SECONDS:
            patience = max(0.0, deadline - monotonic())
            timer = loop.call_later(patience, self._time_is_over, wake)
        try:
            await wake
        except TimeoutError:
            return False
        finally:
            self._wake = None
            if timer is not None:
                timer.cancel()
        return True

    @staticmethod
    def _time_is_over(wake: asyncio.Future[None]) -> None:
        if not wake.done():
            wake.set_exception(TimeoutError())
