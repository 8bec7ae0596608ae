"""What becomes of a batch of records: written, or dropped for a counted reason.

What lives here: the caps, what a failing disk costs, when writing is tried again, and the `gap` event that tells of it.
What does not: the queue and the threads (`spool.py`), the file format (`framing.py`).
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from proxy.errors import RecordError
from proxy.record import codec
from proxy.record.disk import FULL, Disk
from proxy.record.framing import frame
from proxy.record.segment_writer import SUFFIX, SegmentWriter

RETRY_SECONDS = 0.25
"""After a failure the disk is left alone for this long; records of that time are dropped."""
MEASURE_SECONDS = 1.0
"""How often the size of the whole spool is measured (another process deletes from it)."""
FREE_SECONDS = 0.1
"""How often the free space is asked for while there is enough of it."""
GAP_SECONDS = 1.0
"""At most one `gap` event in this time."""

Reason = Literal["disk_full", "io_error", "queue_full", "too_slow", "size_cap"]


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """The part of the settings that the spool needs, under the same names, and the bounds of its queue."""

    max_bytes: int = 4 << 30
    """Most that all incarnations of all workers take together."""
    segment_bytes: int = 16 << 20
    segment_seconds: float = 60.0
    fsync: Literal["always", "interval", "never"] = "interval"
    fsync_interval_seconds: float = 0.5
    wait_ms: int = 50
    min_free_bytes: int = 64 << 20
    queue_bytes: int = 64 << 20
    """Most that waits in memory for a slow disk."""
    queue_records: int = 100_000


class BatchSink:
    """Writes batches from one thread, never raises for a bad disk, and recovers by itself."""

    def __init__(
        self,
        root: Path,
        segments: SegmentWriter,
        options: SpoolOptions,
        disk: Disk,
        now_us: Callable[[], int],
        name: str,
        refused: Counter[str],
    ) -> None:
        """`root` holds all incarnations of all workers; `name` is this writer's, for the ids of its events.

        `refused` counts what never came here; it is only read, and told of in the `gap` event.
        """
        self._refused = refused
        self._root = root
        self._segments = segments
        self._options = options
        self._disk = disk
        self._now_us = now_us
        self._name = name
        self._retry_at = float("-inf")
        self._measured_at = float("-inf")
        self._free_at = float("-inf")
        self._free_bytes = 0
        self._gap_at = float("-inf")
        self._gaps = 0
        self._told: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        """Records that were never written, by reason."""
        self.trouble: Reason | Literal[""] = ""
        """Why the last batch was not written; empty when all is well."""
        self.total_bytes = 0
        """What the whole spool takes, as last measured plus what was written since."""

    def write(self, payloads: Sequence[bytes], now: float) -> int:
        """Write records in order and give how many, counted from the first, were written; the rest is dropped."""
        if not payloads:
            return 0
        refusal = self._refusal(sum(map(len, payloads)), now)
        if refusal:
            self.drop(refusal, len(payloads))
            self.trouble = refusal
            return 0
        try:
            frames = [frame(payload) for payload in payloads]
        except RecordError:
            return self._write_one_by_one(payloads, now)
        count = self._write(frames, now)
        if count == len(frames):
            self.tell_gap(now)
        return count

    def drop(self, reason: Reason, count: int) -> None:
        """Count records that will not be written."""
        self.dropped[reason] += count

    def tell_gap(self, now: float) -> None:
        """Write one `gap` event for what was dropped since the last one, when the disk is well again."""
        told = self.dropped + self._refused
        news = told - self._told
        if not news or self.trouble or now - self._gap_at < GAP_SECONDS:
            return
        event = codec.Event(
            event_id=f"gap-{self._name}-{self._gaps}",
            ts_us=self._now_us(),
            type="gap",
            reason=max(news, key=lambda reason: (news[reason], reason)),
            source="spool",
            value=str(news.total()),
            detail=", ".join(
                f"{reason}={count}" for reason, count in sorted(news.items())
            ),
        )
        if self._segments.write([frame(codec.encode(event))], now).frames:
            self._told, self._gap_at, self._gaps = told, now, self._gaps + 1

    def _write_one_by_one(self, payloads: Sequence[bytes], now: float) -> int:
        """A payload that fits no frame must not cost its neighbours; the caller's count stops at it."""
        good = 0
        whole = True
        for payload in payloads:
            try:
                written = self._write([frame(payload)], now) == 1
            except RecordError:
                self.drop("size_cap", 1)
                written = False
            whole = whole and written
            good += whole
        return good

    def _write(self, frames: Sequence[bytes], now: float) -> int:
        began = self._segments.fd is not None
        written = self._segments.write(frames, now)
        count = written.frames
        if written.error is not None and began and count < len(frames):
            written = self._segments.write(frames[count:], now)
            count += written.frames
        self.total_bytes += sum(map(len, frames[:count]))
        if count == len(frames):
            self.trouble = ""
            return count
        assert written.error is not None
        self.trouble = "disk_full" if written.error.errno in FULL else "io_error"
        self.drop(self.trouble, len(frames) - count)
        self._retry_at = now + RETRY_SECONDS
        return count

    def _has_room(self, more_bytes: int, now: float) -> bool:
        needed = more_bytes + self._options.min_free_bytes
        if now - self._free_at >= FREE_SECONDS or self._free_bytes < needed:
            self._free_bytes, self._free_at = self._disk.free_bytes(self._root), now
        self._free_bytes -= more_bytes
        return self._free_bytes >= self._options.min_free_bytes

    def _refusal(self, more_bytes: int, now: float) -> Reason | None:
        if now < self._retry_at and self.trouble:
            return self.trouble
        try:
            if now - self._measured_at >= MEASURE_SECONDS or self.trouble:
                self.total_bytes, self._measured_at = measure(self._root), now
            if self.total_bytes + more_bytes > self._options.max_bytes:
                return "size_cap"
            if not self._has_room(more_bytes, now):
                return "disk_full"
        except OSError:
            return "io_error"
        return None


def measure(root: Path) -> int:
    """Give the bytes of all segments below `root`, whoever wrote them; files that vanish meanwhile count nothing.

    Nor do checkpoints, which grow with the runs that live: nothing makes them smaller, and a spool that they filled would stay full.
    """
    total = 0
    for directory, _, names in os.walk(root):
        for name in filter(_is_segment, names):
            try:
                total += os.stat(os.path.join(directory, name)).st_size
            except FileNotFoundError:
                continue
    return total


def _is_segment(name: str) -> bool:
    return name.endswith(SUFFIX)
