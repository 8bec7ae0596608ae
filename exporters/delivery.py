"""Brings the rows of the log to one destination: each range once, in order, for ever if it must.

What lives here: the protocol `Exporter`, retrying, poison, the wait for fuller batches, the state that status and metrics
show. What does not: what a destination does with a batch, how ranges are cut (`reader.py`). Each destination has its own
`Delivery` and task, so that a dead one delays no other.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from exporters.reader import Batch, Cursor, CursorFile, Range, RangeLimits, RangeReader
from proxy.errors import TachoError
from proxy.record.disk import make_directory, replace_file
from proxy.record.framing import Position

__all__ = ["Batch", "Delivery", "DeliveryOptions", "Exporter", "Permanent"]

T = TypeVar("T")

CLOSE_SECONDS = 2.0
"""How long a destination may take to let go."""


class Permanent(TachoError):  # noqa: N818 - it is what the retry is told, not only an error
    """The destination will never take this batch: it goes to the dead letters. Anything else is retried."""


class Exporter(Protocol):
    """A destination. The engine calls one method at a time."""

    async def start(self) -> None:
        """Get ready, before the first batch; repeated with growing pauses while it raises."""

    async def export(self, batch: Batch) -> None:
        """Store the batch, or raise `Permanent` (never will) or anything else (try again, the same bytes)."""

    async def close(self) -> None:
        """Let go of everything; called once, also when `start` never succeeded."""


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """How a destination is fed."""

    linger_seconds: float = 0.2
    """Batches begin at least this far apart, unless they are full."""
    backoff_seconds: float = 0.25
    backoff_most_seconds: float = 30.0
    attempt_seconds: float = 120.0
    """A destination that has not answered by then is asked again, with the same bytes and token."""
    limits: RangeLimits = field(default_factory=RangeLimits)


class Delivery:
    """One destination's way through the row log; `run` ends only when cancelled."""

    def __init__(
        self,
        name: str,
        exporter: Exporter,
        data_dir: Path,
        log_id: str,
        options: DeliveryOptions | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Raises `StartError` when the destination's cursor is damaged."""
        self.name = name
        self._exporter = exporter
        self._options = options or DeliveryOptions()
        self._clock, self._sleep, self._jitter = clock, sleep, jitter
        self._dead = data_dir / "dead"
        self._file = CursorFile(data_dir / "rows" / "cursors" / name)
        self._cursor = self._file.load(log_id)
        self._reader = RangeReader(
            data_dir / "rows", self._cursor, self._options.limits
        )
        self._news = asyncio.Event()
        self._began = float("-inf")
        self._underway_us = 0
        self.idle = asyncio.Event()
        """Set while this destination has all that was there when it last looked."""
        self.delivered_rows = 0
        self.poison_batches = 0
        self.poison_rows = 0
        self.failures = 0
        """Failed attempts; each is followed by another."""
        self.last_error = ""
        """Why the last attempt failed; empty after a success."""

    @property
    def position(self) -> Position:
        """The place up to which everything is delivered."""
        return self._cursor.position

    def oldest_us(self) -> int:
        """Give when the oldest row that this destination lacks was made; 0 when it has all."""
        return self._underway_us or self._reader.oldest_us()

    def wake(self) -> None:
        """Hear that the log has news."""
        self.idle.clear()
        self._news.set()

    async def run(self) -> None:
        """Start the destination and feed it until cancelled, then close it."""
        try:
            await self._persist(self._start)
            while True:
                self._news.clear()
                await self._persist(lambda: in_thread(self._look))
                if self._reader.is_empty() and self._cursor.inflight_end is None:
                    if not self._news.is_set():
                        self.idle.set()
                    await self._news.wait()
                    continue
                await self._linger()
                await self._deliver(await in_thread(self._next))
        finally:
            self._reader.close()
            await self._close()

    async def _start(self) -> None:
        await in_thread(
            self._look
        )  # so that the lag shows while the destination does not start
        await self._exporter.start()

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._exporter.close()
        except Exception as error:  # noqa: BLE001 - the guard of the phase export: whatever a destination raises
            self.last_error = f"{type(error).__name__}: {error}"

    def _look(self) -> None:
        if self._cursor.inflight_end is not None:
            self._reader.look_until(self._cursor.inflight_end)
        else:
            self._reader.look()

    def _next(self) -> Range:
        return self._reader.cut(self._cursor.inflight_end)

    async def _linger(self) -> None:
        """Let rows gather if the last batch was just now."""
        wait = self._began + self._options.linger_seconds - self._clock()
        if (
            self._cursor.inflight_end is None
            and wait > 0
            and not self._reader.is_full()
        ):
            await self._sleep(wait)
            await self._persist(lambda: in_thread(self._look))
        self._began = self._clock()

    async def _deliver(self, piece: Range) -> None:
        self._underway_us = piece.made_us
        if piece.batches:
            await self._save(Cursor(self._cursor.log_id, piece.start, piece.end))
        for batch in piece.batches:
            await self._deliver_batch(batch)
        self._reader.take(piece)
        self._underway_us = 0
        done = Cursor(self._cursor.log_id, piece.end)
        if piece.batches:
            await self._save(done)
        else:
            self._cursor = done

    async def _deliver_batch(self, batch: Batch) -> None:
        try:
            await self._persist(lambda: self._attempt(batch))
        except Permanent as error:
            self.last_error = str(error)
            self.poison_batches += 1
            self.poison_rows += batch.rows_count
            await self._persist(lambda: in_thread(lambda: self._bury(batch)))
        else:
            self.delivered_rows += batch.rows_count

    async def _attempt(self, batch: Batch) -> None:
        async with asyncio.timeout(self._options.attempt_seconds):
            await self._exporter.export(batch)

    def _bury(self, batch: Batch) -> None:
        make_directory(self._dead)
        replace_file(
            self._dead / f"{self.name}-{batch.token.replace(':', '_')}.jsonl",
            batch.body,
        )

    async def _save(self, cursor: Cursor) -> None:
        await self._persist(lambda: in_thread(lambda: self._file.save(cursor)))
        self._cursor = cursor

    async def _persist(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Try until it works, with growing jittered pauses; only `Permanent` and cancellation come out."""
        pause = self._options.backoff_seconds
        while True:
            try:
                await attempt()
            except Permanent:
                self.failures += 1
                raise
            except Exception as error:  # noqa: BLE001 - the guard of the phase export: whatever a destination raises
                self.failures += 1
                self.last_error = f"{type(error).__name__}: {error}"
                await self._sleep(pause * (0.5 + self._jitter() / 2))
                pause = min(pause * 2, self._options.backoff_most_seconds)
            else:
                self.last_error = ""
                return


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread; when cancelled, wait for it: nobody else may touch its files meanwhile."""
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise
