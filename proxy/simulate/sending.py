"""Sends answers at the pace of a model, and breaks them off where a fault says so.

What lives here: the one place that waits. What does not: how long (`pace.py`), what is sent (`families/`).
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from aiohttp import web

from proxy.simulate.pace import Pace
from proxy.simulate.plan import Fault
from proxy.simulate.question import Bill, Event

HANG_SECONDS = 3600.0
"""How long a provider that hangs keeps the connection."""
_NOTICEABLE_SECONDS = 0.001


@dataclass(slots=True)
class Pacer:
    """Waits for one answer: each token is due at a time of its own, so that slow writes do not add up."""

    pace: Pace
    dice: Random = field(repr=False)
    _due: float = 0.0
    _begun: float = 0.0

    async def begin(self, bill: Bill, slow_seconds: float = 0.0) -> None:
        """Wait for the first token; what a plan slows down is not scaled by the speed."""
        self._begun = asyncio.get_running_loop().time()
        self._due = slow_seconds + self.pace.before_first_token(bill, self.dice)
        await self._wait()

    async def make(self, tokens: int) -> None:
        """Wait until so many more tokens are made."""
        if tokens and self.pace.speed:
            self._due += self.pace.of_tokens(tokens, self.dice)
            await self._wait()

    async def _wait(self) -> None:
        now = asyncio.get_running_loop().time()
        left = self._begun + self._due - now
        if left > _NOTICEABLE_SECONDS:
            await asyncio.sleep(left)


async def hang() -> None:
    """Do nothing until the client leaves, or for very long."""
    await asyncio.sleep(HANG_SECONDS)


async def stream(
    request: web.Request,
    response: web.StreamResponse,
    events: Iterator[Event],
    pacer: Pacer,
    fault: Fault | None,
    error: bytes,
) -> None:
    """Send the events, as far as the fault lets them; `error` is what ends a stream that fails."""
    await response.prepare(request)
    said = 0
    for event in events:
        said += event.tokens
        if fault is not None and event.tokens and said > fault.after_tokens:
            break
        await pacer.make(event.tokens)
        await response.write(event.chunk)
    if fault is None or fault.kind != "error":
        await _end(request, response, broken=fault is not None)
        return
    await response.write(error)
    await response.write_eof()


async def cut(request: web.Request, response: web.StreamResponse, body: bytes) -> None:
    """Announce a whole body, send half of it, and break the connection."""
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    await _end(request, response, broken=True)


async def _end(
    request: web.Request, response: web.StreamResponse, *, broken: bool
) -> None:
    if not broken:
        await response.write_eof()
    elif request.transport is not None:
        request.transport.close()
