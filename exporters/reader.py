"""Reads the row log for one destination: its cursor, and the fixed ranges of which batches are made.

What lives here: the cursor's file, and cutting the log into ranges. What does not: sending, retrying (`delivery.py`).

A range is written into the cursor before it is first sent and is resent unchanged, with the same token, until it is
delivered; so a token always means the same bytes. If the size cap has removed a part of a range meanwhile, what is left
of it is resent under the same token: a store that has the range ignores it, one that has not gets what there is.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from exporters.row_log import RowFrame, decode_frame, tables_of
from proxy.errors import RecordError, StartError
from proxy.record.disk import make_directory, replace_file
from proxy.record.framing import Losses, Position
from proxy.record.log_reader import Entry, LogReader


class Cursor(msgspec.Struct, frozen=True):
    """Where a destination is; the file `rows/cursors/<destination>`."""

    log_id: str
    """The row log that the positions belong to."""
    position: Position = Position(0, 0)
    """All rows before it are delivered, or dead letters."""
    inflight_end: Position | None = None
    """The end of the range that is being sent; `None` between two ranges."""


class Batch(NamedTuple):
    """Rows of one table; equal tokens mean equal bytes."""

    table: str
    token: str
    rows_count: int
    body: bytes
    """JSON lines, as `INSERT ... FORMAT JSONEachRow` takes them."""


class Range(NamedTuple):
    """A fixed piece of the log: one batch for each table that has rows in it."""

    start: Position
    end: Position
    batches: tuple[Batch, ...]
    made_us: int
    """When the oldest of its rows was made; 0 without rows."""


@dataclass(frozen=True, slots=True)
class RangeLimits:
    """When a range is full; one frame may pass them."""

    rows: int = 10_000
    bytes: int = 8 << 20


class CursorFile:
    """A destination's cursor on the disk, twice: a damaged file costs nothing while its copy is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._copy = path.with_name(path.name + ".copy")

    def load(self, log_id: str) -> Cursor:
        """Give the cursor; the beginning when there is none or it belongs to another log.

        Raises `StartError` when file and copy are damaged: starting over would send every row twice.
        """
        damage = None
        for path in (self._path, self._copy):
            try:
                cursor = msgspec.json.decode(path.read_bytes(), type=Cursor)
            except FileNotFoundError:
                continue
            except (msgspec.DecodeError, msgspec.ValidationError) as error:
                damage = error
                continue
            return cursor if cursor.log_id == log_id else Cursor(log_id)
        if damage is not None:
            raise StartError(
                f"the cursor {self._path} is damaged ({damage}); delete it and its copy to send all retained rows again"
            ) from damage
        return Cursor(log_id)

    def save(self, cursor: Cursor) -> None:
        """Replace the cursor, then its copy; raises `OSError`. Each is on the medium before the next step."""
        make_directory(self._path.parent)
        for path in (self._path, self._copy):
            replace_file(path, msgspec.json.encode(cursor))


class RangeReader:
    """Cuts the log behind a cursor into ranges."""

    def __init__(self, directory: Path, cursor: Cursor, limits: RangeLimits) -> None:
        """Begin at the cursor's position."""
        self._log_id = cursor.log_id
        self._limits = limits
        self._start = cursor.position
        self.losses: Losses = Counter()
        """What was skipped in the log's files."""
        self._reader = LogReader(directory, cursor.position, self.losses)
        self._ahead: list[tuple[Entry, RowFrame]] = []
        """Read, but not yet in a range that was taken."""

    def look(self) -> None:
        """Read on, until there is enough for a full range or nothing more for now."""
        while not self.is_full():
            entries = self._reader.read(live=True)
            if not entries and self._reader.caught_up:
                return
            for entry in entries:
                self._admit(entry)

    def is_full(self) -> bool:
        """Say whether waiting longer would not make the next range larger."""
        rows = sum(
            each.count
            for _, row_frame in self._ahead
            for each in row_frame.tables.values()
        )
        size = sum(len(entry.payload) for entry, _ in self._ahead)
        return rows >= self._limits.rows or size >= self._limits.bytes

    def is_empty(self) -> bool:
        """Say whether nothing is there."""
        return not self._ahead

    def oldest_us(self) -> int:
        """Give when the oldest row that is not in a taken range was made; 0 without any."""
        return next(
            (row_frame.made_us for _, row_frame in self._ahead if row_frame.tables), 0
        )

    def cut(self, inflight_end: Position | None) -> Range:
        """Give the next range without taking it: up to `inflight_end` if given, else as much as the limits allow."""
        chosen: list[tuple[Entry, RowFrame]] = []
        rows = size = 0
        for entry, row_frame in self._ahead:
            rows += sum(each.count for each in row_frame.tables.values())
            size += len(entry.payload)
            is_beyond = (
                entry.end > inflight_end
                if inflight_end
                else rows > self._limits.rows or size > self._limits.bytes
            )
            if is_beyond and (chosen or inflight_end):
                break
            chosen.append((entry, row_frame))
        end = inflight_end or (chosen[-1][0].end if chosen else self._start)
        made_us = next(
            (row_frame.made_us for _, row_frame in chosen if row_frame.tables), 0
        )
        return Range(self._start, end, self._batches(chosen, end), made_us)

    def take(self, taken: Range) -> None:
        """Go behind a range that was delivered."""
        self._ahead = [each for each in self._ahead if each[0].end > taken.end]
        self._start = taken.end

    def look_until(self, end: Position) -> None:
        """Read on until `end`, which was written before, is reached or there is nothing more."""
        while not self._ahead or self._ahead[-1][0].end < end:
            entries = self._reader.read(live=True)
            if not entries and self._reader.caught_up:
                return
            for entry in entries:
                self._admit(entry)

    def close(self) -> None:
        """Close the file at hand."""
        self._reader.close()

    def _admit(self, entry: Entry) -> None:
        try:
            self._ahead.append((entry, decode_frame(entry.payload)))
        except RecordError:
            self.losses["undecodable"] += 1

    def _batches(
        self, chosen: list[tuple[Entry, RowFrame]], end: Position
    ) -> tuple[Batch, ...]:
        span = f"{self._log_id}:{self._start.segment}:{self._start.offset}-{end.segment}:{end.offset}"
        tables = tables_of(row_frame for _, row_frame in chosen)
        return tuple(
            Batch(table, f"{span}:{table}", rows.count, rows.body)
            for table, rows in tables.items()
            if rows.count
        )
