"""A model of the segment log: what is written, torn and damaged at random is read back exactly as far as it is good."""

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from proxy.record.framing import HEADER_BYTES, Position, frame
from proxy.record.log_reader import LogReader
from proxy.record.segment_writer import SegmentWriter, segment_path
from tests.helpers.spooled import FaultyDisk, read_all

PAYLOAD = st.one_of(
    st.binary(min_size=1, max_size=60), st.binary(min_size=1, max_size=20).map(frame)
)


class SegmentLog(RuleBasedStateMachine):
    """The model: for each segment the frames that went into it, and which of them are still good."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.now = 0.0
        self.model: dict[int, list[tuple[int, int, bytes, bool]]] = {}
        self.size: dict[int, int] = {}
        self.disk = FaultyDisk()
        self.reopen()
        self.tail = LogReader(self.directory, Position(0, 0), Counter())
        self.tailed: list[bytes] = []

    def reopen(self) -> None:
        self.writer = SegmentWriter(
            self.directory,
            bytes(16),
            segment_bytes=400,
            segment_seconds=10,
            disk=self.disk,
        )

    def put(self, frames: list[bytes], payloads: list[bytes]) -> None:
        """Follow the files: the writer's own position says where the frames went."""
        if not frames:
            return
        number, end = self.writer.position
        start = end - sum(map(len, frames))
        for each, payload in zip(frames, payloads, strict=True):
            self.model.setdefault(number, []).append(
                (start, start + len(each), payload, True)
            )
            start += len(each)
        self.size[number] = end

    @rule(payloads=st.lists(PAYLOAD, min_size=1, max_size=6))
    def write(self, payloads: list[bytes]) -> None:
        frames = [frame(payload) for payload in payloads]
        written = self.writer.write(frames, self.now)
        assert written.error is None
        self.put(frames, payloads)

    @rule(payloads=st.lists(PAYLOAD, min_size=1, max_size=6), taken=st.integers(1, 300))
    def write_short(self, payloads: list[bytes], taken: int) -> None:
        frames = [frame(payload) for payload in payloads]
        self.disk.short = taken
        written = self.writer.write(frames, self.now)
        self.disk.short = 0
        self.put(frames[: written.frames], payloads[: written.frames])

    @rule(seconds=st.sampled_from([1.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.writer.finish()
        self.reopen()

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def crash_and_lose_a_tail(self, data: st.DataObject) -> None:
        """A power cut: the last segment ends at any byte."""
        self.writer.finish()
        number = max(self.model)
        size = data.draw(st.integers(HEADER_BYTES, self.size[number]))
        os.truncate(segment_path(self.directory, number), size)
        self.model[number] = [
            each if each[1] <= size else (*each[:3], False)
            for each in self.model[number]
        ]
        self.size[number] = min(self.size[number], size)
        self.reopen()

    @precondition(
        lambda self: any(good for frames in self.model.values() for *_, good in frames)
    )
    @rule(data=st.data())
    def flip_a_bit(self, data: st.DataObject) -> None:
        good = [
            (n, i)
            for n, frames in self.model.items()
            for i, each in enumerate(frames)
            if each[3]
        ]
        number, index = data.draw(st.sampled_from(good))
        start, end, payload, _ = self.model[number][index]
        place = data.draw(st.integers(start, end - 1))
        path = segment_path(self.directory, number)
        content = bytearray(path.read_bytes())
        content[place] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
        self.model[number][index] = (start, end, payload, False)

    @rule()
    def follow(self) -> None:
        self.tailed += [entry.payload for entry in self.tail.read(live=True)]

    @rule()
    def reading_gives_all_good_records_and_no_bad_one(self) -> None:
        good = [
            each[2]
            for number in sorted(self.model)
            for each in self.model[number]
            if each[3]
        ]
        found, _ = read_all(self.directory)
        assert found == good

    @rule()
    def following_never_gives_what_was_not_written(self) -> None:
        written = [
            each[2] for number in sorted(self.model) for each in self.model[number]
        ]
        rest = iter(written)
        assert all(any(payload == other for other in rest) for payload in self.tailed)

    def teardown(self) -> None:
        self.reading_gives_all_good_records_and_no_bad_one()
        self.follow()
        self.following_never_gives_what_was_not_written()
        self.writer.finish()
        self.tail.close()
        shutil.rmtree(self.directory)


SegmentLog.TestCase.settings = settings(
    max_examples=150, stateful_step_count=25, deadline=None
)
TestSegmentLog = SegmentLog.TestCase
