"""What a worker keeps over its own death: counters and short-lived state, as checkpoint plus tail.

What lives here: writing the checkpoint (a snapshot with the spool position up to which it holds) and, on start, folding in
what dead predecessors left: their checkpoints and each record behind them. What does not: the files
(`record/checkpoint.py`), rows for calls that died with their worker (the enricher writes those).
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import thread_time

import msgspec

from proxy.errors import RecordError
from proxy.govern.governor import Governor
from proxy.identify.facts import Run
from proxy.identify.prompts import Prompts
from proxy.inheriting import Inheritance
from proxy.judge.expected import Learned
from proxy.meter.billed import BilledResponses
from proxy.model import ErrorType, Outcome
from proxy.prompt_changes import hear
from proxy.record.checkpoint import (
    Checkpoint,
    Predecessor,
    predecessors,
    tail,
    write_checkpoint,
)
from proxy.record.codec import (
    Close,
    End,
    Event,
    Memo,
    Open,
    Price,
    Record,
    decode,
    encode,
)
from proxy.record.framing import Losses
from proxy.record.incarnations import incarnations
from proxy.record.spool import SpoolWriter
from proxy.runs import RUN_END, RunBook
from proxy.state import tally
from proxy.state.memo import replay
from proxy.state.memory import MemoryState
from proxy.state.snapshot import pieces, restore
from proxy.state.totals import Totals
from proxy.telemetry import ExchangeMeters, Registry


class _State(msgspec.Struct, frozen=True):
    """What the counters do not say: calls under way at the snapshot, and stored responses already billed."""

    under_way: tuple[tuple[bytes, bytes | None], ...] = ()
    """`Open` and, where it was written, `Close` of each call that had not ended."""
    billed: tuple[str, ...] = ()
    totals: tuple[tuple[str, str, Totals], ...] = ()
    """Tenant, run, and what it has come to."""
    prompts: tuple[tuple[str, str, tuple[int, ...]], ...] = ()
    """`Prompts.snapshot`."""
    over: tuple[tuple[Run, Totals], ...] = ()
    """Runs that have ended and whose end is not written down yet."""
    runs: tuple[bytes, ...] = ()
    """What is remembered of runs, in the pieces of `proxy.state.snapshot`; newer than the rest, so that the tail says some of it again."""
    accounts: tuple[bytes, ...] = ()
    """In the pieces of `Books.snapshot`, of the moment of the checkpoint's position."""
    learned: tuple[Learned, ...] = ()
    """What calls have cost."""


class Memory:
    """Folds records into counters; the same way for the living and the dead."""

    def __init__(
        self,
        registry: Registry,
        meters: ExchangeMeters,
        billed: BilledResponses,
        runs: MemoryState | None,
        book: RunBook,
        prompts: Prompts,
        governor: Governor,
    ) -> None:
        """Feed these; without `runs`, others keep what is remembered of runs and what they come to, and it outlives this worker."""
        self._prompts = prompts
        self._registry = registry
        self._meters = meters
        self._billed = billed
        self._runs = runs
        self._book = book
        self.losses = Losses()
        self._inheritance = Inheritance(runs, governor, self.losses)
        self.absorbed: tuple[str, ...] = ()
        self.is_awaiting = False
        """A predecessor, whose supervisor was killed, was still draining when `absorb` looked."""
        self.busy_seconds = 0.0
        """Processor time for which the last checkpoint kept the event loop from calls."""
        self.orphans: list[Open] = []
        """Calls that died unanswered; for whoever tells the keeper of state (`State.forsake`)."""
        self._pending: dict[str, tuple[Open, Close | None]] = {}

    def absorb(self, root: Path, is_ours: Callable[[str], bool], own: str) -> None:
        """Take over from dead incarnations of workers that are ours by their name; a damaged one costs only what is damaged, counted.

        One that still drains is left to a later call (`is_awaiting`).
        """
        present = incarnations(root)
        self.is_awaiting = any(
            is_ours(each.worker) and each.name < own and each.is_alive()
            for each in present
        )
        dead = [
            each
            for each in predecessors(root, is_ours, own)
            if each.incarnation.name not in self.absorbed
        ]
        # None of these had absorbed another one of them, so that each checkpoint counts what no other does. A call that died with its
        # worker was over before the next one began, which may have told its run's end.
        for each in dead:
            if each.checkpoint is not None:
                self._restore(each.checkpoint)
            self._fold(tail(each, self.losses))
            self._end_orphans()
            self._inheritance.end()
        names = {name for each in dead for name in _names(each)}
        names |= set(self.absorbed)
        self.absorbed = tuple(sorted(names & {each.name for each in present}))

    def _restore(self, checkpoint: Checkpoint) -> None:
        try:
            self._registry.restore(bytes(checkpoint.telemetry))
            state = msgspec.msgpack.decode(checkpoint.state, type=_State)
        except (msgspec.MsgspecError, RecordError, ValueError):
            self.losses["checkpoint"] += 1
            return
        self._book.restore(state.totals, state.over)
        self._prompts.restore(state.prompts)
        for piece in state.runs:
            self._recall(restore, piece)
        self._inheritance.restore(state.accounts, state.learned)
        for response_id in state.billed:
            self._billed.add(response_id)
        self._fold(
            record
            for payloads in state.under_way
            for payload in payloads
            if payload is not None and (record := self._read(payload)) is not None
        )

    def _read(self, payload: bytes) -> Record | None:
        try:
            return decode(payload)
        except RecordError:
            self.losses["undecodable"] += 1
            return None

    def _fold(self, records: Iterable[Record]) -> None:
        pending = self._pending
        for record in records:
            match record:
                case Open():
                    hear(self._prompts, record)
                    pending[record.attempt_id] = (record, None)
                case Close():
                    opened, _ = pending.get(record.attempt_id, (None, None))
                    if opened is not None:
                        pending[record.attempt_id] = (opened, record)
                case End():
                    self._end(record)
                case Event():
                    self._meters.event(record)
                    self._hear(record)
                case Memo():
                    if record.about == tally.ABOUT:
                        self._inheritance.replay(record.said)
                    else:
                        self._recall(replay, record.said)
                case Price():
                    pass  # the enricher reads it; the successor writes its own

    def _hear(self, event: Event) -> None:
        hear(self._prompts, event)
        if self._runs is not None:
            self._book.noted(event)
        if event.type == RUN_END:
            if self._runs is not None:
                self._runs.end((event.tenant, event.run_id))
            self._book.heard(event)

    def _recall(self, take: Callable[[MemoryState, bytes], None], said: bytes) -> None:
        try:
            if self._runs is not None:
                take(self._runs, said)
        except (msgspec.MsgspecError, ValueError, IndexError):
            self.losses["runs"] += 1

    def _end(self, ended: End) -> None:
        """Count a call as its worker did; what others keep, that worker has told them itself."""
        opened, closed = self._pending.pop(ended.attempt_id, (None, None))
        if opened is not None:
            self._apply(opened, closed, ended)
            if self._runs is not None:
                self._book.apply(opened, closed, ended)

    def _apply(self, opened: Open, closed: Close | None, ended: End) -> None:
        self._meters.apply(opened, closed, ended)
        if closed is not None:
            self._billed.book(opened.dialect, closed.response_id, closed.usage)

    def _end_orphans(self) -> None:
        """Count calls that died with their worker as the enricher's rows will show them."""
        self._forsake_strays()
        for attempt_id, (opened, closed) in self._pending.items():
            if _may_come_again(closed):
                self.orphans.append(opened)
            outcome = closed.outcome if closed is not None else Outcome.PROXY_CRASHED
            error_type = closed.error_type if closed is not None else ErrorType.NONE
            ended = End(
                attempt_id, closed.closed_us if closed else 0, outcome, error_type
            )
            self._apply(opened, closed, ended)
            self._book.apply(opened, closed, ended)
        self._pending.clear()

    def _forsake_strays(self) -> None:
        """As `State.forsake`, of calls that belong to no run."""
        runs = self._runs
        if runs is None:
            return
        steps = {opened.step_id for opened, closed in self._pending.values() if _may_come_again(closed)}  # fmt: skip
        for where, calls in runs.strays.all() if steps else ():
            for asked in calls.asked:
                if asked.step_id in steps and asked.state == "open":
                    failed = msgspec.structs.replace(asked, state="failed")
                    runs.strays.keep(where, failed)

    async def write(
        self,
        spool: SpoolWriter,
        incarnation: str,
        under_way: Callable[[], Iterable[tuple[Open, Close | None]]],
    ) -> None:
        """Write a checkpoint; raises `OSError` where the disk does not take it (the old one stays)."""
        calls = list(under_way())
        state = _State(
            tuple(
                (encode(opened), encode(closed) if closed else None)
                for opened, closed in calls
            ),
            tuple(self._billed.ids()),
            self._book.snapshot(),
            self._prompts.snapshot(),
            self._book.over(),
        )
        remembered = pieces(self._runs) if self._runs is not None else iter(())
        books, learned = self._inheritance.snapshot(), self._inheritance.learned()
        telemetry, absorbed = self._registry.snapshot(), self.absorbed
        # The mark is queued before the loop turns again, so that it and the snapshot mean the same moment.
        position = await spool.mark()
        self.busy_seconds = 0.0
        runs, accounts = await self._written(remembered), await self._written(books)
        state = msgspec.structs.replace(
            state, runs=runs, accounts=accounts, learned=learned
        )
        checkpoint = Checkpoint(
            incarnation,
            position,
            absorbed,
            msgspec.Raw(telemetry),
            msgspec.Raw(msgspec.msgpack.encode(state)),
            tuple(opened.attempt_id for opened, _ in calls),
        )
        await asyncio.to_thread(write_checkpoint, spool.directory, checkpoint)

    async def _written(self, remembered: Iterator[bytes]) -> tuple[bytes, ...]:
        """Write what is remembered; calls go on between its pieces."""
        found: list[bytes] = []
        began = thread_time()
        for piece in remembered:
            found.append(piece)
            self.busy_seconds += thread_time() - began
            await asyncio.sleep(0)
            began = thread_time()
        return tuple(found)


def _names(dead: Predecessor) -> tuple[str, ...]:
    """Give an incarnation's name and those of the ones that it had absorbed."""
    absorbed = dead.checkpoint.absorbed if dead.checkpoint is not None else ()
    return (dead.incarnation.name, *absorbed)


def _may_come_again(closed: Close | None) -> bool:
    """Tell whether an agent may try again what died with its worker: unanswered, or while a failure waited for another attempt of ours."""
    return closed is None or closed.outcome is not Outcome.COMPLETED
