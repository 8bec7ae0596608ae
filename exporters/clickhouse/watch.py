"""What keeps watch over the engine inside the store process.

What lives here: whether it still answers, and how much memory it takes. What does not: what follows from bad health (the
supervisor restarts the process).
"""

import asyncio
import contextlib
import logging
import resource
from collections.abc import Callable
from typing import Any, Final

from exporters.clickhouse.engine import Engine, EngineError

logger = logging.getLogger("tacho.store")

BEAT_SECONDS: Final = 5.0
HUNG_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.1
GROWTH_BYTES: Final = 2 << 30
"""By how much the process may grow before reads are cancelled; twice what the engine charges to one query."""


class Heartbeat:
    """Whether the engine still answers: a query a few seconds after the last one, none while that one is open."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._asked_at: float | None = None
        self._failed = ""

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            self._asked_at = self._loop.time()
            try:
                alive = await asyncio.to_thread(self._engine.alive)
                self._failed = "" if alive else "the engine gives wrong answers"
            except EngineError as error:
                self._failed = str(error)
            self._asked_at = None
            await asyncio.sleep(BEAT_SECONDS)

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Tell whether the last answer came, in time and right."""
        since = 0.0 if self._asked_at is None else self._loop.time() - self._asked_at
        if since > HUNG_SECONDS:
            return False, {"healthy": False, "why": f"no answer for {since:.0f} s"}
        return not self._failed, {"healthy": not self._failed, "why": self._failed}


class MemoryGuard:
    """Cancels long reads while the process has grown too much: what a result takes as text is not charged to its query."""

    def __init__(
        self,
        resident_bytes: Callable[[], int],
        cancel_reads: Callable[[], None],
        growth_bytes: int = GROWTH_BYTES,
    ) -> None:
        self._resident_bytes = resident_bytes
        self._cancel_reads = cancel_reads
        self._ceiling_bytes = resident_bytes() + growth_bytes
        self._over = False
        self.cancelled = 0
        """How often the process had grown too much."""

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Cancel long reads if need be."""
        over, self._over = self._over, self._resident_bytes() > self._ceiling_bytes
        if not self._over:
            return
        if not over:
            self.cancelled += 1
            logger.warning("reads_cancelled", extra={"detail": {"reason": "memory"}})
        with contextlib.suppress(EngineError):
            await asyncio.to_thread(self._cancel_reads)


def resident_bytes() -> int:
    """Give what this process has resident; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
