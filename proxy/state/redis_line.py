"""The one connection to Redis: what everybody asks goes out as it comes, many at once, and is answered in that order.

What lives here: sending, waiting for a bounded time, connecting again. What does not: what is asked (`redis_scripts.py`), what follows
when nothing is known (`redis_state.py`), where Redis is (`redis_place.py`).

Who asks never touches the connection: it belongs to the tasks of `run`. Whoever is cancelled, or waits no longer, leaves an answer that
nobody takes, so that no other one gets it (redis-py #2624 and #2665, CVE-2023-28859).
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

from proxy.state.circuit import Circuit
from proxy.state.redis_asked import Asked, Counts, Script, Taker
from proxy.state.redis_place import Connection

A_BATCH = 200
EXCUSE_SECONDS = 0.01
SLOW_LOG_SECONDS = 60.0
"""How often it is said at most that Redis is slow."""
_logger = logging.getLogger("tacho.state")


class Unavailable(Exception):  # noqa: N818 - a state, no mistake
    """Redis did not answer, or not in time, or is not asked for the moment."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, and how much, is waited for."""

    wait_seconds: float = 0.05
    """Who asks waits no longer than this."""
    connect_seconds: float = 2.0
    stalled_seconds: float = 1.0
    """A connection on which nothing was answered for so long is given up."""
    pending: int = 10_000
    """So many questions and notes wait at most."""


class Line:
    """Asks and tells; `run` must be running for anything to get through."""

    def __init__(
        self,
        connection: Connection,
        circuit: Circuit,
        scripts: Sequence[Script],
        place: str = "",
        patience: Patience | None = None,
    ) -> None:
        """`place` is what the log calls it: no secrets. `scripts` are given to Redis on each connection."""
        self._connection = connection
        self._circuit = circuit
        self._scripts = scripts
        self._place = place
        self._patience = patience or Patience()
        self._queue: deque[Asked] = deque()
        self._sent: deque[Asked] = deque()
        self._filled = asyncio.Event()
        self._stalled = asyncio.Event()
        self._connected = asyncio.Event()
        self._slow_told_at = -SLOW_LOG_SECONDS
        self.counts = Counts()
        self.greeters: list[Callable[[], None]] = []
        """Called on each connection, before anybody may ask; what they tell goes out behind what was told before."""

    def __repr__(self) -> str:
        """Say where, and no secrets."""
        return f"Line({self._place!r})"

    @property
    def trouble(self) -> str:
        """Say what is wrong; nothing where Redis is asked and answers."""
        if not self.is_connected:
            return f"redis at {self._place} is not connected"
        return f"redis at {self._place} is slow" if self._circuit.is_open else ""

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._connected.is_set()

    async def connected(self, seconds: float) -> bool:
        """Wait for a connection; say whether there is one."""
        try:
            async with asyncio.timeout(seconds):
                await self._connected.wait()
        except TimeoutError:
            return False
        return True

    async def ask(
        self,
        script: Script,
        args: Sequence[bytes],
        seconds: float = 0.0,
        taken: Taker | None = None,
    ) -> Any:
        """Give the script's reply; raise `Unavailable` where there is none in time. One that comes later goes to `taken`."""
        is_full = len(self._queue) + len(self._sent) >= self._patience.pending
        if not self.is_connected or is_full or not self._circuit.allows():
            self.counts.refused += 1
            raise Unavailable
        asked = Asked(script, args, taken)
        loop = asyncio.get_running_loop()
        asked.future = loop.create_future()
        asked.deadline = loop.time() + (seconds or self._patience.wait_seconds)
        self._put(asked)
        timer = loop.call_at(asked.deadline, self._late, asked)
        try:
            return await asked.future
        except asyncio.CancelledError:
            asked.left()
            raise
        finally:
            timer.cancel()

    def tell(
        self,
        script: Script,
        args: Sequence[bytes],
        taken: Taker | None = None,
        again: Sequence[bytes] | None = None,
    ) -> None:
        """Send something to which nobody waits for a reply. `again` is sent where the connection breaks before it."""
        if len(self._queue) + len(self._sent) >= self._patience.pending:
            self.counts.dropped += 1
            return
        asked = Asked(script, args, taken)
        asked.again = again
        self._put(asked)

    def _put(self, asked: Asked) -> None:
        asked.since = time.monotonic()
        self._queue.append(asked)
        self._filled.set()

    def _late(self, asked: Asked) -> None:
        """Stop waiting; but where it was this process that stood still, see first what has come meanwhile."""
        future = asked.future
        if future is None or future.done():
            return
        loop = asyncio.get_running_loop()
        if not asked.is_excused and loop.time() - asked.deadline > EXCUSE_SECONDS:
            asked.is_excused = True
            loop.call_later(EXCUSE_SECONDS, self._late, asked)
            return
        self.counts.late += 1
        self._circuit.failed()
        self._tell_slow(loop.time())
        future.set_exception(Unavailable())
        oldest = self._sent[0].since if self._sent else time.monotonic()
        if time.monotonic() - oldest > self._patience.stalled_seconds:
            self._stalled.set()

    def _tell_slow(self, now: float) -> None:
        if now - self._slow_told_at < SLOW_LOG_SECONDS:
            return
        self._slow_told_at = now
        detail = {"at": self._place, "late": self.counts.late, "waited_seconds": self._patience.wait_seconds}  # fmt: skip
        _logger.warning("redis_slow", extra={"detail": detail})

    async def run(self) -> None:
        """Keep connected until cancelled."""
        was_told = False
        while True:
            try:
                await self._serve()
            except Exception as error:  # noqa: BLE001 - whatever it is, agents' calls go on, and it is tried again
                if self.is_connected or not was_told:
                    kinds = sorted({type(each.__cause__ or each).__name__ for each in _leaves(error)})  # fmt: skip
                    detail = {"at": self._place, "error": " ".join(kinds), "meaning": "calls are in no run unless they name one"}  # fmt: skip
                    _logger.warning("redis_unreachable", extra={"detail": detail})
                was_told = True
            finally:
                self._connected.clear()
                self._lose()
                await self._connection.disconnect(nowait=True)
            await asyncio.sleep(self._circuit.tried())

    async def _serve(self) -> None:
        connection = self._connection
        async with asyncio.timeout(self._patience.connect_seconds):
            await connection.connect()
            for script in self._scripts:
                load = connection.pack_commands([("SCRIPT", "LOAD", script.text)])
                await connection.send_packed_command(load, check_health=False)
                await connection.read_response(disable_decoding=True)
        self._stalled.clear()
        self._circuit.worked()
        for greet in self.greeters:
            greet()
        self._connected.set()
        self.counts.connects += 1
        _logger.info("redis_connected", extra={"detail": {"at": self._place}})
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write(), name="redis_write")
            tasks.create_task(self._read(), name="redis_read")
            tasks.create_task(self._watch(), name="redis_watch")

    async def _write(self) -> None:
        """Send all that was asked in one turn of the event loop at once."""
        connection = self._connection
        while True:
            batch: list[Asked] = []
            while self._queue and len(batch) < A_BATCH:
                asked = self._queue.popleft()
                if not asked.is_moot():
                    batch.append(asked)
            if not batch:
                self._filled.clear()
                await self._filled.wait()
                continue
            self._sent.extend(batch)
            commands = connection.pack_commands([each.command() for each in batch])
            await connection.send_packed_command(commands, check_health=False)

    async def _read(self) -> None:
        connection, sent = self._connection, self._sent
        while True:
            try:
                reply = await connection.read_response(disable_decoding=True)
            except NoScriptError:
                asked = sent.popleft()
                asked.sends_text = True
                self._queue.append(asked)
                self._filled.set()
                continue
            except ReadOnlyError:
                raise  # a replica now: the name may lead to another one
            except ResponseError:
                self._lost(sent.popleft())
                self._circuit.failed()
                continue
            if sent.popleft().answered(reply):
                self._circuit.worked()

    async def _watch(self) -> None:
        await self._stalled.wait()
        raise TimeoutError

    def _lose(self) -> None:
        """Give up what waits for an answer that cannot come; notes that were not sent wait for the next connection."""
        kept = []
        while self._sent:
            asked = self._sent.popleft()
            if asked.again is not None:
                asked.args = asked.again
                kept.append(asked)
            else:
                self._lost(asked)
        for asked in self._queue:
            if asked.future is None:
                kept.append(asked)
            else:
                self._lost(asked)
        self._queue = deque(kept)

    def _lost(self, asked: Asked) -> None:
        if asked.future is None:
            self.counts.dropped += 1
        elif not asked.future.done():
            self.counts.failed += 1
            asked.future.set_exception(Unavailable())


def _leaves(error: Exception) -> list[Exception]:
    if not isinstance(error, ExceptionGroup):
        return [error]
    return [leaf for each in error.exceptions for leaf in _leaves(each)]
