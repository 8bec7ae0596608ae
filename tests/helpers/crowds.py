"""Crowds of agents before several workers or replicas, an upstream that waits or fails as told, and what Redis says was spent.

What lives here: the stand. What does not: what must hold (`tests/end_to_end/test_governors_of_workers.py`), settings of policies.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.helpers.client import RawClient
from tests.helpers.installation import Installation
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.redis import RedisServer
from tests.helpers.wire import CutError, WireError, response

BROKEN = 0
"""Instead of a status: the connection broke."""
PATIENCE_SECONDS = 120.0
_FAILURES = (CutError, WireError, ConnectionError, asyncio.IncompleteReadError)


async def until(probe: Callable[[], object], what: str) -> None:
    """Wait until something is true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    while not probe():
        assert loop.time() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.02)


class Upstream:
    """Answers at once, unless it is told to hold its answers or to fail."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._go = asyncio.Event()
        self._go.set()
        self.fails = False
        self.arrived = self.answered = self.failed = 0

    async def __call__(self, exchange: Exchange) -> None:
        self.arrived += 1
        await self._go.wait()
        if self.fails:
            self.failed += 1
            await exchange.send(response(b"{}", status=b"500 Internal Server Error"))
        else:
            self.answered += 1
            await exchange.send(self._answer)

    def hold(self) -> None:
        self._go.clear()

    def release(self) -> None:
        self._go.set()


async def shot(port: int, sent: bytes) -> int:
    """Make one call on a connection of its own; give its status."""
    try:
        async with await RawClient.connect(port, record=False) as client:
            return (await client.call(sent, wait_seconds=PATIENCE_SECONDS)).status
    except _FAILURES:
        return BROKEN


@dataclass
class Stand:
    """Installations on one Redis before one upstream."""

    installed: Sequence[Installation]
    upstream: Upstream
    redis: RedisServer
    _turns: Any = field(init=False)

    def __post_init__(self) -> None:
        self._turns = itertools.cycle([each.port for each in self.installed])

    def shot(self, sent: bytes) -> "asyncio.Task[int]":
        """Make a call at the next installation."""
        return asyncio.get_running_loop().create_task(shot(next(self._turns), sent))

    async def stream(self, calls: "itertools.count[int]", most: int, sent: Callable[[int], bytes], heard: Callable[[int], None]) -> None:  # fmt: skip
        """Call one after the other on one connection, a new one where it breaks, until so many were made by all."""
        port = next(self._turns)
        client: RawClient | None = None
        while (number := next(calls)) < most:
            try:
                client = client or await RawClient.connect(port, record=False)
                answer = await client.call(sent(number), wait_seconds=PATIENCE_SECONDS)
                heard(answer.status)
                is_over = answer.get(b"connection") == b"close"
            except _FAILURES:
                heard(BROKEN)
                is_over = True
            if is_over and client is not None:
                client.writer.transport.abort()
                client = None
        if client is not None:
            client.writer.transport.abort()

    async def kill(self) -> None:
        """Kill a worker, which its supervisor replaces."""
        await asyncio.to_thread(self.installed[0].kill, "w0")

    def spent(self) -> dict[str, tuple[int, int]]:
        """Give what is settled on each account, and what is reserved."""
        found: dict[str, tuple[int, int]] = {}
        with redis.Redis(unix_socket_path=self.redis.url.removeprefix("unix://")) as client:  # fmt: skip
            for name in client.scan_iter(b"tacho:*:t:*"):
                settled, reserved = client.hmget(name, "v", "w")
                found[name.hex()] = (int(settled or 0), int(reserved or 0))
        return found

    async def settled(self) -> dict[str, int]:
        """Wait until nothing is reserved any more; give what was spent."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            found = await asyncio.to_thread(self.spent)
            if not any(reserved for _, reserved in found.values()):
                return {name: spent for name, (spent, _) in found.items()}
            assert asyncio.get_running_loop().time() < deadline, found
            await asyncio.sleep(0.2)

    async def at_rest(self) -> None:
        """Wait until every worker shows every breaker closed."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        for each in self.installed:
            while open_now := await asyncio.to_thread(each.counters, "tacho_breaker_state", "model"):  # fmt: skip
                assert asyncio.get_running_loop().time() < deadline, open_now
                await asyncio.sleep(0.1)


@asynccontextmanager
async def standing(place: Path, where: str, server: RedisServer, answer: bytes, **settings: Any) -> AsyncIterator[Stand]:  # fmt: skip
    """Run `workers`, two of them, or `replicas`, two with a worker each; only what agents wait for."""
    upstream = Upstream(answer)
    # These are about what is shared, not about time: 50 ms on a busy machine are none.
    shared = {"state": server.url, "secret": "one-for-all-replicas", "state_wait_ms": 10_000}  # fmt: skip
    count, workers = (1, 2) if where == "workers" else (2, 1)
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(RawOrigin(upstream, record=False))
        installed = []
        for number in range(count):
            (place / str(number)).mkdir()
            each = Installation(place / str(number), origin.url, workers=workers, **shared, **settings)  # fmt: skip
            stack.push_async_callback(asyncio.to_thread, each.end)
            installed.append(each)
        await asyncio.gather(*(asyncio.to_thread(each.start, "proxy") for each in installed))  # fmt: skip
        yield Stand(installed, upstream, server)
        stops = (asyncio.to_thread(each.stop) for each in installed)
        assert set(await asyncio.gather(*stops)) == {0}
