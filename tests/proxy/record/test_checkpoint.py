from collections import Counter

import msgspec
import pytest

from proxy.errors import RecordError
from proxy.record.checkpoint import (
    Checkpoint,
    predecessors,
    read_checkpoint,
    tail,
    write_checkpoint,
)
from proxy.record.framing import Position, frame
from proxy.record.segment_writer import segment_path
from tests.helpers.spooled import Writer, make_close, make_open


def test_checkpoint_is_read_back(tmp_path):
    written = Checkpoint(
        "b", Position(2, 40), ("a",), msgspec.Raw(b"\xc4\x01x"), msgspec.Raw(b"\x80")
    )
    write_checkpoint(tmp_path, written)
    read = read_checkpoint(tmp_path)
    assert read is not None
    assert (read.incarnation, read.position, read.absorbed) == ("b", (2, 40), ("a",))
    assert (bytes(read.telemetry), bytes(read.state)) == (b"\xc4\x01x", b"\x80")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_missing_checkpoint_is_none_and_a_damaged_one_says_so(tmp_path):
    assert read_checkpoint(tmp_path) is None
    (tmp_path / "checkpoint").write_bytes(b"\xff\x00")
    with pytest.raises(RecordError, match="damaged"):
        read_checkpoint(tmp_path)
    (tmp_path / "checkpoint").unlink()
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(RecordError, match="cannot be read"):
        read_checkpoint(tmp_path)


def test_predecessors_are_the_dead_ones_of_this_worker_that_nobody_absorbed(tmp_path):
    writers = [Writer(tmp_path, name) for name in "abcde"]
    other = Writer(tmp_path, "b2", worker="w1")
    write_checkpoint(writers[2].directory, Checkpoint("c", Position(0, 0), ("a", "b")))
    (writers[3].directory / "checkpoint").write_bytes(b"?")
    for writer in (*writers[:4], other):
        writer.die()
    found = predecessors(tmp_path, "w0".__eq__, own="e")
    assert [each.incarnation.name for each in found] == ["c", "d"]
    assert found[0].checkpoint is not None
    assert found[1].checkpoint is None
    writers[4].die()


def test_predecessors_older_than_one_that_still_drains_are_left_to_that_one(tmp_path):
    writers = [Writer(tmp_path, name) for name in "abc"]
    writers[0].die()
    writers[2].die()
    found = predecessors(tmp_path, "w0".__eq__, own="d")
    assert [each.incarnation.name for each in found] == ["c"]
    write_checkpoint(writers[1].directory, Checkpoint("b", Position(0, 0), ("a",)))
    writers[1].die()
    found = predecessors(tmp_path, "w0".__eq__, own="d")
    assert [each.incarnation.name for each in found] == ["b", "c"]


def test_tail_is_what_the_checkpoint_does_not_count(tmp_path):
    writer = Writer(tmp_path, "a")
    position = writer.write(make_open("1"))
    writer.write(make_close("1"))
    writer.next_segment()
    writer.write(make_open("2"))
    write_checkpoint(writer.directory, Checkpoint("a", position))
    writer.die()
    with segment_path(writer.directory, 2).open("ab") as file:
        file.write(frame(b"\xc1") + frame(msgspec.msgpack.encode({"t": "zz"})))
    (predecessor,) = predecessors(tmp_path, "w0".__eq__, own="b")
    losses: Counter[str] = Counter()
    assert list(tail(predecessor, losses)) == [make_close("1"), make_open("2")]
    assert losses == {"undecodable": 1}
