"""A clock that a test can push forward.

What lives here: a jump of the event loop's time and of the product's monotonic clock, so that hours pass between two
events without a second of waiting. It works on asyncio's own loop only (uvloop's clock cannot be replaced). What does not:
wall-clock time.
"""

import asyncio
import sys
import time
from types import ModuleType, TracebackType
from typing import Self


class PushedClock:
    """Adds an offset to the clocks while it is entered; timers that fall due fire in the next turn."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._real = self._loop.time
        self._offset = 0.0
        self._patched: list[ModuleType] = []

    def __enter__(self) -> Self:
        self._loop.time = lambda: self._real() + self._offset  # type: ignore[method-assign]
        for name, module in list(sys.modules.items()):
            if (
                name.startswith("proxy.")
                and getattr(module, "monotonic", None) is time.monotonic
            ):
                vars(module)["monotonic"] = lambda: time.monotonic() + self._offset
                self._patched.append(module)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del self._loop.time
        for module in self._patched:
            vars(module)["monotonic"] = time.monotonic

    async def advance(self, seconds: float) -> None:
        """Let time pass, and let what falls due run."""
        self._offset += seconds
        for _ in range(10):
            await asyncio.sleep(0)
