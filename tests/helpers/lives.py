"""Incarnations of a worker's counters: they live through records, write checkpoints, and die.

What lives here: a life, and the making of histories. What does not: a worker, whose loop and sockets these do without.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from proxy.identify.facts import Run
from proxy.identify.prompts import Prompts
from proxy.meter.billed import BilledResponses
from proxy.model import Outcome, Usage
from proxy.record.codec import Close, End, Event, Memo, Open, Price, Record, encode
from proxy.record.spool import SpoolWriter
from proxy.recovery import Memory
from proxy.runs import RunBook
from proxy.state.memo import replay, written
from proxy.state.memory import MemoryState
from proxy.telemetry import ExchangeMeters, Registry, RunMeters
from tests.helpers.counted import Counts, counted
from tests.helpers.governed import make_governor
from tests.helpers.pipelines import make_spool
from tests.helpers.spooled import make_close, make_end, make_open


class Life:
    """One incarnation's counters and memory."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.meters = ExchangeMeters(self.registry, frozenset({"gpt-5"}))
        self.billed = BilledResponses(100)
        self.book = RunBook(RunMeters(self.registry, self.meters), lambda: "e")
        self.runs = MemoryState(1000, 10**12, self.book.ended)
        self.prompts = Prompts()
        self.memory = Memory(
            self.registry,
            self.meters,
            self.billed,
            self.runs,
            self.book,
            self.prompts,
            make_governor(self.runs),
        )
        self.pending: dict[str, tuple[Open, Close | None]] = {}

    def live(self, record: Record) -> None:
        """Do what a living worker does when it writes a record."""
        match record:
            case Open():
                self.pending[record.attempt_id] = (record, None)
            case Close():
                opened, _ = self.pending[record.attempt_id]
                self.pending[record.attempt_id] = (opened, record)
                self.billed.book(opened.dialect, record.response_id, record.usage)
            case End():
                opened, closed = self.pending.pop(record.attempt_id)
                self._apply(opened, closed, record)
            case Memo():
                replay(self.runs, record.said)
            case Price():
                pass
            case Event():
                self.meters.event(record)

    def crash(self) -> None:
        """Count what is under way as the rows will show it."""
        for attempt_id, (opened, closed) in self.pending.items():
            outcome = closed.outcome if closed else Outcome.PROXY_CRASHED
            ended = End(attempt_id, closed.closed_us if closed else 0, outcome)
            self._apply(opened, closed, ended)

    def _apply(self, opened: Open, closed: Close | None, ended: End) -> None:
        self.meters.apply(opened, closed, ended)
        self.book.apply(opened, closed, ended)

    def remembered(self) -> Any:
        return (
            msgspec.msgpack.decode(self.registry.snapshot()),
            sorted(self.billed.ids()),
            sorted(self.book.snapshot()),
            sorted((run.run_id, run.step_seq) for run in self.runs.runs()),
        )

    def attempts(self) -> Counts:
        found = counted(self.registry, "tacho_attempts_total")
        return {(labels[-1],): value for labels, value in found.items()}


def make_memo(run_id: str, step_seq: int) -> Memo:
    run = Run("acme", run_id, run_id, step_seq=step_seq, seen_us=step_seq)
    return Memo(written(run, [], begins=True))


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Exchanges of which some have not closed or ended, interleaved, with events between."""
    lanes: list[list[Record]] = []
    for number in range(draw(st.integers(0, 6))):
        name = f"a{number}"
        step = draw(st.none() | st.integers(1, 9))
        response_id = draw(st.sampled_from(["", f"resp_{number}"]))
        dialect = draw(st.sampled_from(["openai_responses", "openai_chat"]))
        usage = Usage(input=draw(st.integers(1, 50)))
        run_id = draw(st.sampled_from(["r1", "r2"]))
        lane: list[Record] = [
            make_open(name, step_seq=step, run_id=run_id, dialect=dialect),
            make_memo(run_id, step or 0),
            make_close(name, response_id=response_id, usage=usage),
            make_end(name, outcome=draw(st.sampled_from(Outcome))),
        ]
        lanes.append(lane[: draw(st.integers(1, 4))])
    lanes.append([Event(f"e{i}", 1, "gap") for i in range(draw(st.integers(0, 2)))])
    history: list[Record] = []
    while any(lanes):
        lane = draw(st.sampled_from([lane for lane in lanes if lane]))
        history.append(lane.pop(0))
    return history


async def lived(root: Path, history: list[Record], checkpoint_at: int) -> Life:
    """Live through a history, write a checkpoint on the way, and die."""
    life, spool = Life(), make_spool(root)
    for number, record in enumerate([*history, None]):
        if number == checkpoint_at:
            await checkpointed(life, spool)
        if record is not None:
            life.live(record)
            spool.append(encode(record))
    spool.close()
    life.crash()
    return life


async def checkpointed(life: Life, spool: SpoolWriter, name: str = "") -> None:
    def under_way() -> Iterable[tuple[Open, Close | None]]:
        return list(life.pending.values())

    await life.memory.write(spool, name or spool.directory.name, under_way)
