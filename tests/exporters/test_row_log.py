import errno
import os
import stat

import msgspec
import pytest

from exporters.row_log import (
    RowFrame,
    RowLog,
    RowLogOptions,
    TableRows,
    decode_frame,
    tables_of,
)
from proxy.errors import RecordError, StartError
from proxy.record import framing
from proxy.record.framing import Position
from proxy.record.segment_writer import segment_numbers, segment_path
from tests.helpers.spooled import FaultyDisk, read_all

HOUR_US = 3_600_000_000


def make_frame(number: int, size: int = 10) -> RowFrame:
    return RowFrame(
        {"steps": TableRows(1, b"x" * size)},
        msgspec.Raw(msgspec.msgpack.encode(number)),
        7,
    )


def test_rows_and_progress_are_read_back_together(tmp_path):
    log = RowLog(tmp_path / "rows", RowLogOptions())
    log.append(make_frame(1), 0.0)
    assert log.append(make_frame(2), 0.0) == log.end
    payloads, losses = read_all(tmp_path / "rows", live=True)
    assert [msgspec.msgpack.decode(decode_frame(each).source) for each in payloads] == [
        1,
        2,
    ]
    assert decode_frame(payloads[0]).tables == {"steps": TableRows(1, b"x" * 10)}
    assert stat.S_IMODE((tmp_path / "rows").stat().st_mode) == 0o700
    assert log.bytes_total() > 0
    assert not losses
    log.close()


@pytest.mark.parametrize("cut", [0, 1, 30])
def test_last_good_frame_says_how_far_the_enricher_was(tmp_path, cut):
    log = RowLog(tmp_path, RowLogOptions())
    for number in range(3):
        log.append(make_frame(number), 0.0)
    log.close()
    path = segment_path(tmp_path, 1)
    os.truncate(path, path.stat().st_size - cut)
    again = RowLog(tmp_path, RowLogOptions())
    source = again.last_source()
    assert source is not None
    assert msgspec.msgpack.decode(source) == (1 if cut else 2)
    again.append(make_frame(9), 0.0)
    assert segment_numbers(tmp_path) == [1, 2]
    again.close()


def test_segment_without_a_good_frame_is_passed_over_in_the_search(tmp_path):
    log = RowLog(tmp_path, RowLogOptions())
    log.append(make_frame(1), 0.0)
    log.close()
    segment_path(tmp_path, 2).write_bytes(framing.header(bytes(16), 2) + b"torn")
    again = RowLog(tmp_path, RowLogOptions())
    assert again.last_source() is not None
    again.close()


def test_empty_log_has_no_progress_and_garbage_is_refused(tmp_path):
    log = RowLog(tmp_path, RowLogOptions())
    assert log.last_source() is None
    log.close()
    with pytest.raises(RecordError, match="row log"):
        decode_frame(b"\xc1")


def test_second_exporter_is_refused_and_the_id_stays(tmp_path):
    log = RowLog(tmp_path, RowLogOptions())
    with pytest.raises(StartError, match="another exporter"):
        RowLog(tmp_path, RowLogOptions())
    log.close()
    again = RowLog(tmp_path, RowLogOptions())
    assert again.id == log.id
    again.close()


def test_damaged_id_and_unusable_directory_refuse_to_start(tmp_path):
    (tmp_path / "id").write_text("nonsense")
    with pytest.raises(StartError, match="begin a new log"):
        RowLog(tmp_path, RowLogOptions())
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="check data_dir"):
        RowLog(tmp_path / "file", RowLogOptions())


def test_short_write_leaves_no_second_copy(tmp_path):
    disk = FaultyDisk()
    log = RowLog(tmp_path, RowLogOptions(), disk)
    log.append(make_frame(1), 0.0)
    disk.short = 5
    log.append(make_frame(2), 0.0)
    payloads, losses = read_all(tmp_path, live=True)
    assert (len(payloads), losses["torn"]) == (2, 1)
    log.close()


def test_frame_that_cannot_be_written_raises_and_can_be_tried_again(tmp_path):
    disk = FaultyDisk()
    log = RowLog(tmp_path, RowLogOptions(), disk)
    disk.error = errno.ENOSPC
    with pytest.raises(OSError, match="No space"):
        log.append(make_frame(1), 0.0)
    disk.error = 0
    log.append(make_frame(1), 0.0)
    assert len(read_all(tmp_path, live=True)[0]) == 1
    log.close()


def test_failed_sync_counts_but_never_writes_a_frame_twice(tmp_path):
    disk = FaultyDisk()
    log = RowLog(tmp_path, RowLogOptions(), disk)
    disk.sync_error = errno.EIO
    log.append(make_frame(1), 0.0)
    disk.sync_error = 0
    log.append(make_frame(2), 0.0)
    assert len(read_all(tmp_path, live=True)[0]) == 2
    assert (log.sync_failures, segment_numbers(tmp_path)) == (1, [1, 2])
    log.close()


def test_without_sync_the_disk_is_not_waited_for(tmp_path):
    disk = FaultyDisk()
    log = RowLog(tmp_path, RowLogOptions(sync=False), disk)
    log.append(make_frame(1), 0.0)
    assert disk.syncs == 0
    log.close()


def test_frame_beyond_all_bounds_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("exporters.row_log.MAX_FRAME_BYTES", 100)
    log = RowLog(tmp_path, RowLogOptions())
    with pytest.raises(RecordError, match="one frame"):
        log.append(make_frame(1, size=200), 0.0)
    log.close()


class TestRetention:
    """Five segments of one frame each."""

    @pytest.fixture
    def now_us(self):
        return 10**15

    @pytest.fixture
    def make_log(self, tmp_path, now_us):
        opened = []

        def make(**options) -> RowLog:
            log = RowLog(tmp_path, RowLogOptions(segment_bytes=300, **options))
            opened.append(log)
            for number in range(5):
                log.append(make_frame(number, size=200), 0.0)
                os.utime(
                    segment_path(tmp_path, number + 1),
                    ns=(0, (now_us - 2 * HOUR_US) * 1000),
                )
            return log

        yield make
        for log in opened:
            log.close()

    def test_old_rows_go_once_all_have_them(self, tmp_path, make_log, now_us):
        log = make_log(retention_hours=1.0)
        assert log.retain(Position(2, 100), now_us) > 0
        assert segment_numbers(tmp_path) == [2, 3, 4, 5]
        assert log.forced_bytes == 0

    def test_the_newest_two_stay_whatever_their_age(self, tmp_path, make_log, now_us):
        make_log(retention_hours=1.0).retain(None, now_us)
        assert segment_numbers(tmp_path) == [4, 5]

    def test_young_rows_stay_for_backfill(self, tmp_path, make_log, now_us):
        make_log(retention_hours=3.0).retain(Position(5, 300), now_us)
        assert segment_numbers(tmp_path) == [1, 2, 3, 4, 5]

    def test_size_cap_forces_undelivered_rows_out_and_counts_them(
        self, tmp_path, make_log, now_us
    ):
        log = make_log(max_bytes=900)
        log.retain(Position(1, 32), now_us)
        assert segment_numbers(tmp_path) == [3, 4, 5]
        assert log.forced_bytes > 0


def test_rows_of_several_frames_are_put_together_by_table():
    a = RowFrame(
        {"steps": TableRows(1, b"1\n"), "events": TableRows(1, b"e\n")},
        msgspec.Raw(b"\xc0"),
    )
    b = RowFrame({"steps": TableRows(2, b"2\n3\n")}, msgspec.Raw(b"\xc0"))
    assert tables_of([a, b]) == {
        "events": TableRows(1, b"e\n"),
        "steps": TableRows(3, b"1\n2\n3\n"),
    }
