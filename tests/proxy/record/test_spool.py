import asyncio
import errno
import stat
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from proxy.errors import StartError
from proxy.record.batches import SpoolOptions
from proxy.record.incarnations import incarnations
from proxy.record.spool import SpoolWriter
from tests.helpers.spooled import FaultyDisk, read_all
from tests.helpers.wire import WAIT_SECONDS

pytestmark = (
    pytest.mark.blocking_allowed
)  # the writer is opened and closed in the test's own loop

NAME = uuid.UUID(int=1).hex


class SlowDisk(FaultyDisk):
    """Writes wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.entered = threading.Event()

    def write(self, fd: int, data: bytes) -> int:
        self.entered.set()
        assert self.go.wait(WAIT_SECONDS)
        return super().write(fd, data)


def make_spool(
    tmp_path: Path, disk: FaultyDisk | None = None, **options
) -> SpoolWriter:
    spool = SpoolWriter(
        tmp_path / "spool",
        "w0",
        NAME,
        SpoolOptions(**{"wait_ms": 60_000, **options}),
        now_us=lambda: 0,
        disk=disk or FaultyDisk(),
    )
    spool.start()
    return spool


async def test_records_are_on_the_disk_when_the_wait_is_over(tmp_path):
    spool = make_spool(tmp_path)
    spool.append(b"one")
    assert await spool.append_wait([b"two", b"three"])
    assert read_all(spool.directory, live=True) == ([b"one", b"two", b"three"], {})
    assert spool.bytes_total() == 3 * 8 + 11
    assert spool.position() == (1, 67)
    spool.close()
    assert spool.dropped == {}


async def test_mark_gives_the_place_behind_what_was_queued_before(tmp_path):
    spool = make_spool(tmp_path)
    spool.append(b"one")
    marked = asyncio.get_running_loop().create_task(spool.mark())
    await asyncio.sleep(0)
    spool.append(b"two")
    position = await marked
    spool.close()
    assert position == (1, 43)
    assert read_all(spool.directory, position=position)[0] == [b"two"]
    assert await spool.mark() == spool.position()


async def test_slow_disk_ends_the_wait_and_the_record_is_written_later(tmp_path):
    disk = SlowDisk()
    spool = make_spool(tmp_path, disk, wait_ms=10)
    assert not await spool.append_wait([b"one"])
    assert spool.waits_out == 1
    disk.go.set()
    spool.close()
    assert read_all(spool.directory)[0] == [b"one"]
    assert spool.dropped == {}


async def test_full_queue_drops_at_once_and_is_told_of_later(tmp_path):
    disk = SlowDisk()
    spool = make_spool(tmp_path, disk, queue_records=2)
    spool.append(b"one")
    assert await asyncio.to_thread(disk.entered.wait, WAIT_SECONDS)
    spool.append(b"two")
    assert not await spool.append_wait([b"three"])
    assert spool.queued_bytes() == 6
    assert spool.dropped == {"queue_full": 1}
    disk.go.set()
    spool.close()
    payloads, _ = read_all(spool.directory)
    assert payloads[0] == b"one"
    assert b"two" in payloads
    assert any(b"queue_full=1" in payload for payload in payloads)


async def test_full_disk_answers_false_and_recovers_without_a_restart(tmp_path):
    disk = SlowDisk()
    disk.go.set()
    spool = make_spool(tmp_path, disk)
    disk.error = errno.ENOSPC
    assert not await spool.append_wait([b"lost"])
    assert spool.trouble == "disk_full"
    disk.error = 0
    async with asyncio.timeout(WAIT_SECONDS):
        while not await spool.append_wait([b"kept"]):
            await asyncio.to_thread(disk.entered.wait, 0.01)
    assert spool.trouble == ""
    spool.close()
    assert b"kept" in read_all(spool.directory)[0]


async def test_records_after_close_are_dropped_and_counted(tmp_path):
    spool = make_spool(tmp_path)
    spool.close()
    spool.close()
    spool.append(b"one")
    assert not await spool.append_wait([b"two"])
    assert spool.dropped == {"too_slow": 2}


async def test_close_gives_up_on_a_hung_disk_and_counts_what_waited(tmp_path):
    disk = SlowDisk()
    spool = make_spool(tmp_path, disk)
    spool.append(b"one")
    assert await asyncio.to_thread(disk.entered.wait, WAIT_SECONDS)
    spool.append(b"two")
    await asyncio.to_thread(spool.close, 0.05)
    disk.go.set()
    await asyncio.to_thread(spool._thread.join, WAIT_SECONDS)
    assert spool.dropped == {"too_slow": 1}


async def test_fsync_always_syncs_before_it_answers(tmp_path):
    disk = FaultyDisk()
    spool = make_spool(tmp_path, disk, fsync="always")
    assert await spool.append_wait([b"one"])
    assert disk.syncs >= 1
    disk.sync_error = errno.EIO
    assert not await spool.append_wait([b"two"])
    assert spool.sync_failures == 1
    disk.sync_error = 0
    assert await spool.append_wait([b"three"])
    assert spool.position().segment == 2
    spool.close()
    assert read_all(spool.directory) == ([b"one", b"two", b"three"], {})


async def test_fault_of_ours_ends_neither_the_thread_nor_the_wait(
    tmp_path, monkeypatch
):
    spool = make_spool(tmp_path)

    def fail(payloads: object, now: float) -> int:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(spool._sink, "write", fail)
        assert not await spool.append_wait([b"one"])
    assert spool.errors == 1
    assert await spool.append_wait([b"two"])
    spool.close()


async def test_cancelled_wait_still_leaves_its_record(tmp_path):
    disk = SlowDisk()
    spool = make_spool(tmp_path, disk)
    task = asyncio.get_running_loop().create_task(spool.append_wait([b"one"]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    disk.go.set()
    spool.close()
    assert read_all(spool.directory)[0] == [b"one"]


def test_incarnation_is_locked_while_it_lives_and_private(tmp_path):
    spool = make_spool(tmp_path)
    (found,) = incarnations(tmp_path / "spool")
    assert found.id == f"w0/{NAME}"
    assert found.is_alive()
    assert stat.S_IMODE(spool.directory.stat().st_mode) == 0o700
    spool.close()
    assert not found.is_alive()


def test_spool_that_cannot_be_made_refuses_to_start(tmp_path):
    (tmp_path / "spool").write_bytes(b"")
    with pytest.raises(StartError, match="check data_dir"):
        make_spool(tmp_path)


SCRIPT = """
import asyncio, os, sys
from pathlib import Path
from proxy.record.batches import SpoolOptions
from proxy.record.spool import SpoolWriter

async def work():
    spool = SpoolWriter(Path(sys.argv[1]), "w0", "00" * 16, SpoolOptions(wait_ms=60_000), now_us=lambda: 0)
    spool.start()
    assert await spool.append_wait([b"answered"])
    os.kill(os.getpid(), 9)

asyncio.run(work())
"""


def test_killed_writer_loses_nothing_that_was_answered(tmp_path):
    """`kill -9` right after the answer: the bytes are in the page cache."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        check=False,
        stderr=subprocess.PIPE,
    )
    assert done.returncode == -9, done.stderr
    (found,) = incarnations(tmp_path)
    assert not found.is_alive()
    assert read_all(found.path) == ([b"answered"], {})
