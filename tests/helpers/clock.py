"""Clocks that a test can push forward.

What lives here: a jump of the event loop's time and of the product's monotonic clock, so that hours pass between two
events without a second of waiting, and a halt of it, so that whatever waits for time stands still. Both work on asyncio's own
loop only (uvloop's clock cannot be replaced). And the clock by which accounts go. What does not: wall-clock time.
"""

import asyncio
import sys
import time
from collections.abc import Coroutine
from types import ModuleType, TracebackType
from typing import Self


def on_asyncios_own_loop(main: Coroutine[None, None, None]) -> None:
    """Run on the loop whose clock can be pushed."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main)


class StoppedClock:
    """Stops the loop's clock while it is entered: only what an event brings about still happens, nothing that time does."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        now = self._loop.time()
        self._loop.time = lambda: now  # type: ignore[method-assign]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del self._loop.time


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


NOW_US = 1_700_000_000_000_000
"""Twenty seconds into a minute."""


class StandingClock:
    """A steady clock (`proxy/steady.py`) that stands still until it is set; all of them are one."""

    us = NOW_US

    def now_us(self) -> int:
        return StandingClock.us
