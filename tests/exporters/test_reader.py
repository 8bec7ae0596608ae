"""Check D13: a token means the same bytes, however ranges are cut and whenever the process is killed."""

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.reader import Cursor, CursorFile, RangeLimits, RangeReader
from exporters.row_log import RowFrame, RowLog, RowLogOptions, TableRows
from proxy.errors import StartError
from proxy.record.framing import Position
from proxy.record.segment_writer import segment_path

LOG = "ab" * 16


def append(log: RowLog, number: int, steps: int = 1, events: int = 0) -> Position:
    tables = {}
    if steps:
        tables["steps"] = TableRows(steps, f"s{number}\n".encode() * steps)
    if events:
        tables["events"] = TableRows(events, f"e{number}\n".encode() * events)
    return log.append(RowFrame(tables, msgspec.Raw(b"\xc0"), number), 0.0)


@pytest.fixture
def log(tmp_path):
    log = RowLog(tmp_path / "rows", RowLogOptions(segment_bytes=200))
    yield log
    log.close()


def open_reader(log: RowLog, cursor: Cursor, **limits: int) -> RangeReader:
    reader = RangeReader(log.directory, cursor, RangeLimits(**limits))
    if cursor.inflight_end is not None:
        reader.look_until(cursor.inflight_end)
    else:
        reader.look()
    return reader


def test_range_has_one_batch_for_each_table_with_rows(log):
    append(log, 1, steps=2)
    end = append(log, 2, steps=1, events=1)
    reader = open_reader(log, Cursor(LOG))
    piece = reader.cut(None)
    assert [(each.table, each.rows_count, each.body) for each in piece.batches] == [
        ("events", 1, b"e2\n"),
        ("steps", 3, b"s1\ns1\ns2\n"),
    ]
    assert piece.batches[1].token == f"{LOG}:0:0-{end.segment}:{end.offset}:steps"
    assert piece.made_us == reader.oldest_us() == 1
    reader.take(piece)
    assert reader.is_empty()
    assert reader.cut(None).batches == ()
    reader.close()


def test_range_ends_before_its_limits_and_one_frame_may_pass_them(log):
    for number in range(4):
        append(log, number, steps=3)
    reader = open_reader(log, Cursor(LOG), rows=7)
    assert reader.is_full()
    sizes = []
    while not reader.is_empty():
        piece = reader.cut(None)
        sizes.append(piece.batches[0].rows_count)
        reader.take(piece)
    assert sizes == [6, 6]
    reader.close()
    reader = open_reader(log, Cursor(LOG), bytes=1)
    assert reader.cut(None).batches[0].rows_count == 3
    reader.close()


def test_fixed_range_is_cut_again_the_same_although_more_is_there(log):
    append(log, 1)
    end = append(log, 2)
    first = open_reader(log, Cursor(LOG))
    before = first.cut(None)
    first.close()
    append(log, 3)
    again = open_reader(log, Cursor(LOG, Position(0, 0), end))
    assert again.cut(end) == before
    again.close()


def test_what_is_left_of_a_fixed_range_keeps_its_token(log):
    end = [append(log, number, steps=5) for number in range(8)][-1]
    first = open_reader(log, Cursor(LOG))
    before = first.cut(None)
    first.close()
    segment_path(log.directory, 1).unlink()
    again = open_reader(log, Cursor(LOG, Position(0, 0), end))
    after = again.cut(end)
    assert after.batches[0].token == before.batches[0].token
    assert before.batches[0].body.endswith(after.batches[0].body)
    again.close()


def test_damaged_frame_of_rows_is_skipped_and_counted(log):
    log._segments.write([b"\x01\x00\x00\x00QS}R\x00"], 0.0)
    append(log, 1)
    reader = open_reader(log, Cursor(LOG))
    assert reader.losses == {"undecodable": 1}
    assert reader.cut(None).batches[0].rows_count == 1
    reader.close()


def test_cursor_is_kept_and_belongs_to_its_log(tmp_path):
    file = CursorFile(tmp_path / "cursors" / "x")
    assert file.load(LOG) == Cursor(LOG)
    cursor = Cursor(LOG, Position(1, 40), Position(2, 80))
    file.save(cursor)
    assert file.load(LOG) == cursor
    assert file.load("cd" * 16) == Cursor("cd" * 16)
    assert msgspec.json.decode((tmp_path / "cursors" / "x").read_bytes())[
        "inflight_end"
    ] == [2, 80]


def test_a_damaged_cursor_is_read_from_its_copy(tmp_path):
    file = CursorFile(tmp_path / "x")
    cursor = Cursor(LOG, Position(1, 40), Position(2, 80))
    file.save(cursor)
    (tmp_path / "x").write_bytes(b'{"posi')
    assert file.load(LOG) == cursor
    (tmp_path / "x").unlink()
    assert file.load(LOG) == cursor


def test_with_both_copies_damaged_the_start_is_refused(tmp_path):
    file = CursorFile(tmp_path / "x")
    file.save(Cursor(LOG, Position(1, 40)))
    (tmp_path / "x").write_bytes(b'{"posi')
    (tmp_path / "x.copy").write_bytes(b"")
    with pytest.raises(StartError, match="damaged"):
        file.load(LOG)


@given(
    st.lists(
        st.sampled_from(["append", "empty", "begin", "crash", "finish"]), max_size=40
    ),
    st.integers(1, 12),
    st.integers(1, 300),
)
@settings(max_examples=80, deadline=None)
def test_token_never_stands_for_different_bytes(steps, rows, size):
    """Begin = cut, write the cursor, send; finish = move on; a crash between any two forgets all but the cursor."""
    with tempfile.TemporaryDirectory() as directory:
        log = RowLog(Path(directory) / "rows", RowLogOptions(segment_bytes=200))
        sent: dict[str, bytes] = {}
        delivered = b""
        cursor, number, piece = Cursor(LOG), 0, None
        reader = open_reader(log, cursor, rows=rows, bytes=size)
        for step in [*steps, "crash", *["begin", "finish"] * 60]:
            if step in ("append", "empty"):
                number += 1
                append(
                    log, number, steps=number % 4 if step == "append" else 0, events=0
                )
            elif step == "begin" and piece is None:
                if cursor.inflight_end is None:
                    reader.look()
                piece = reader.cut(cursor.inflight_end)
                cursor = Cursor(LOG, piece.start, piece.end)
                for batch in piece.batches:
                    assert sent.setdefault(batch.token, batch.body) == batch.body
            elif step == "finish" and piece is not None:
                delivered += b"".join(batch.body for batch in piece.batches)
                reader.take(piece)
                cursor, piece = Cursor(LOG, piece.end), None
            elif step == "crash":
                reader.close()
                piece = None
                reader = open_reader(log, cursor, rows=rows, bytes=size)
        reader.close()
        everything = RangeReader(log.directory, Cursor(LOG), RangeLimits(10**9, 10**9))
        everything.look()
        whole = b"".join(batch.body for batch in everything.cut(None).batches)
        everything.close()
        assert delivered == whole
        assert b"".join(sent.values()) == whole
        log.close()
