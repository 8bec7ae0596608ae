"""Checks D05 and D06: what a full or failing disk costs, with a small quota instead of a small disk."""

import errno
from collections import Counter
from pathlib import Path
from typing import Any

from proxy.record import batches, codec, framing
from proxy.record.batches import BatchSink, SpoolOptions, measure
from proxy.record.codec import Event
from proxy.record.segment_writer import SegmentWriter
from tests.helpers.spooled import FaultyDisk, read_all


class Bench:
    """A sink over a disk that fails on demand, and a clock."""

    def __init__(
        self, tmp_path: Path, quota_bytes: int | None = None, **options: Any
    ) -> None:
        self.root = tmp_path / "spool"
        self.directory = self.root / "w0" / "i1"
        self.directory.mkdir(parents=True)
        self.disk = FaultyDisk(quota_bytes)
        self.refused: Counter[str] = Counter()
        segments = SegmentWriter(
            self.directory,
            bytes(16),
            segment_bytes=2000,
            segment_seconds=60,
            disk=self.disk,
        )
        self.sink = BatchSink(
            self.root,
            segments,
            SpoolOptions(**options),
            self.disk,
            lambda: 7,
            "i1",
            self.refused,
        )

    def records(self) -> tuple[list[bytes], list[Event]]:
        payloads, _ = read_all(self.directory)
        plain = [each for each in payloads if each.startswith(b"r")]
        events = [codec.decode(each) for each in payloads if not each.startswith(b"r")]
        return plain, [each for each in events if isinstance(each, Event)]


def test_full_disk_drops_exactly_what_is_counted_and_recovers_by_itself(tmp_path):
    bench = Bench(tmp_path, quota_bytes=5000)
    sent = [f"r{number:04}".encode() + b"x" * 95 for number in range(100)]
    written = sum(
        bench.sink.write([each], number / 1000) for number, each in enumerate(sent)
    )
    found, events = bench.records()
    assert found == sent[:written]
    assert bench.sink.dropped == {"disk_full": 100 - written}
    assert str(bench.sink.trouble) == "disk_full"
    assert not events

    bench.disk.quota_bytes = None
    assert bench.sink.write([b"r-after"], 2.0) == 1
    found, events = bench.records()
    assert found == [*sent[:written], b"r-after"]
    assert bench.sink.trouble == ""
    (gap,) = events
    assert (gap.type, gap.reason, gap.value) == ("gap", "disk_full", str(100 - written))
    assert (gap.event_id, gap.ts_us) == ("gap-i1-0", 7)


def test_disk_is_left_alone_for_a_moment_after_a_failure(tmp_path):
    bench = Bench(tmp_path)
    bench.disk.error = errno.EIO
    assert bench.sink.write([b"r1"], 0.0) == 0
    bench.disk.error = 0
    assert bench.sink.write([b"r2"], 0.2) == 0
    assert bench.sink.write([b"r3"], 0.3) == 1
    assert bench.sink.dropped == {"io_error": 2}


def test_short_write_in_an_open_segment_loses_nothing(tmp_path):
    bench = Bench(tmp_path)
    bench.sink.write([b"r0"], 0.0)
    bench.disk.short = 15
    assert bench.sink.write([b"r1", b"r2", b"r3"], 0.0) == 3
    assert bench.records()[0] == [b"r0", b"r1", b"r2", b"r3"]
    assert not bench.sink.dropped


def test_size_cap_counts_all_incarnations_and_lifts_when_somebody_deletes(tmp_path):
    bench = Bench(tmp_path, max_bytes=1000)
    other = bench.root / "w0" / "i0"
    other.mkdir()
    (other / "00000001.seg").write_bytes(bytes(950))
    assert bench.sink.write([b"r" * 100], 0.0) == 0
    assert bench.sink.dropped == {"size_cap": 1}
    (other / "00000001.seg").unlink()
    assert bench.sink.write([b"r" * 100], 0.1) == 1
    assert bench.records()[1][0].reason == "size_cap"


def test_free_space_that_belongs_to_others_is_not_used(tmp_path, monkeypatch):
    bench = Bench(tmp_path, min_free_bytes=1000)
    monkeypatch.setattr(bench.disk, "free_bytes", lambda path: 1050)
    assert bench.sink.write([b"r" * 100], 0.0) == 0
    assert bench.sink.dropped == {"disk_full": 1}
    assert bench.sink.write([b"r" * 10], 0.1) == 1


def test_one_gap_event_in_a_second_tells_of_all_that_was_lost(tmp_path):
    bench = Bench(tmp_path)
    bench.refused["queue_full"] += 3
    bench.sink.write([b"r1"], 0.0)
    bench.refused["queue_full"] += 2
    bench.sink.write([b"r2"], 0.5)
    assert [event.value for event in bench.records()[1]] == ["3"]
    bench.sink.tell_gap(1.5)
    assert [event.value for event in bench.records()[1]] == ["3", "2"]
    bench.sink.tell_gap(9.0)
    assert len(bench.records()[1]) == 2


def test_record_that_fits_no_frame_costs_only_itself(tmp_path, monkeypatch):
    bench = Bench(tmp_path)
    monkeypatch.setattr(framing, "MAX_FRAME_BYTES", 50)
    assert bench.sink.write([b"r1", b"r" * 51, b"r2"], 0.0) == 1
    assert bench.records()[0] == [b"r1", b"r2"]
    assert bench.sink.dropped == {"size_cap": 1}


def test_spool_that_cannot_be_measured_drops_and_recovers(tmp_path, monkeypatch):
    bench = Bench(tmp_path)

    def fail(root: Path) -> int:
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as patched:
        patched.setattr(batches, "measure", fail)
        assert bench.sink.write([b"r1"], 0.0) == 0
    assert bench.sink.dropped == {"io_error": 1}
    assert bench.sink.write([b"r2"], 0.5) == 1


def test_nothing_to_write_touches_no_file(tmp_path):
    bench = Bench(tmp_path)
    assert bench.sink.write([], 0.0) == 0
    assert measure(bench.root) == 0


def test_a_checkpoint_is_no_part_of_what_is_capped(tmp_path):
    """It grows with the runs that live, and nothing would ever make room for it."""
    bench = Bench(tmp_path)
    assert bench.sink.write([b"r1"], 0.0) == 1
    size = measure(bench.root)
    (segment,) = bench.root.rglob("*.seg")
    segment.with_name("checkpoint").write_bytes(bytes(100_000))
    assert measure(bench.root) == size == segment.stat().st_size
