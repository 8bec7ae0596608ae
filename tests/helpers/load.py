"""Load for the drills: agents on raw sockets that write down what each of them saw, and the upstream that answers them.

What lives here: the mix of calls, the agents, their thread, and `Load`, which a drill asks how far they are. What does not:
the upstream's answers (`upstream.py`), the product (`installation.py`), what must be true afterwards (`audit.py`).

All of it runs in a thread with an event loop of its own, so that a drill can wait, kill and ask as plain code.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from tests.helpers.client import RawClient
from tests.helpers.upstream import KINDS, Kind, Upstream
from tests.helpers.wire import CutError, Message, WireError, read_body, read_head

CALL_SECONDS = 90.0
"""Longest that an agent waits for an answer; far beyond the longest pause between two lives of a worker."""


@dataclass
class Call:
    """What an agent asked, and what it saw of the answer."""

    id: str
    """Also the run of its row, and known to the upstream."""
    kind: Kind
    began: float
    """When it could first be hit: before it was sent, or the call before it where that one's connection is used again."""
    ended: float = 0.0
    status: int = 0
    reused: bool = False
    """It went over a connection that had served another one."""
    refused: bool = False
    """The connection was refused."""
    terminal: bool = False
    """The event that ends the answer was seen."""
    complete: bool = False
    """The last byte was seen."""
    error: str = ""
    body: bytes = field(default=b"", repr=False)

    @property
    def finished(self) -> bool:
        """Whether the agent saw a finished answer, so that its row must say so."""
        return self.terminal or self.complete

    @property
    def cut_in_gap(self) -> bool:
        """Whether it broke between the terminal event and the end of the stream."""
        return self.terminal and not self.complete

    @property
    def whole(self) -> bool:
        return self.complete and self.status == 200


class Load:
    """Agents that call without pause between `run` and `rest`; `close` ends the thread."""

    def __init__(self, seed: int, agents: int = 16) -> None:
        self.seed = seed
        self.upstream = Upstream(seed)
        self.calls: list[Call] = []
        """Calls that are over."""
        self.faults: list[BaseException] = []
        """What went wrong in this code; must stay empty."""
        self._agents = agents
        self._resting = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._clients: set[RawClient] = set()
        self._numbers = iter(range(10**9))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="load")
        self._thread.start()
        self._in_loop(self.upstream.start())

    @property
    def url(self) -> str:
        """Where the routes of the product must lead."""
        return self.upstream.url

    def run(self, port: int, agents: int | None = None) -> None:
        """Let the agents (or so many of them) call the proxy on this port."""
        self._in_loop(self._run(port, agents or self._agents))

    def rest(self) -> list[Call]:
        """Let each agent end its call and make no more; give all calls so far."""
        self._in_loop(self._rest())
        assert not self.faults, self.faults
        return self.calls

    def wait_calls(self, more: int, patience_seconds: float = 60.0) -> None:
        """Wait until so many further calls are over."""
        target = len(self.calls) + more
        self._wait(lambda: len(self.calls) >= target, f"{more} calls", patience_seconds)

    def wait_gap(self) -> None:
        """Wait until an answer stands between its terminal event and its end."""
        began = self.upstream.gaps
        self._wait(lambda: self.upstream.gaps > began, "a gap before an end", 60.0)

    def hold(self, streams: int) -> None:
        """Keep streams open before their terminal event, and wait until so many stand there."""
        self._loop.call_soon_threadsafe(self.upstream.held.clear)
        self._wait(lambda: self.upstream.holding >= streams, "streams to stand", 60.0)

    def release(self) -> None:
        """Let them end."""
        self._loop.call_soon_threadsafe(self.upstream.held.set)

    def close(self) -> None:
        """End everything, whatever state it is in."""
        self._in_loop(self._cancel())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _in_loop(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    def _wait(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert not self.faults, self.faults
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.002)

    async def _run(self, port: int, agents: int) -> None:
        self._resting.clear()
        self._tasks = [
            self._loop.create_task(self._agent(number, port), name=f"agent-{number}")
            for number in range(agents)
        ]

    async def _rest(self) -> None:
        self._resting.set()
        await asyncio.gather(*self._tasks)
        self._tasks = []

    async def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._clients:
            client.writer.transport.abort()
        await self.upstream.close()

    async def _agent(self, number: int, port: int) -> None:
        dice = random.Random(f"{self.seed}:{number}:{next(self._numbers)}")
        keeps_alive = number % 3 == 0
        client: RawClient | None = None
        sent = 0.0
        try:
            while not self._resting.is_set():
                kind = dice.choice(KINDS)
                now = time.monotonic()
                if client is None or not keeps_alive:
                    client, sent = None, now
                call = Call(f"call-{next(self._numbers)}", kind, sent)
                client, sent = await self._attempt(call, port, client), now
                call.ended = time.monotonic()
                self.calls.append(call)
                if call.refused:
                    await asyncio.sleep(0.05)  # nobody listens: not the time for load
                if client is not None and not keeps_alive:
                    self._leave(client)
        except Exception as error:  # noqa: BLE001 - kept for the drill, whose thread is another one
            self.faults.append(error)
        finally:
            if client is not None:
                self._leave(client)

    def _leave(self, client: RawClient) -> None:
        client.leave()
        self._clients.discard(client)

    async def _attempt(
        self, call: Call, port: int, client: RawClient | None
    ) -> RawClient | None:
        """Make one call; give its connection where it can be used again."""
        start = 0
        try:
            async with asyncio.timeout(CALL_SECONDS):
                call.reused = client is not None and not client.reader.at_eof()
                if client is None or not call.reused:
                    client = await RawClient.connect(port)
                    self._clients.add(client)
                start = len(client.reader.raw)
                client.writer.write(call.kind.request(call.id))
                message = await read_head(client.reader)
                if message is None:
                    raise CutError("closed before an answer")
                await self._read(call, client, message)
        except ConnectionRefusedError as error:
            call.refused, call.error = True, str(error)
        except (OSError, WireError, TimeoutError, asyncio.IncompleteReadError) as error:
            call.error = f"{type(error).__name__}: {error}"
        if client is None:
            return None
        call.terminal = call.kind.ends_in(bytes(client.reader.raw[start:]))
        if call.complete and not client.reader.at_eof():
            return client
        self._leave(client)
        return None

    @staticmethod
    async def _read(call: Call, client: RawClient, message: Message) -> None:
        call.status = message.status
        await read_body(client.reader, message, until_eof=True)
        call.complete, call.body = True, message.body
