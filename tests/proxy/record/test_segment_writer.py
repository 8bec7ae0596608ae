import errno
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

from proxy.record.framing import HEADER_BYTES, frame
from proxy.record.segment_writer import SegmentWriter, segment_numbers, segment_path
from tests.helpers.spooled import FaultyDisk, read_all


def make_writer(
    directory: Path, disk: FaultyDisk, segment_bytes: int = 1000
) -> SegmentWriter:
    return SegmentWriter(
        directory, bytes(16), segment_bytes=segment_bytes, segment_seconds=10, disk=disk
    )


FRAMES = [frame(bytes([65 + number]) * 92) for number in range(6)]
PAYLOADS = [each[8:] for each in FRAMES]


def test_segments_rotate_by_size_and_by_age(tmp_path):
    writer = make_writer(tmp_path, FaultyDisk(), segment_bytes=250)
    for each in FRAMES[:3]:
        writer.write([each], 0.0)
    assert segment_numbers(tmp_path) == [1, 2]
    writer.write([FRAMES[3]], 9.0)
    assert segment_numbers(tmp_path) == [1, 2]
    writer.write([FRAMES[4]], 10.0)
    assert segment_numbers(tmp_path) == [1, 2, 3]
    writer.finish()
    assert read_all(tmp_path) == (PAYLOADS[:5], {})


def test_files_belong_to_the_owner_alone(tmp_path):
    writer = make_writer(tmp_path, FaultyDisk())
    writer.write(FRAMES, 0.0)
    writer.finish()
    assert stat.S_IMODE(segment_path(tmp_path, 1).stat().st_mode) == 0o600


def test_short_write_keeps_whole_frames_and_abandons_the_segment(tmp_path):
    disk = FaultyDisk()
    writer = make_writer(tmp_path, disk)
    writer.write(FRAMES[:1], 0.0)
    disk.short = 250
    written = writer.write(FRAMES[1:5], 0.0)
    assert written.frames == 2
    assert written.error is not None
    assert written.error.errno == errno.ENOSPC
    assert writer.write(FRAMES[3:], 0.0).frames == 3
    writer.finish()
    found, losses = read_all(tmp_path)
    assert found == PAYLOADS
    assert losses == {"torn": 1, "bytes": 50}


def test_failed_begin_leaves_no_file_and_no_gap_in_the_numbers(tmp_path):
    disk = FaultyDisk(quota_bytes=100)
    writer = make_writer(tmp_path, disk)
    assert writer.write(FRAMES, 0.0).frames == 0
    assert os.listdir(tmp_path) == []
    disk.quota_bytes = None
    assert writer.write(FRAMES, 0.0).frames == 6
    assert segment_numbers(tmp_path) == [1]
    writer.finish()


def test_io_error_abandons_the_segment_and_a_later_write_begins_the_next(tmp_path):
    disk = FaultyDisk()
    writer = make_writer(tmp_path, disk)
    writer.write(FRAMES[:2], 0.0)
    disk.error = errno.EIO
    assert writer.write(FRAMES[2:], 0.0).frames == 0
    disk.error = 0
    writer.write(FRAMES[2:], 0.0)
    writer.finish()
    assert segment_numbers(tmp_path) == [1, 2]
    assert read_all(tmp_path) == (PAYLOADS, {})


def test_new_writer_goes_on_behind_the_old_segments(tmp_path):
    for number in range(2):
        writer = make_writer(tmp_path, FaultyDisk())
        writer.write([FRAMES[number]], 0.0)
        assert writer.position == (number + 1, HEADER_BYTES + 100)
        writer.finish()


SCRIPT = """
import resource, signal, sys
from pathlib import Path
from proxy.record.disk import Disk
from proxy.record.framing import frame
from proxy.record.segment_writer import SegmentWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
writer = SegmentWriter(Path(sys.argv[1]), bytes(16), segment_bytes=1 << 20, segment_seconds=10, disk=Disk())
frames = [frame(bytes([65 + number]) * 92) for number in range(12)]
first = writer.write(frames[:1], 0.0)
second = writer.write(frames[1:], 0.0)
third = writer.write(frames[1 + second.frames:], 0.0)
print(first.frames, second.frames, third.frames, second.error.errno)
"""


def test_real_kernel_refusal_in_the_middle_of_a_batch_loses_and_doubles_nothing(
    tmp_path,
):
    """RLIMIT_FSIZE makes write() stop short as a full disk does."""
    assert resource.RLIMIT_FSIZE is not None
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1", "8", "3", str(errno.ENOSPC)]
    found, losses = read_all(tmp_path)
    assert found == [bytes([65 + number]) * 92 for number in range(12)]
    assert losses["torn"] == 1
