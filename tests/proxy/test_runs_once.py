"""Whatever happens in whatever order, each run ends once, its steps are numbered once, and no call is lost from the sums.

What lives here: a worker's memory, book and checkpoints over several lives, on a clock of the test's own. What does not: its parts, which
have tests of their own.
"""

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.identify.facts import Run
from proxy.record.batches import SpoolOptions
from proxy.record.codec import Close, Event, Memo, Open, Record, encode
from proxy.record.spool import SpoolWriter
from proxy.state.memo import written
from proxy.state.memory import MemoryState
from tests.helpers.counted import counted
from tests.helpers.lives import Life
from tests.helpers.records import read_spool
from tests.helpers.runs.tracking import drive
from tests.helpers.spooled import make_close, make_end, make_open

IDLE = 1000
LIVE = 2
"""Fewer than there are runs, so that some are evicted."""
OPS = st.one_of(
    st.tuples(st.just("admit"), st.sampled_from("abc")),
    st.tuples(st.just("answer"), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.sampled_from([1, IDLE // 2, 2 * IDLE])),
    st.tuples(st.just("tick"), st.just(0)),
    st.tuples(st.just("sweep"), st.just(0)),
    st.tuples(st.just("report"), st.sampled_from("abc")),
    st.tuples(st.just("checkpoint"), st.integers(0, 3)),
    st.tuples(st.just("crash"), st.just(0)),
)


class World:
    """A worker through its lives."""

    def __init__(self, root: Path) -> None:
        self.root = root / "spool"
        self.now = 10**6
        self.numbers = count(1)
        self.lives = count(1)
        self.under_way: list[Open] = []
        self.steps: Counter[tuple[str, int]] = Counter()
        self.calls = 0
        self.begin()

    def begin(self) -> None:
        name = f"{next(self.lives):032x}"
        self.life = Life()
        self.life.runs = MemoryState(LIVE, IDLE, self.life.book.ended)
        self.life.memory._runs = self.life.runs
        self.life.memory.absorb(self.root, "w0".__eq__, name)
        self.spool = SpoolWriter(self.root, "w0", name, SpoolOptions(wait_ms=60_000), now_us=lambda: 0)  # fmt: skip
        self.spool.start()

    def write(self, record: Record) -> None:
        self.spool.append(encode(record))

    def admit(self, run_id: str) -> None:
        self.now += 1
        run = Run("acme", run_id, run_id, began_us=self.now, seen_us=self.now)
        run = drive(self.life.runs.admit(run, [], is_step=True))
        self.steps[run_id, run.step_seq] += 1
        opened = make_open(f"{next(self.numbers):032x}", run_id=run_id)
        self.under_way.append(opened)
        self.write(opened)
        self.write(Memo(written(run, [], begins=True)))
        self.calls += 1

    def answer(self, which: int) -> None:
        if self.under_way:
            opened = self.under_way.pop(which % len(self.under_way))
            self.life.runs.note("acme", opened.run_id, [], self.now)
            closed, ended = make_close(opened.attempt_id), make_end(opened.attempt_id)
            for record in (closed, ended):
                self.write(record)
            self.life.meters.apply(opened, closed, ended)
            self.life.book.apply(opened, closed, ended)

    def wait(self, gap: int) -> None:
        self.now += gap

    def tick(self, _: int = 0) -> None:
        life = self.life
        life.runs.expire(self.now)
        busy = {(opened.tenant, opened.run_id) for opened in self.under_way}
        for event in life.book.events(self.now, busy):
            life.meters.event(event)
            self.write(event)

    def sweep(self, _: int) -> None:
        self.life.book.show(self.life.runs.runs())
        for opened in self.under_way:
            self.life.runs.note("acme", opened.run_id, [], self.now)

    def report(self, run_id: str) -> None:
        event = make_report(run_id, self.now)
        self.life.book.noted(event)
        self.write(event)

    async def checkpoint(self, meanwhile: int) -> None:
        """Write a checkpoint while runs end and others begin."""
        self.tick()
        writing = asyncio.ensure_future(self.life.memory.write(self.spool, self.spool.directory.name, self._calls))  # fmt: skip
        for number in range(meanwhile):
            await asyncio.sleep(0)
            self.wait(2 * IDLE if number == 1 else 1)
            self.admit("abc"[number])
            if number == 1:
                self.tick()
        await writing

    def _calls(self) -> Iterable[tuple[Open, Close | None]]:
        return [(opened, None) for opened in self.under_way]

    def crash(self, _: int = 0) -> None:
        self.under_way.clear()
        self.spool.close()
        self.begin()

    async def do(self, name: str, what: Any) -> None:
        done = getattr(self, name)(what)
        if done is not None:
            await done


def make_report(run_id: str, now: int) -> Event:
    return Event("r", now, "outcome", "acme", run_id=run_id, reason="success")


async def lived(root: Path, ops: list[tuple[str, Any]]) -> tuple[World, list[Any]]:
    world = World(root)
    for op in ops:
        await world.do(*op)
    world.crash()
    for _ in range(2):
        world.wait(3 * IDLE)
        world.tick()
        world.sweep(0)
    world.spool.close()
    return world, read_spool(root)[1]


@settings(max_examples=60, deadline=None)
@given(ops=st.lists(OPS, max_size=25))
def test_each_run_ends_once_and_nothing_is_lost(ops: list[tuple[str, Any]]):
    with tempfile.TemporaryDirectory() as folder:
        world, events = asyncio.run(lived(Path(folder), ops))
    ends = [event for event in events if event.type == "run_end"]
    assert sorted(end.run_id for end in ends) == sorted({run for run, _ in world.steps})
    assert set(world.steps.values()) <= {1}
    told = [json.loads(end.detail) for end in ends]
    late = counted(world.life.registry, "tacho_dropped_total").get(
        ("after_run_end",), 0
    )
    assert sum(each["attempts"] for each in told) + late == world.calls
    assert all(each["duration_us"] >= 0 for each in told)


def test_a_name_that_is_used_again_after_its_run_ended_goes_on_and_ends_no_second_time():
    again = [("admit", "a"), ("answer", 0), ("wait", 2 * IDLE), ("tick", 0)]
    with tempfile.TemporaryDirectory() as folder:
        world, events = asyncio.run(lived(Path(folder), [*again, ("checkpoint", 0), *again, ("crash", 0), *again]))  # fmt: skip
    assert sorted(world.steps) == [("a", 1), ("a", 2), ("a", 3)]
    assert [event.run_id for event in events] == ["a"]
    assert counted(world.life.registry, "tacho_dropped_total") == {("after_run_end",): 2}  # fmt: skip


def test_a_run_that_is_evicted_with_a_call_under_way_waits_for_it():
    ops = [("admit", "a"), ("admit", "b"), ("admit", "c"), ("tick", 0), ("checkpoint", 0), ("report", "a"), ("answer", 0), ("tick", 0)]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        world, events = asyncio.run(lived(Path(folder), ops))
    (end,) = [event for event in events if event.type == "run_end" and event.run_id == "a"]  # fmt: skip
    assert json.loads(end.detail)["attempts"] == 1
    assert (end.reason, json.loads(end.detail)["outcome_source"]) == ("success", "reported")  # fmt: skip
    assert counted(world.life.registry, "tacho_dropped_total") == {}
