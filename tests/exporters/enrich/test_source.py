from collections import Counter

import msgspec

from exporters.enrich.source import Source
from proxy.record import framing
from proxy.record.framing import frame, header
from proxy.record.incarnations import incarnations
from proxy.record.segment_writer import segment_path
from tests.helpers.spooled import Writer, make_close, make_end, make_open


def open_source(root, progress=None, counts=None):
    (incarnation,) = incarnations(root)
    return Source(
        incarnation, progress, Counter() if counts is None else counts, Counter(), 0.0
    )


def test_successor_reads_what_was_pending_again(tmp_path):
    writer = Writer(tmp_path, "a")
    writer.write(make_open("1"), make_open("2"), make_close("2"))
    first = open_source(tmp_path)
    assert list(first.step(0.0, 1 << 20)) == []
    assert (len(first), first.unripe, first.caught_up) == (2, 1, True)
    writer.write(make_end("2"), make_close("1"), make_end("1"))
    second = open_source(tmp_path, first.progress())
    assert [row.attempt_id for row in second.step(0.0, 1 << 20)] == ["2", "1"]
    first.close()
    second.close()
    writer.die()


def test_pending_record_that_is_gone_is_counted(tmp_path):
    writer = Writer(tmp_path, "a")
    writer.write(make_open("1"))
    first = open_source(tmp_path)
    list(first.step(0.0, 1 << 20))
    first.close()
    writer.next_segment()
    writer.write(make_close("1"), make_end("1"))
    segment_path(writer.directory, 1).unlink()
    counts: Counter[str] = Counter()
    second = open_source(tmp_path, first.progress(), counts)
    (row,) = second.step(0.0, 1 << 20)
    assert (row.attempt_id, row.tenant) == ("1", "")
    assert counts == {"pending_lost": 1, "unknown_open": 1}
    second.close()
    writer.die()


def test_incarnation_of_a_newer_version_is_left_as_it_is(tmp_path, monkeypatch):
    """Check D24: a downgrade refuses cleanly."""
    writer = Writer(tmp_path, "a")
    writer.die()
    with monkeypatch.context() as patched:
        patched.setattr(framing, "FORMAT_VERSION", 2)
        newer = header(bytes(16), 1)
    segment_path(writer.directory, 1).write_bytes(newer + frame(b"x"))
    source = open_source(tmp_path)
    for _ in range(2):
        assert list(source.step(0.0, 1 << 20)) == []
    assert "newer" in source.refused
    assert source.caught_up
    assert not source.settled


def test_record_of_an_unknown_kind_is_skipped_and_counted(tmp_path):
    writer = Writer(tmp_path, "a")
    writer.write(make_open("1"))
    writer.die()
    with segment_path(writer.directory, 1).open("ab") as file:
        file.write(frame(msgspec.msgpack.encode({"t": "future"})))
    counts: Counter[str] = Counter()
    source = open_source(tmp_path, counts=counts)
    (row,) = source.step(0.0, 1 << 20)
    assert (row.outcome, source.settled) == ("proxy_crashed", True)
    assert counts == {"unknown_tag": 1, "crashed": 1}
    source.close()


def test_damaged_checkpoint_keeps_all_segments(tmp_path):
    writer = Writer(tmp_path, "a")
    writer.write(make_open("1"), make_end("1"))
    writer.next_segment()
    writer.write(make_open("2"))
    (writer.directory / "checkpoint").write_bytes(b"?")
    source = open_source(tmp_path)
    list(source.step(0.0, 1 << 20))
    assert source.delete_segments(source.progress()) == 0
    source.close()
    writer.die()


def test_deleting_a_directory_leaves_what_is_not_ours(tmp_path):
    writer = Writer(tmp_path, "a")
    writer.write(make_open("1"))
    writer.die()
    (writer.directory / "notes").write_text("mine")
    source = open_source(tmp_path)
    assert source.delete_all() > 0
    assert [path.name for path in writer.directory.iterdir()] == ["notes"]
