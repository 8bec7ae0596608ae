"""The one connection to Redis: what everybody asks goes out as it comes, many at once, and is answered in that order.

What lives here: sending, waiting for a bounded time, connecting again. What does not: what is asked (`redis_scripts.py`), what follows
when nothing is known (`redis_state.py`), where Redis is (`redis_place.py`).

Who asks never touches the connection: it belongs to the tasks of `run`. Whoever is cancelled, or waits no longer, leaves an answer that
nobody takes, so that no other one gets it (redis-py #2624 and #2665, CVE-2023-28859).
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

from proxy.state.circuit import Circuit
from proxy.state.redis_asked import (  # fmt: skip
    Asked,
    Counts,
    Patience,
    Script,
    Taker,
    Unavailable,
)
from proxy.state.redis_clock import SharedClock
from proxy.state.redis_place import Connection
from proxy.state.redis_trouble import Trouble, kinds_of

A_BATCH = 200
EXCUSE_SECONDS = 0.01
_logger = logging.getLogger("tacho.state")


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
        self._trouble = Trouble(place)
        self._patience = patience or Patience()
        self._queue: deque[Asked] = deque()
        self._sent: deque[Asked] = deque()
        self._unwanted: list[Asked] = []
        """Notes that Redis did not take in, in their order; they go out before all others once it does."""
        self._filled = asyncio.Event()
        self._stalled = asyncio.Event()
        self._connected = asyncio.Event()
        self._tried = asyncio.Event()
        self.clock = SharedClock()
        self.counts = Counts()
        self.greeters: list[Callable[[], None]] = []
        """Called on each connection, before anybody may ask; what they tell goes out behind what was told before."""

    def __repr__(self) -> str:
        """Say where, and no secrets."""
        return f"Line({self._place!r})"

    @property
    def trouble(self) -> str:
        """Say what is wrong; nothing where Redis is asked and answers."""
        return self._trouble.words(is_connected=self.is_connected, is_slow=self._circuit.is_open)  # fmt: skip

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._connected.is_set()

    async def connected(self, seconds: float) -> bool:
        """Wait for a connection; say whether there is one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._connected.wait()
        return self.is_connected

    async def tried(self) -> None:
        """Wait until it was tried once to connect, which takes a bounded time."""
        await self._tried.wait()

    async def ask(
        self, script: Script, args: Sequence[bytes], seconds: float = 0.0, taken: Taker | None = None
    ) -> Any:  # fmt: skip
        """Give the script's reply; raise `Unavailable` where there is none in time. One that comes later goes to `taken`."""
        if not self.is_connected or self._is_full() or not self._may_ask(script):
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

    def _is_full(self) -> bool:
        waiting = len(self._queue) + len(self._sent) + len(self._unwanted)
        return waiting >= self._patience.pending

    def _may_ask(self, script: Script) -> bool:
        return script.is_probe if self._trouble.refusal else self._circuit.allows()

    def tell(
        self, script: Script, args: Sequence[bytes], taken: Taker | None = None, again: Sequence[bytes] | None = None
    ) -> None:  # fmt: skip
        """Send something to which nobody waits for a reply. `again` is sent where the connection breaks before it."""
        if self._is_full():
            self.counts.dropped += 1
            return
        asked = Asked(script, args, taken)
        asked.again = again
        self._put(asked)

    def _put(self, asked: Asked) -> None:
        asked.since = time.monotonic()
        if self._trouble.refusal and asked.script.is_probe:
            self._queue.appendleft(asked)
        else:
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
        detail = {
            "late": self.counts.late,
            "waited_seconds": self._patience.wait_seconds,
        }
        self._trouble.tell("redis_slow", detail)
        future.set_exception(Unavailable())
        oldest = self._sent[0].since if self._sent else time.monotonic()
        if time.monotonic() - oldest > self._patience.stalled_seconds:
            self._stalled.set()

    async def run(self) -> None:
        """Keep connected until cancelled."""
        was_told = False
        while True:
            try:
                await self._serve()
            except Exception as error:  # noqa: BLE001 - whatever it is, agents' calls go on, and it is tried again
                if self.is_connected or not was_told:
                    detail = {"at": self._place, "error": kinds_of(error), "meaning": "calls are in no run unless they name one"}  # fmt: skip
                    _logger.warning("redis_unreachable", extra={"detail": detail})
                was_told = True
            finally:
                self._tried.set()
                self._connected.clear()
                self._lose()
                await self._connection.disconnect(nowait=True)
            await asyncio.sleep(self._circuit.tried())

    async def _serve(self) -> None:
        async with asyncio.timeout(self._patience.connect_seconds):
            await self._connection.connect()
            for script in self._scripts:
                await self._command("SCRIPT", "LOAD", script.text)
            asked_us = self.clock.asked()
            self.clock.heard(asked_us, *map(int, await self._command("TIME")))
        self._stalled.clear()
        self._trouble.began()
        self._circuit.worked()
        for greet in self.greeters:
            greet()
        self._connected.set()
        self._tried.set()
        self.counts.connects += 1
        _logger.info("redis_connected", extra={"detail": {"at": self._place}})
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write(), name="redis_write")
            tasks.create_task(self._read(), name="redis_read")
            tasks.create_task(self._watch(), name="redis_watch")

    async def _command(self, *words: str) -> Any:
        connection, command = self._connection, self._connection.pack_commands([words])
        await connection.send_packed_command(command, check_health=False)
        return await connection.read_response(disable_decoding=True)

    async def _write(self) -> None:
        """Send all that was asked in one turn of the event loop at once."""
        connection = self._connection
        while True:
            batch: list[Asked] = []
            while self._has_more() and len(batch) < A_BATCH:
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

    def _has_more(self) -> bool:
        """Tell whether there is something to send; to a Redis that takes nothing in, only the question whether it does again."""
        queue = self._queue
        return bool(queue) and (not self._trouble.refusal or queue[0].script.is_probe)

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
            except ResponseError as error:
                asked = sent.popleft()
                if self._trouble.failed(asked.script, error):
                    self._refused(asked)
                else:
                    self._lost(asked)
                self._circuit.worked()  # it answers
                continue
            asked = sent.popleft()
            if self._trouble.worked(asked.script):
                self._taken_in_again()
            if asked.answered(reply):
                self._circuit.worked()

    def _refused(self, asked: Asked) -> None:
        """Keep what Redis did not take in, of which it has done nothing; who waits for an answer gets none."""
        waiting = [each for each in self._queue if each.future is not None]
        for each in (asked, *waiting):
            if each.future is None:
                self._unwanted.append(each)
            else:
                self._lost(each)
        self._queue = deque(each for each in self._queue if each.future is None)

    def _taken_in_again(self) -> None:
        self._queue.extendleft(reversed(self._unwanted))
        self._unwanted = []
        self._filled.set()

    async def _watch(self) -> None:
        await self._stalled.wait()
        raise TimeoutError

    def _lose(self) -> None:
        """Give up what waits for an answer that cannot come; notes that were not sent wait for the next connection."""
        kept, self._unwanted = self._unwanted, []
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
