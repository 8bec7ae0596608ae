"""The raw spool's writer: records leave the event loop here and are on their way to the disk.

What lives here: the bounded queue between the loop and the one thread that writes, and the answers to those who wait. What does not: what
a full disk costs (`batches.py`), files (`segment_writer.py`), reading (`log_reader.py`, `incarnations.py`). `write()` hands the bytes to
the page cache, where they survive `kill -9` of this process; `fsync` is about power cuts only.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path

from proxy.errors import StartError
from proxy.record.batches import BatchSink, SpoolOptions
from proxy.record.disk import Disk
from proxy.record.doorbell import Doorbell
from proxy.record.framing import Position
from proxy.record.incarnations import claim
from proxy.record.segment_writer import SegmentWriter
from proxy.record.syncer import Syncer

BATCH_BYTES = 1 << 20
TICK_SECONDS = 0.25
_Result = tuple[asyncio.Future[object], object]
LINGER_SECONDS = 0.02
"""How long a record that nobody waits for may lie in the queue: to wake the thread costs more than to write."""


class _Work:
    """One entry of the queue: records, and perhaps somebody who waits for them."""

    __slots__ = ("future", "is_mark", "loop", "payloads", "size")

    def __init__(
        self,
        payloads: Sequence[bytes],
        loop: asyncio.AbstractEventLoop | None,
        is_mark: bool = False,
    ) -> None:
        self.payloads = payloads
        self.size = sum(map(len, payloads))
        self.loop = loop
        self.future = None if loop is None else loop.create_future()
        self.is_mark = is_mark


def _claim(directory: Path) -> int:
    try:
        return claim(directory)
    except OSError as error:
        raise StartError(
            f"the spool {directory} cannot be made: {error}; check data_dir and its rights"
        ) from error


class SpoolWriter:
    """Takes records from one event loop and writes them in the order given; never raises for a bad disk.

    `append`, `append_wait` and `mark` belong to the loop's thread; the rest may be called from anywhere.
    """

    def __init__(
        self,
        root: Path,
        worker: str,
        incarnation: str,
        options: SpoolOptions,
        *,
        now_us: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        disk: Disk | None = None,
    ) -> None:
        """Make and lock `root/worker/incarnation` (a UUIDv7 in hex); raise `StartError` if that fails. `now_us`: wall clock."""
        disk = disk or Disk()
        self.directory = root / worker / incarnation
        self._lock_fd = _claim(self.directory)
        self._options = options
        self._clock = clock
        self._syncer = Syncer(self.directory, disk, options.fsync, options.fsync_interval_seconds)  # fmt: skip
        self._segments = SegmentWriter(
            self.directory,
            bytes.fromhex(incarnation),
            segment_bytes=options.segment_bytes,
            segment_seconds=options.segment_seconds,
            disk=disk,
            retire=self._syncer.retire,
        )
        self._queue: deque[_Work | None] = deque()
        self._bell = Doorbell(TICK_SECONDS)
        self._lingers = self._rings_soon = False
        self._put_records = self._put_bytes = 0
        self._taken_records = self._taken_bytes = 0
        self._refused: Counter[str] = Counter()
        self._sink = BatchSink(
            root, self._segments, options, disk, now_us, incarnation, self._refused
        )
        self._give_up = False
        self._closed = False
        self.waits_out = 0
        """How often an answer went on because its record was not written within `wait_ms`; most are written later."""
        self.errors = 0
        """Faults of ours in the writer's thread."""
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def start(self) -> None:
        """Start the threads."""
        self._syncer.start(lambda: self._segments.fd)
        self._thread.start()

    def append(self, payload: bytes) -> None:
        """Queue one record and go on; it is written with the next one that somebody waits for, or a moment later."""
        if self._put(_Work((payload,), None)) and not self._lingers:
            self._lingers = True
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._linger_is_over)

    async def append_wait(self, payloads: Sequence[bytes]) -> bool:
        """Queue records and wait, `wait_ms` at most; true when all are written, false when dropped or not yet written.

        After false the records may still be written. Never raises, but for the cancellation of the caller.
        """
        loop = asyncio.get_running_loop()
        work = _Work(payloads, loop)
        if not self._put(work) or work.future is None:
            return False
        if not self._rings_soon:  # once for all that this turn of the loop adds
            self._rings_soon = True
            loop.call_soon(self._ring)
        timer = loop.call_later(
            self._options.wait_ms / 1000, self._wait_is_over, work.future
        )
        try:
            return bool(await work.future)
        finally:
            timer.cancel()

    async def mark(self) -> Position:
        """Give the position after all that was queued before this call; pair it with a snapshot taken just before."""
        work = _Work((), asyncio.get_running_loop(), is_mark=True)
        if self._closed or work.future is None:
            return self.position()
        self._queue.append(work)
        self._bell.ring()
        position = await work.future
        assert isinstance(position, Position)
        return position

    def position(self) -> Position:
        """Give the place after the last record written."""
        return self._segments.position

    def bytes_total(self) -> int:
        """Give the size of the whole spool (all workers and incarnations), about a second old at most while writing."""
        return self._sink.total_bytes

    @property
    def is_filling(self) -> bool:
        """Whether half of the room is taken."""
        return 2 * self.bytes_total() >= self._options.max_bytes

    def queued_bytes(self) -> int:
        """Give what waits in memory."""
        return self._put_bytes - self._taken_bytes

    @property
    def dropped(self) -> dict[str, int]:
        """Records that were never written, by reason."""
        return dict(self._refused + self._sink.dropped)

    @property
    def trouble(self) -> str:
        """Why records are being dropped now (a reason), or empty: the degraded flag."""
        return self._sink.trouble

    @property
    def sync_failures(self) -> int:
        """How many syncs to the medium failed."""
        return self._syncer.failures

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Write what is queued, sync, stop and unlock; what is not written in time is dropped as `too_slow`. Blocks."""
        if self._closed:
            return
        self._closed = True
        self._queue.append(None)
        self._bell.ring()
        self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            self._give_up = True
            self._thread.join(timeout_seconds)

    def _put(self, work: _Work) -> bool:
        records = self._put_records - self._taken_records + len(work.payloads)
        size = self.queued_bytes() + work.size
        if self._closed:
            self._refused["too_slow"] += len(work.payloads)
            return False
        if records > self._options.queue_records or size > self._options.queue_bytes:
            self._refused["queue_full"] += len(work.payloads)
            return False
        self._put_records += len(work.payloads)
        self._put_bytes += work.size
        self._queue.append(work)
        return True

    def _linger_is_over(self) -> None:
        self._lingers = False
        if self._queue:
            self._bell.ring()

    def _ring(self) -> None:
        self._rings_soon = False
        self._bell.ring()

    def _wait_is_over(self, future: asyncio.Future[object]) -> None:
        if not future.done():
            self.waits_out += 1
            future.set_result(False)

    def _run(self) -> None:
        going = True
        while going:
            batch, going = self._take()
            try:
                self._write(batch)
            except Exception:  # noqa: BLE001 - the guard of the phase record: a fault of ours must not end the thread
                self.errors += 1
                position = self._segments.position
                _answer([(work, work.is_mark and position) for work in batch])
            self._taken_records += sum(len(work.payloads) for work in batch)
            self._taken_bytes += sum(work.size for work in batch)
        self._finish()

    def _take(self) -> tuple[list[_Work], bool]:
        if not self._queue:
            self._bell.wait()
        self._bell.answer()
        batch: list[_Work] = []
        size = 0
        while self._queue and size < BATCH_BYTES:
            work = self._queue.popleft()
            if work is None:
                return batch, False
            batch.append(work)
            if work.is_mark:
                break
            size += work.size
        return batch, True

    def _write(self, batch: list[_Work]) -> None:
        now = self._clock()
        payloads = [payload for work in batch for payload in work.payloads]
        if self._syncer.failed:
            self._syncer.failed = False
            self._segments.finish()
        if self._give_up:
            self._sink.drop("too_slow", len(payloads))
            written = 0
        else:
            written = self._sink.write(payloads, now)
            if not payloads:
                self._sink.tell_gap(now)
        self._syncer.wrote()
        synced = self._options.fsync != "always" or self._syncer.sync_now(
            self._segments.fd
        )
        answers: list[tuple[_Work, object]] = []
        for work in batch:
            whole = len(work.payloads) <= written
            written = written - len(work.payloads) if whole else 0
            result = self._segments.position if work.is_mark else whole and synced
            answers.append((work, result))
        _answer(answers)

    def _finish(self) -> None:
        self._bell.close()
        self._syncer.close(self._segments.fd)
        os.close(self._lock_fd)


def _answer(answers: Sequence[tuple[_Work, object]]) -> None:
    """Wake those who wait, with one call into each loop."""
    waiting: dict[asyncio.AbstractEventLoop, list[_Result]] = {}
    for work, result in answers:
        if work.future is not None and work.loop is not None:
            waiting.setdefault(work.loop, []).append((work.future, result))
    for loop, results in waiting.items():
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(_resolve, results)


def _resolve(results: list[_Result]) -> None:
    for future, result in results:
        if not future.done():
            future.set_result(result)
