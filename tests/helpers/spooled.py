"""Spools made for tests: records of an exchange, incarnations on the disk, a disk that fails on demand.

What lives here: builders with sensible defaults. What does not: reading (`records.py` reads without the product's code).
"""

import errno
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from proxy.model import Cost, CostSource, Kind, Outcome, Usage, UsageSource
from proxy.record import codec
from proxy.record.codec import Close, End, Open
from proxy.record.disk import Disk
from proxy.record.framing import Position, frame
from proxy.record.incarnations import claim
from proxy.record.log_reader import LogReader
from proxy.record.segment_writer import SegmentWriter

T0 = 1_800_000_000_000_000


def make_open(attempt_id: str, **changes: Any) -> Open:
    fields: dict[str, Any] = {
        "attempt_id": attempt_id,
        "step_id": f"step-{attempt_id}",
        "ts_us": T0,
        "instance": "here",
        "tenant": "acme",
        "agent": "bot",
        "run_id": "run-1",
        "kind": Kind.LLM,
        "route": "openai",
    }
    return Open(**{**fields, **changes})


def make_close(attempt_id: str, **changes: Any) -> Close:
    fields: dict[str, Any] = {
        "attempt_id": attempt_id,
        "closed_us": T0 + 2_000_000,
        "outcome": Outcome.COMPLETED,
        "duration_us": 2_000_000,
        "http_status": 200,
        "response_bytes": 100,
        "usage": Usage(input=10, output=5),
        "usage_source": UsageSource.PROVIDER,
        "cost": Cost(
            CostSource.COMPUTED, input=1_500_000, output=2, price_version="p1"
        ),
    }
    return Close(**{**fields, **changes})


def make_end(attempt_id: str, **changes: Any) -> End:
    fields: dict[str, Any] = {
        "attempt_id": attempt_id,
        "ended_us": T0 + 2_100_000,
        "outcome": Outcome.COMPLETED,
        "response_bytes": 120,
        "chunks": 3,
    }
    return End(**{**fields, **changes})


class FaultyDisk(Disk):
    """The real disk with a quota, or with an error for everything."""

    def __init__(self, quota_bytes: int | None = None) -> None:
        self.quota_bytes = quota_bytes
        self.error = 0
        self.sync_error = 0
        self.syncs = 0
        self.short = 0
        """The next write takes this many bytes only."""

    def create(self, path: Path) -> int:
        self._fail(self.error)
        return super().create(path)

    def write(self, fd: int, data: bytes) -> int:
        self._fail(self.error)
        room = len(data)
        if self.short:
            room, self.short = min(room, self.short), 0
        if self.quota_bytes is not None:
            room = min(room, self.quota_bytes)
            self.quota_bytes -= room
        if not room:
            self._fail(errno.ENOSPC)
        return os.write(fd, data[:room])

    def sync(self, fd: int) -> None:
        self.syncs += 1
        self._fail(self.sync_error)

    def free_bytes(self, path: Path) -> int:
        return 1 << 40

    @staticmethod
    def _fail(number: int) -> None:
        if number:
            raise OSError(number, os.strerror(number))


class Writer:
    """One incarnation, written without threads; `die` lets go of the lock as `kill -9` would."""

    def __init__(
        self, root: Path, name: str, worker: str = "w0", segment_bytes: int = 1 << 20
    ) -> None:
        self.directory = root / worker / name
        self._lock_fd: int | None = claim(self.directory)
        self._segments = SegmentWriter(
            self.directory,
            bytes(16),
            segment_bytes=segment_bytes,
            segment_seconds=3600,
            disk=Disk(),
        )

    def write(self, *records: codec.Record) -> Position:
        written = self._segments.write(
            [frame(codec.encode(record)) for record in records], 0.0
        )
        assert written.error is None
        return self._segments.position

    def next_segment(self) -> None:
        self._segments.finish()

    def die(self) -> None:
        self._segments.finish()
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None


def read_all(
    directory: Path, *, live: bool = False, position: Position | None = None
) -> tuple[list[bytes], Counter[str]]:
    """Give the payloads behind a position, and what was skipped."""
    losses: Counter[str] = Counter()
    reader = LogReader(directory, position or Position(0, 0), losses)
    payloads: list[bytes] = []
    while not reader.caught_up:
        payloads += [entry.payload for entry in reader.read(live=live)]
    reader.close()
    return payloads, losses


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
