"""The row log: immutable rows, each batch of them in one frame with the enricher's progress.

What lives here: the frame, its one writer, what the enricher last did, and how long rows are kept. What does not: who reads
it up to where (`reader.py`, `delivery.py`), how rows are made (`enrich/`).

Rows and progress are one frame, so that a crash leaves both or neither, and each row is in the log exactly once.
"""

import os
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from proxy.errors import RecordError, StartError
from proxy.record.disk import Disk, make_directory, replace_file
from proxy.record.framing import MAX_FRAME_BYTES, Losses, Position, frame
from proxy.record.incarnations import lock
from proxy.record.log_reader import LogReader
from proxy.record.segment_writer import SegmentWriter, segment_numbers, segment_path


class TableRows(msgspec.Struct, frozen=True, array_like=True):
    """Rows of one table: how many, and their lines (JSONEachRow)."""

    count: int
    body: bytes


class RowFrame(msgspec.Struct, frozen=True):
    """One append: rows, and how far the enricher was when it had made them."""

    tables: dict[str, TableRows]
    source: msgspec.Raw
    """The enricher's progress, MessagePack; only the newest one counts."""
    made_us: int = 0
    """Wall clock, microseconds since the epoch: the base of the lag."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(RowFrame)


def decode_frame(payload: bytes) -> RowFrame:
    """Read a frame's payload; raises `RecordError`."""
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise RecordError(f"a frame of the row log cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class RowLogOptions:
    """The part of the settings that the row log needs."""

    max_bytes: int = 8 << 30
    """Most that the log takes; beyond it the oldest rows go, delivered or not."""
    retention_hours: float = 72.0
    """How long delivered rows are kept, for backfill."""
    segment_bytes: int = 16 << 20
    segment_seconds: float = 600.0
    sync: bool = True
    """Bring each frame to the medium before anybody reads it."""


class RowLog:
    """The one writer of `data_dir/rows`; not thread-safe. The files' reading side is open to all."""

    def __init__(
        self, directory: Path, options: RowLogOptions, disk: Disk | None = None
    ) -> None:
        """Lock the log and find its id; raises `StartError` when another process has it or it cannot be made."""
        self._disk = disk or Disk()
        self._options = options
        self.directory = directory
        try:
            make_directory(directory)
            self._lock_fd = lock(directory / "lock")
            self.id = _log_id(directory / "id")
        except BlockingIOError as error:
            raise StartError(
                f"another exporter works on {directory}; stop it first"
            ) from error
        except OSError as error:
            raise StartError(
                f"the row log {directory} cannot be opened: {error}; check data_dir and its rights"
            ) from error
        self._segments = SegmentWriter(
            directory,
            bytes.fromhex(self.id),
            segment_bytes=options.segment_bytes,
            segment_seconds=options.segment_seconds,
            disk=self._disk,
        )
        self._sync_new_names = True
        self.losses: Losses = Counter()
        """What the search for the last good frame had to skip."""
        self.sync_failures = 0
        self.forced_bytes = 0
        """Bytes of rows that the size cap removed before every destination had them."""

    @property
    def end(self) -> Position:
        """The place after the last frame."""
        return self._segments.position

    def last_source(self) -> msgspec.Raw | None:
        """Give the enricher's progress of the last good frame; `None` in an empty log."""
        for number in reversed(segment_numbers(self.directory)):
            last: bytes | None = None
            reader = LogReader(self.directory, Position(number, 0), self.losses)
            while not reader.caught_up and reader.position.segment == number:
                for entry in reader.read(live=False):
                    last = entry.payload if entry.start.segment == number else last
            reader.close()
            if last is not None:
                return decode_frame(last).source
        return None

    def append(self, row_frame: RowFrame, now: float) -> Position:
        """Append one frame, whole or not at all; raises `OSError` when there is no room or the disk fails."""
        payload = _encoder.encode(row_frame)
        if len(payload) > MAX_FRAME_BYTES:
            raise RecordError(f"{len(payload)} bytes of rows do not fit one frame")
        before = self._segments.position.segment
        written = self._segments.write([frame(payload)], now)
        if written.error is not None and not written.frames:
            written = self._segments.write([frame(payload)], now)
        if written.error is not None and not written.frames:
            raise written.error
        self._sync(self._segments.position.segment != before)
        return self._segments.position

    def retain(self, slowest: Position | None, now_us: int) -> int:
        """Delete what is old enough and delivered, or what the size cap forces out; give the freed bytes.

        `slowest` is the position of the slowest enabled destination, `None` without any. The newest two segments stay:
        one is being written, and one holds the enricher's progress.
        """
        numbers = segment_numbers(self.directory)
        sizes = {
            number: _facts(segment_path(self.directory, number)) for number in numbers
        }
        total = sum(size for size, _ in sizes.values())
        freed = 0
        for number in numbers[:-2]:
            size, changed_us = sizes[number]
            is_over = total - freed > self._options.max_bytes
            is_old = now_us - changed_us > self._options.retention_hours * 3_600_000_000
            is_delivered = slowest is None or number < slowest.segment
            if not (is_over or (is_old and is_delivered)):
                break
            if not is_delivered:
                self.forced_bytes += size
            segment_path(self.directory, number).unlink(missing_ok=True)
            freed += size
        return freed

    def bytes_total(self) -> int:
        """Give what the log takes on the disk."""
        return sum(
            _facts(segment_path(self.directory, each))[0]
            for each in segment_numbers(self.directory)
        )

    def close(self) -> None:
        """Finish the segment and unlock."""
        self._segments.finish()
        os.close(self._lock_fd)

    def _sync(self, is_new_segment: bool) -> None:
        if not self._options.sync or self._segments.fd is None:
            return
        try:
            self._disk.sync(self._segments.fd)
            if is_new_segment:
                self._disk.sync_directory(self.directory)
        except OSError:
            # The frame can be read, so it counts as written; writing it again would double its rows.
            self.sync_failures += 1
            self._segments.finish()


def tables_of(frames: Iterable[RowFrame]) -> dict[str, TableRows]:
    """Put the rows of several frames together, table by table, in order."""
    counts: Counter[str] = Counter()
    bodies: dict[str, list[bytes]] = {}
    for each in frames:
        for table, rows in each.tables.items():
            counts[table] += rows.count
            bodies.setdefault(table, []).append(rows.body)
    return {
        table: TableRows(counts[table], b"".join(parts))
        for table, parts in sorted(bodies.items())
    }


def _facts(path: Path) -> tuple[int, int]:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return 0, 0
    return facts.st_size, facts.st_mtime_ns // 1000


def _log_id(path: Path) -> str:
    if not path.exists():
        replace_file(path, secrets.token_hex(16).encode())
    text = path.read_text().strip()
    if len(text) != 32 or not all(char in "0123456789abcdef" for char in text):
        raise StartError(
            f"{path} does not hold a row log's id; restore it, or move {path.parent} away to begin a new log"
        )
    return text
