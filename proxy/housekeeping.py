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
from proxy.govern.governor import Governor
from proxy.record.codec import Close, Open, encode
from proxy.record.framing import Position
from proxy.record.spool import SpoolWriter
from proxy.recovery import Memory
from proxy.runs import RunBook
from proxy.state import State
from proxy.telemetry import ExchangeMeters

_TICK_SECONDS = 0.5
_CHECKPOINT_TURNS = 6
_SWEEP_TURNS = 10
_CHECKPOINT_SHARE = 20
"""Checkpoints take no more than one part in so many of the time: with many runs they are written less often."""
_LONGEST_PAUSE = 20.0
"""Seconds; the spool keeps what is behind the last checkpoint."""
_FORSAKEN_AT_ONCE = 100
_logger = logging.getLogger("tacho.worker")
Calls = Iterable[tuple[Open, Close | None]]


@dataclass(slots=True, frozen=True)
class House:
    """What is looked after."""

    spool: SpoolWriter
    pool: Pool
    meters: ExchangeMeters
    memory: Memory
    runs: State
    book: RunBook
    governor: Governor
    under_way: Callable[[], Calls]
    fault: Callable[[str], None]


class Housekeeping:
    """Looks after one worker."""

    def __init__(
        self,
        house: House,
        root: Path,
        is_ours: Callable[[str], bool],
        incarnation: str,
    ) -> None:
        """`root` is the directory of all spools; the last two say which of those in it are the worker's to take over, and its own."""
        self._house = house
        self._root = root
        self._is_ours = is_ours
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
        self.note_losses()
        self._house.governor.tidy()
        if self._turn % _SWEEP_TURNS == 0:
            self._sweep()
            await self._house.governor.show()
        await self.end_runs()
        if self._is_checkpoint_due() and time.monotonic() >= self._not_before:
            await self.checkpoint()

    def _is_checkpoint_due(self) -> bool:
        """Now and then, and as soon as there is something behind it to delete in a spool that fills up."""
        spool = self._house.spool
        is_wanted = spool.is_filling and spool.position() != self._marked
        return is_wanted or self._turn % _CHECKPOINT_TURNS == 0

    def note_losses(self) -> None:
        """Show what the spool holds, and what it and the keeper of state have lost."""
        spool = self._house.spool
        # An answer that did not wait for its record lost a promise, not the record.
        lost = {**spool.dropped, "record_late": spool.waits_out}
        lost.update(self._house.runs.losses())
        self._house.meters.note_spool(spool.bytes_total(), lost)

    def _sweep(self) -> None:
        house, now_us = self._house, time.time_ns() // 1000
        house.pool.sweep()
        house.book.show(house.runs.runs())
        busy = {(opened.tenant, opened.run_id) for opened, _ in house.under_way()}
        for tenant, run_id in busy:  # a run with a call under way is not idle
            house.runs.note(tenant, run_id, (), house.runs.time(now_us))

    async def end_runs(self) -> None:
        """Write down which runs have ended."""
        house, now_us = self._house, time.time_ns() // 1000
        await house.runs.expired(house.runs.time(now_us))
        busy = {(opened.tenant, opened.run_id) for opened, _ in house.under_way()}
        for event in house.book.events(now_us, busy):
            house.meters.event(event)
            house.spool.append(encode(event))

    async def checkpoint(self) -> None:
        """Write a checkpoint; where that fails the old one stays."""
        house = self._house
        self.note_losses()
        if house.memory.is_awaiting:
            absorb(house.memory, house.meters, self._root, self._is_ours, self._incarnation)  # fmt: skip
        await self._forsake()
        await self.end_runs()
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

    async def _forsake(self) -> None:
        """Tell which calls died with a predecessor, so that what their agents try again is known as that."""
        house = self._house
        orphans, house.memory.orphans = house.memory.orphans, []
        for at in range(0, len(orphans), _FORSAKEN_AT_ONCE):
            piece = orphans[at : at + _FORSAKEN_AT_ONCE]
            await asyncio.gather(
                *(house.runs.forsake(each.tenant, each.run_id, each.step_id) for each in piece)
            )  # fmt: skip


def absorb(
    memory: Memory,
    meters: ExchangeMeters,
    root: Path,
    is_ours: Callable[[str], bool],
    incarnation: str,
) -> None:
    """Take over what dead predecessors left; what of it was lost is counted."""
    try:
        memory.absorb(root, is_ours, incarnation)
    except RecordError as error:
        raise StartError(f"{root}: {error}") from error
    for reason, count in memory.losses.items():
        meters.drop(f"recovery_{reason}", count)
    memory.losses.clear()
