"""What a worker does beside its calls: every half second a look at itself, now and then a checkpoint.

What lives here: when it is done, and that a fault in it costs only itself. What does not: what a checkpoint holds (`recovery.py`),
what a run's end says (`runs.py`).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from proxy.errors import RecordError, StartError
from proxy.forward.pool import Pool
from proxy.record.codec import Close, Open, encode
from proxy.record.framing import Position
from proxy.record.spool import SpoolWriter
from proxy.recovery import Memory
from proxy.runs import RunBook
from proxy.state.memory import MemoryState
from proxy.telemetry import ExchangeMeters

_TICK_SECONDS = 0.5
_CHECKPOINT_TURNS = 6
_SWEEP_TURNS = 10
_CHECKPOINT_SHARE = 20
"""Checkpoints take no more than one part in so many of the time: with many runs they are written less often."""
_LONGEST_PAUSE = 20.0
"""Seconds; the spool keeps what is behind the last checkpoint."""
_logger = logging.getLogger("tacho.worker")
Calls = Iterable[tuple[Open, Close | None]]


@dataclass(slots=True, frozen=True)
class House:
    """What is looked after."""

    spool: SpoolWriter
    pool: Pool
    meters: ExchangeMeters
    memory: Memory
    runs: MemoryState
    book: RunBook
    under_way: Callable[[], Calls]
    fault: Callable[[str], None]


class Housekeeping:
    """Looks after one worker."""

    def __init__(self, house: House, root: Path, worker: str, incarnation: str) -> None:
        """`root` is the directory of all spools; the last two are the worker's names in it."""
        self._house = house
        self._root = root
        self._worker = worker
        self._incarnation = incarnation
        self._turn = 0
        self._not_before = 0.0
        self._marked: Position | None = None
        """Where the spool was at the last checkpoint."""

    async def run(self) -> None:
        """Measure the loop's lag and keep house, until cancelled; outlives faults of ours."""
        while True:
            due = time.monotonic() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            lag_us = round((time.monotonic() - due) * 1e6)
            self._house.meters.note_loop_lag(max(0, lag_us))
            try:
                await self.keep()
            except Exception:  # noqa: BLE001  # the guard of housekeeping
                self._house.fault("housekeeping")

    async def keep(self) -> None:
        """Do what is due at this turn."""
        self._turn += 1
        self.note_spool()
        if self._turn % _SWEEP_TURNS == 0:
            self._sweep()
        self.end_runs()
        if self._is_checkpoint_due() and time.monotonic() >= self._not_before:
            await self.checkpoint()

    def _is_checkpoint_due(self) -> bool:
        """Now and then, and as soon as there is something behind it to delete in a spool that fills up."""
        spool = self._house.spool
        is_wanted = spool.is_filling and spool.position() != self._marked
        return is_wanted or self._turn % _CHECKPOINT_TURNS == 0

    def note_spool(self) -> None:
        """Show what the spool holds and has lost."""
        spool = self._house.spool
        # An answer that did not wait for its record lost a promise, not the record.
        lost = {**spool.dropped, "record_late": spool.waits_out}
        self._house.meters.note_spool(spool.bytes_total(), lost)

    def _sweep(self) -> None:
        house, now_us = self._house, time.time_ns() // 1000
        house.pool.sweep()
        house.book.show(house.runs.runs())
        for opened, _ in house.under_way():  # a run with a call under way is not idle
            house.runs.note(opened.tenant, opened.run_id, (), now_us)

    def end_runs(self) -> None:
        """Write down which runs have ended."""
        house, now_us = self._house, time.time_ns() // 1000
        house.runs.expire(now_us)
        busy = {(opened.tenant, opened.run_id) for opened, _ in house.under_way()}
        for event in house.book.events(now_us, busy):
            house.meters.event(event)
            house.spool.append(encode(event))

    async def checkpoint(self) -> None:
        """Write a checkpoint; where that fails the old one stays."""
        house = self._house
        self.note_spool()
        if house.memory.is_awaiting:
            absorb(house.memory, house.meters, self._root, self._worker, self._incarnation)  # fmt: skip
        self.end_runs()
        self._marked = house.spool.position()
        try:
            await house.memory.write(house.spool, self._incarnation, house.under_way)
        except OSError as error:
            house.meters.drop("checkpoint")
            _logger.warning(
                "checkpoint_failed", extra={"detail": {"errno": error.errno}}
            )
        pause = min(_CHECKPOINT_SHARE * house.memory.busy_seconds, _LONGEST_PAUSE)
        self._not_before = time.monotonic() + pause


def absorb(
    memory: Memory, meters: ExchangeMeters, root: Path, worker: str, incarnation: str
) -> None:
    """Take over what dead predecessors left; what of it was lost is counted."""
    try:
        memory.absorb(root, worker, incarnation)
    except RecordError as error:
        raise StartError(f"{root / worker}: {error}") from error
    for reason, count in memory.losses.items():
        meters.drop(f"recovery_{reason}", count)
    memory.losses.clear()
