import os
import threading
from pathlib import Path

from proxy.record.syncer import Syncer
from tests.helpers.spooled import FaultyDisk


class Signalling(FaultyDisk):
    """Tells when a sync happens."""

    def __init__(self) -> None:
        super().__init__()
        self.synced = threading.Event()

    def sync(self, fd: int) -> None:
        super().sync(fd)
        self.synced.set()


def open_file(tmp_path: Path) -> int:
    return os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT, 0o600)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_interval_syncs_what_was_written_beside_the_writer(tmp_path):
    disk = Signalling()
    syncer = Syncer(tmp_path, disk, "interval", 0.01)
    fd = open_file(tmp_path)
    syncer.start(lambda: fd)
    syncer.wrote()
    assert disk.synced.wait(10)
    syncer.close(fd)
    assert not is_open(fd)


def test_retired_segment_is_synced_before_it_is_closed(tmp_path):
    disk = FaultyDisk()
    syncer = Syncer(tmp_path, disk, "always", 1.0)
    fd = open_file(tmp_path)
    syncer.retire(fd)
    assert (disk.syncs, is_open(fd)) == (1, False)


def test_never_closes_without_syncing(tmp_path):
    disk = FaultyDisk()
    syncer = Syncer(tmp_path, disk, "never", 1.0)
    fd = open_file(tmp_path)
    syncer.start(lambda: None)
    syncer.retire(fd)
    syncer.close(None)
    assert (disk.syncs, is_open(fd)) == (0, False)


def test_failure_is_counted_and_tells_the_writer_to_leave_the_segment(tmp_path):
    disk = FaultyDisk()
    syncer = Syncer(tmp_path, disk, "interval", 1.0)
    fd = open_file(tmp_path)
    disk.sync_error = 5
    syncer.wrote()
    assert not syncer.sync_now(fd)
    assert (syncer.failed, syncer.failures) == (True, 1)
    assert syncer.sync_now(fd)
    syncer.close(fd)
