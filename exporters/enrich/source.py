"""One incarnation of a worker as the enricher sees it: read to its end, joined into rows, deleted when done.

What lives here: reading one directory from where the last enricher stopped, and which of its segments nobody needs any
more. What does not: several incarnations together (`enricher.py`), the join itself (`pending.py`).
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from exporters.enrich.columns import EventRow, Row, StepRow
from exporters.enrich.pending import Pending
from exporters.enrich.progress import SourceProgress
from proxy.errors import RecordError
from proxy.record import codec
from proxy.record.checkpoint import FILE, Checkpoint, read_checkpoint
from proxy.record.framing import Position
from proxy.record.incarnations import LOCK, Incarnation
from proxy.record.log_reader import Entry, LogReader
from proxy.record.segment_writer import segment_numbers, segment_path

ASK_SECONDS = 5.0
"""How often a living worker's checkpoint is asked which of the pending exchanges are really under way."""


class Source:
    """Turns the records of one incarnation into rows, each once; what it skips is in `counts`."""

    def __init__(
        self,
        incarnation: Incarnation,
        progress: SourceProgress | None,
        counts: Counter[str],
        losses: Counter[str],
        now: float,
    ) -> None:
        """Go on from `progress`; `None` begins at the oldest record."""
        self.incarnation = incarnation
        self._counts = counts
        self._is_dead = False
        self._asked_at = now
        self.settled = progress is not None and progress.settled
        self.refused = ""
        """Why it cannot be read (a newer version wrote it); it is then left as it is."""
        self._reader = LogReader(
            incarnation.path, progress.position if progress else Position(0, 0), losses
        )
        self._pending = Pending(counts, progress.awaiting if progress else ())
        if progress is not None:
            self._pending.last_us = progress.last_us
            self._pending.restore(self._read_again(progress.pending), now)

    def __len__(self) -> int:
        """Give how many exchanges have no row yet."""
        return len(self._pending)

    @property
    def unripe(self) -> int:
        """How many exchanges are closed and wait for their end."""
        return self._pending.unripe

    @property
    def caught_up(self) -> bool:
        """Whether nothing is left to read for now."""
        if self._is_dead and not self.settled:
            return bool(self.refused)
        return self._reader.caught_up or self.settled or bool(self.refused)

    @property
    def position(self) -> Position:
        """The place up to which records were read."""
        return self._reader.position

    def step(self, now: float, limit_bytes: int) -> Iterator[Row]:
        """Read on, about `limit_bytes`, and give the rows that are ripe."""
        if self.settled or self.refused:
            return
        self._is_dead = self._is_dead or not self.incarnation.is_alive()
        try:
            entries = self._reader.read(live=not self._is_dead, limit_bytes=limit_bytes)
        except RecordError as error:
            self.refused = str(error)
            return
        for entry in entries:
            yield from self._feed(entry, now)
        if self._reader.caught_up:
            yield from self._pending.ripen(now)
            if self._is_dead:
                yield from self._pending.settle()
                self.settled = not len(self._pending)
            else:
                yield from self._forsaken(now)

    def progress(self) -> SourceProgress:
        """Give what a successor needs to go on from here."""
        return SourceProgress(
            self.incarnation.id,
            self._reader.position,
            tuple(self._pending.places()),
            self._pending.awaiting(),
            self._pending.last_us,
            self.settled,
        )

    def delete_segments(self, saved: SourceProgress) -> int:
        """Delete segments that are in rows by `saved`, durably, and behind the worker's checkpoint; give the bytes."""
        checkpoint = self.checkpoint()
        if checkpoint is None:
            return 0
        needed = min(
            [
                saved.position.segment,
                checkpoint.position.segment,
                *(place.segment for place in saved.pending),
            ]
        )
        freed = 0
        for number in segment_numbers(self.incarnation.path):
            if number < needed:
                freed += _unlink(segment_path(self.incarnation.path, number))
        return freed

    def delete_all(self) -> int:
        """Delete the directory of a settled and absorbed incarnation: segments first, what explains them last."""
        path = self.incarnation.path
        self.close()
        freed = sum(
            _unlink(segment_path(path, number)) for number in segment_numbers(path)
        )
        for name in (FILE, LOCK):
            _unlink(path / name)
        with contextlib.suppress(
            OSError
        ):  # something unknown is in it: leave that to its owner
            path.rmdir()
        return freed

    def checkpoint(self) -> Checkpoint | None:
        """Give the worker's checkpoint; `None` when there is none that can be read."""
        try:
            return read_checkpoint(self.incarnation.path)
        except RecordError:
            return None

    def _forsaken(self, now: float) -> Iterator[StepRow | EventRow]:
        """Now and then, give the rows of exchanges that the worker knows to be over and that will never end here."""
        if not len(self._pending) or now - self._asked_at < ASK_SECONDS:
            return
        self._asked_at = now
        said = self.checkpoint()
        if (
            said is not None
            and said.under_way is not None
            and said.position <= self._reader.position
        ):
            yield from self._pending.forsake(said.position, frozenset(said.under_way))

    def close(self) -> None:
        """Close the file at hand."""
        self._reader.close()

    def _feed(self, entry: Entry, now: float) -> list[Row]:
        record = self._decode(entry.payload)
        if record is None:
            return []
        try:
            return list(self._pending.feed(record, entry.start, now))
        except Exception:  # noqa: BLE001 - the guard of the phase export: one odd record must not stop the others
            self._counts["failed"] += 1
            return []

    def _decode(self, payload: bytes) -> codec.Record | None:
        try:
            record = codec.decode(payload)
        except RecordError:
            self._counts["undecodable"] += 1
            return None
        if record is None:
            self._counts["unknown_tag"] += 1
        return record

    def _read_again(
        self, places: tuple[Position, ...]
    ) -> Iterator[tuple[codec.Record, Position]]:
        for place in places:
            reader = LogReader(self.incarnation.path, place, Counter())
            entries = reader.read(live=True, limit_bytes=1)
            reader.close()
            record = (
                self._decode(entries[0].payload)
                if entries and entries[0].start == place
                else None
            )
            if record is None:
                self._counts["pending_lost"] += 1
            else:
                yield record, place


def _unlink(path: Path) -> int:
    try:
        size = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return size
