"""The enricher: all incarnations of all workers become one log of rows.

What lives here: which incarnations there are, one step of work over all of them, saving rows and progress together, and
deleting what nobody needs any more. What does not: threads, timers and wake-ups (`exporters/worker.py`), one incarnation
(`source.py`).
"""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from exporters.enrich.columns import EventRow, PriceRow, Row, StepRow
from exporters.enrich.progress import Progress, decode_progress, encode_progress
from exporters.enrich.rows import encode_rows
from exporters.enrich.source import Source
from exporters.row_log import RowFrame, RowLog, TableRows
from proxy.errors import RecordError
from proxy.record.framing import Losses
from proxy.record.incarnations import incarnations

CHUNK_BYTES = 1 << 20
"""How much of one incarnation is read in one step; bounds the memory and the size of a frame."""
SAVE_SECONDS = 5.0
"""Progress without rows is saved this often, so that segments can be deleted."""


class Enricher:
    """Makes rows of the raw spool; `step` does a bounded piece of work and never loses or doubles a row."""

    def __init__(
        self, root: Path, row_log: RowLog, now: float, now_us: Callable[[], int]
    ) -> None:
        """`root` is `data_dir/spool`; goes on from the row log's last frame. Raises `RecordError`."""
        self._root = root
        self._row_log = row_log
        self._now_us = now_us
        self._saved = decode_progress(row_log.last_source())
        self._saved_at = now
        self._sources: dict[str, Source] = {}
        self._unwritten: RowFrame | None = None
        self._unwritten_progress = self._saved
        self.counts: Counter[str] = Counter(self._saved.counts)
        """What was odd about records, by kind; carried over restarts."""
        self.losses: Losses = Counter()
        """What was skipped in files since the start."""
        self.rows_made = 0
        self._discover(now)

    def step(self, now: float) -> bool:
        """Read on, make rows, save them; true when there is more to read at once. Raises `OSError` from the row log.

        After an error the rows are kept and the next call tries to write them before it reads on.
        """
        self._write_unwritten(now)
        self._discover(now)
        for source in self._sources.values():
            rows = list(source.step(now, CHUNK_BYTES))
            if rows:
                self._save(rows, now)
        if now - self._saved_at >= SAVE_SECONDS and self._progress() != self._saved:
            self._save([], now)
        return not self.caught_up

    def flush(self, now: float) -> None:
        """Save the progress as it is."""
        self._write_unwritten(now)
        if self._progress() != self._saved:
            self._save([], now)

    def clean(self) -> int:
        """Delete what is in rows, durably, and not needed by a worker's restart; give the bytes."""
        freed = 0
        saved = {each.incarnation: each for each in self._saved.sources}
        for source in list(self._sources.values()):
            progress = saved.get(source.incarnation.id)
            if progress is not None:
                freed += source.delete_segments(progress)
        return freed + self._delete_absorbed(
            saved={name for name, each in saved.items() if each.settled}
        )

    @property
    def caught_up(self) -> bool:
        """Whether nothing is left to read for now."""
        return all(source.caught_up for source in self._sources.values())

    @property
    def pending(self) -> int:
        """How many exchanges have no row yet."""
        return sum(len(source) for source in self._sources.values())

    @property
    def unripe(self) -> int:
        """How many exchanges are closed and wait for their end."""
        return sum(source.unripe for source in self._sources.values())

    @property
    def refused(self) -> list[str]:
        """Why incarnations are left unread."""
        return [source.refused for source in self._sources.values() if source.refused]

    def close(self) -> None:
        """Close all files."""
        for source in self._sources.values():
            source.close()

    def _discover(self, now: float) -> None:
        saved = {each.incarnation: each for each in self._saved.sources}
        for incarnation in incarnations(self._root):
            if incarnation.id not in self._sources:
                progress = saved.get(incarnation.id)
                self._sources[incarnation.id] = Source(
                    incarnation, progress, self.counts, self.losses, now
                )

    def _delete_absorbed(self, saved: set[str]) -> int:
        checkpoints = {
            name: source.checkpoint() for name, source in self._sources.items()
        }
        present = {each.incarnation.name for each in self._sources.values()}
        absorbed = {
            older
            for checkpoint in checkpoints.values()
            if checkpoint is not None
            for older in checkpoint.absorbed
        }
        freed = 0
        for name, source in list(self._sources.items()):
            checkpoint = checkpoints[name]
            is_witness = checkpoint is not None and not present.isdisjoint(
                checkpoint.absorbed
            )
            if name in saved and source.incarnation.name in absorbed and not is_witness:
                freed += source.delete_all()
                present.discard(source.incarnation.name)
                del self._sources[name]
        return freed

    def _progress(self) -> Progress:
        return Progress(
            tuple(source.progress() for source in self._sources.values()),
            dict(self.counts),
        )

    def _save(self, rows: Iterable[Row], now: float) -> None:
        tables = _tables(rows)
        self._unwritten_progress = self._progress()
        self._unwritten = RowFrame(
            tables, encode_progress(self._unwritten_progress), self._now_us()
        )
        self._write_unwritten(now)

    def _write_unwritten(self, now: float) -> None:
        if self._unwritten is None:
            return
        count = sum(rows.count for rows in self._unwritten.tables.values())
        try:
            self._row_log.append(self._unwritten, now)
            self.rows_made += count
        except (
            RecordError
        ):  # larger than any frame may be: the rows are lost, what follows is not
            self.counts["failed"] += count
        self._saved, self._saved_at = self._unwritten_progress, now
        self._unwritten = None


def _tables(rows: Iterable[Row]) -> dict[str, TableRows]:
    of_table: dict[str, list[Row]] = {name: [] for name in _TABLE_OF_ROW.values()}
    for row in rows:
        of_table[_TABLE_OF_ROW[type(row)]].append(row)
    return {
        name: TableRows(len(some), encode_rows(some))
        for name, some in of_table.items()
        if some
    }


_TABLE_OF_ROW: dict[type[Row], str] = {
    StepRow: "steps",
    EventRow: "events",
    PriceRow: "prices",
}
