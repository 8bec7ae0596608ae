"""Check D07: what can be wrong with a directory of segments, and what it costs."""

import os
import shutil
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from proxy.errors import RecordError
from proxy.record import framing
from proxy.record.disk import Disk
from proxy.record.framing import Position, frame, header
from proxy.record.log_reader import LogReader
from proxy.record.segment_writer import SegmentWriter, segment_path
from tests.helpers.spooled import read_all

PAYLOADS = [f"record {number}".encode() * 3 for number in range(12)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Three segments of four records."""
    for number in range(3):
        frames = b"".join(map(frame, PAYLOADS[number * 4 : number * 4 + 4]))
        segment_path(tmp_path, number + 1).write_bytes(
            header(bytes(16), number + 1) + frames
        )
    return tmp_path


def damage(path: Path, kind: str) -> None:
    data = path.read_bytes()
    match kind:
        case "torn":
            path.write_bytes(data[:-5])
        case "flipped":
            path.write_bytes(data[:60] + bytes([data[60] ^ 1]) + data[61:])
        case "length":
            path.write_bytes(data[:34] + b"\x7f" + data[35:])
        case "zeros":
            path.write_bytes(data[:32] + bytes(40) + data[72:])
        case "header":
            path.write_bytes(b"X" + data[1:])
        case "gone":
            path.unlink()
        case "copied":
            shutil.copy(segment_path(path.parent, 1), path)
        case _:
            raise AssertionError(kind)


@pytest.mark.parametrize(
    ("kind", "number", "lost", "losses"),
    [
        ("torn", 1, [3], {"torn": 1}),
        ("torn", 3, [11], {"torn": 1}),
        ("flipped", 1, [0], {"corrupt": 1}),
        ("length", 2, [4], {"corrupt": 1}),
        ("zeros", 2, [4, 5], {"corrupt": 1}),
        ("header", 2, [], {"header": 1}),
        ("gone", 2, [4, 5, 6, 7], {"missing": 1}),
        ("copied", 2, [4, 5, 6, 7], {"foreign": 1}),
    ],
)
def test_damage_costs_exactly_what_it_hits_and_is_counted(
    log, kind, number, lost, losses
):
    damage(segment_path(log, number), kind)
    found, counted = read_all(log)
    assert found == [
        payload for index, payload in enumerate(PAYLOADS) if index not in lost
    ]
    del counted["bytes"]
    assert counted == losses


def test_duplicate_of_a_segment_under_a_new_number_adds_nothing(log):
    shutil.copy(segment_path(log, 2), segment_path(log, 4))
    found, counted = read_all(log)
    assert found == PAYLOADS
    assert counted == {"foreign": 1}


def test_cursor_ahead_of_its_file_goes_on_with_the_next_one(log):
    found, counted = read_all(log, position=Position(2, 100_000))
    assert found == PAYLOADS[8:]
    assert counted == {"ahead": 1}


def test_cursor_in_a_segment_that_is_gone_goes_on_with_the_next_one(log):
    segment_path(log, 1).unlink()
    found, counted = read_all(log, position=Position(1, 50))
    assert found == PAYLOADS[4:]
    assert counted == {"missing": 1}


def test_cursor_in_the_middle_of_a_frame_finds_the_next_one(log):
    found, counted = read_all(log, position=Position(1, 40))
    assert found == PAYLOADS[1:]
    assert counted["corrupt"] == 1


def test_oldest_segments_that_were_deleted_are_no_loss(log):
    segment_path(log, 1).unlink()
    found, counted = read_all(log)
    assert found == PAYLOADS[4:]
    assert not counted


def test_directory_that_is_gone_or_empty_is_caught_up(tmp_path):
    assert read_all(tmp_path / "none") == ([], {})
    assert read_all(tmp_path, live=True) == ([], {})


def test_reading_stops_at_an_unfinished_frame_until_it_is_finished(log):
    path = segment_path(log, 3)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    losses: Counter[str] = Counter()
    reader = LogReader(log, Position(0, 0), losses)
    assert [entry.payload for entry in reader.read(live=True)] == PAYLOADS[:11]
    assert reader.read(live=True) == []
    path.write_bytes(whole)
    assert [entry.payload for entry in reader.read(live=True)] == PAYLOADS[11:]
    assert not losses
    reader.close()


def test_torn_tail_is_passed_as_soon_as_the_writer_has_moved_on(log):
    path = segment_path(log, 3)
    path.write_bytes(path.read_bytes()[:-5])
    losses: Counter[str] = Counter()
    reader = LogReader(log, Position(0, 0), losses)
    assert len(reader.read(live=True)) == 11
    segment_path(log, 4).write_bytes(header(bytes(16), 4) + frame(b"next"))
    assert [entry.payload for entry in reader.read(live=True)] == [b"next"]
    assert losses["torn"] == 1
    reader.close()


def test_segment_of_a_newer_version_is_refused_and_stays_unread(log, monkeypatch):
    monkeypatch.setattr(framing, "FORMAT_VERSION", 2)
    newer = header(bytes(16), 4)
    monkeypatch.undo()
    segment_path(log, 4).write_bytes(newer + frame(b"newer"))
    reader = LogReader(log, Position(4, 0), Counter())
    with pytest.raises(RecordError, match="newer"):
        reader.read(live=False)
    reader.close()


def test_file_that_cannot_be_read_is_passed_over_when_sealed(log, monkeypatch):
    real = os.pread

    def failing(fd: int, length: int, offset: int) -> bytes:
        if offset >= 32 and os.readlink(f"/proc/self/fd/{fd}").endswith("2.seg"):
            raise OSError(5, "Input/output error")
        return real(fd, length, offset)

    monkeypatch.setattr(os, "pread", failing)
    found, counted = read_all(log)
    assert found == PAYLOADS[:4] + PAYLOADS[8:]
    assert counted == {"unreadable": 1}


def test_each_entry_knows_where_it_starts_and_ends(log):
    reader = LogReader(log, Position(0, 0), Counter())
    entries = reader.read(live=False)
    reader.close()
    for entry in entries:
        found, _ = read_all(log, position=entry.start)
        assert found[0] == entry.payload
    assert [a.end for a in entries if a.end.segment == 1][:-1] == [
        a.start for a in entries if a.start.segment == 1
    ][1:]


def test_a_large_backlog_is_read_in_bounded_memory_and_order(tmp_path):
    """Check D08, scaled: 32 MB of backlog."""
    writer = SegmentWriter(
        tmp_path, bytes(16), segment_bytes=8 << 20, segment_seconds=3600, disk=Disk()
    )
    body = b"x" * 2000
    for start in range(0, 16_000, 1000):
        frames = [
            frame(number.to_bytes(4, "big") + body)
            for number in range(start, start + 1000)
        ]
        assert writer.write(frames, 0.0).frames == 1000
    writer.finish()
    reader = LogReader(tmp_path, Position(0, 0), Counter())
    expected = 0
    tracemalloc.start()
    try:
        while not reader.caught_up:
            for entry in reader.read(live=False):
                assert int.from_bytes(entry.payload[:4], "big") == expected
                expected += 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        reader.close()
    assert expected == 16_000
    assert peak < 8 << 20


def test_what_was_read_before_a_segment_that_cannot_be_opened_is_given(
    log, monkeypatch
):
    opened, failing = os.open, [OSError(24, "too many open files")]

    def scarce(path, *options, **more):
        if str(path).endswith("2.seg") and failing:
            raise failing.pop()
        return opened(path, *options, **more)

    monkeypatch.setattr(os, "open", scarce)
    reader = LogReader(log, Position(0, 0), Counter())
    payloads = [entry.payload for entry in reader.read(live=False)]
    assert payloads == PAYLOADS[:4]
    while not reader.caught_up:
        payloads += [entry.payload for entry in reader.read(live=False)]
    assert payloads == PAYLOADS
    reader.close()
