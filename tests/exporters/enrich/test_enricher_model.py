"""Exactly one row for each exchange, wherever the enricher or a worker is killed."""

import contextlib
import errno
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from proxy.record.checkpoint import Checkpoint, write_checkpoint
from proxy.record.codec import Event
from proxy.record.framing import Position
from tests.helpers.enriching import Bench
from tests.helpers.spooled import T0, Writer, make_close, make_end, make_open


class Enriching(RuleBasedStateMachine):
    """A worker that writes, an enricher that reads, and crashes of either between any two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.data_dir = Path(tempfile.mkdtemp())
        self.bench = Bench(self.data_dir)
        self.incarnations = self.events = 0
        self.state: dict[str, str] = {}
        """The last record of each exchange."""
        self.living: list[str] = []
        self.begin()

    def begin(self) -> None:
        self.incarnations += 1
        self.living = []
        self.writer = Writer(self.bench.spool, f"{self.incarnations:03}")

    def advance(self, was: str, becomes: str, choice: int) -> str | None:
        ready = [name for name in self.living if self.state[name] == was]
        if not ready:
            return None
        name = ready[choice % len(ready)]
        self.state[name] = becomes
        return name

    @rule()
    def open(self) -> None:
        name = str(len(self.state) + 1)
        self.living.append(name)
        self.state[name] = "open"
        self.writer.write(make_open(name))

    @rule(choice=st.integers(0, 9))
    def close(self, choice: int) -> None:
        name = self.advance("open", "close", choice)
        if name is not None:
            self.writer.write(make_close(name))

    @rule(choice=st.integers(0, 9))
    def end(self, choice: int) -> None:
        name = self.advance("close", "end", choice)
        if name is not None:
            self.writer.write(make_end(name))

    @rule()
    def event(self) -> None:
        self.events += 1
        self.writer.write(Event(event_id=str(self.events), ts_us=T0, type="gap"))

    @rule()
    def next_segment(self) -> None:
        self.writer.next_segment()

    @rule()
    def enrich(self) -> None:
        self.bench.enricher.step(self.bench.now)

    @rule(seconds=st.sampled_from([1.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.bench.now += seconds

    @rule()
    def kill_enricher(self) -> None:
        self.bench.restart()

    @rule()
    def fill_disk_and_free_it(self) -> None:
        self.bench.disk.error = errno.ENOSPC
        with contextlib.suppress(OSError):
            self.bench.enricher.step(self.bench.now)
        self.bench.disk.error = 0

    @rule()
    def clean(self) -> None:
        older = tuple(f"{number:03}" for number in range(1, self.incarnations))
        name = self.writer.directory.name
        write_checkpoint(self.writer.directory, Checkpoint(name, Position(9, 0), older))
        self.bench.enricher.clean()

    @rule()
    def kill_worker(self) -> None:
        self.writer.die()
        self.begin()

    def teardown(self) -> None:
        self.kill_worker()
        self.kill_enricher()
        self.bench.run()
        rows = self.bench.rows()
        assert Counter(row["attempt_id"] for row in rows) == Counter(list(self.state))
        for row in rows:
            crashed = self.state[row["attempt_id"]] == "open"
            assert row["outcome"] == ("proxy_crashed" if crashed else "completed")
        gaps = [
            row["event_id"] for row in self.bench.rows("events") if row["type"] == "gap"
        ]
        assert sorted(gaps) == sorted(str(number + 1) for number in range(self.events))
        self.bench.kill()
        self.writer.die()
        shutil.rmtree(self.data_dir)


Enriching.TestCase.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None
)
TestEnriching = Enriching.TestCase
