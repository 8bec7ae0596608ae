"""Reads a directory of segments from a position on, while it may still be written.

What lives here: which segment comes next, and what is skipped between files. What does not: damage inside a file
(`framing.py`), what payloads mean. Nothing here ever writes, truncates or deletes.
"""

import os
from pathlib import Path
from typing import NamedTuple

from proxy.errors import RecordError
from proxy.record.framing import (
    HEADER_BYTES,
    READ_BYTES,
    Losses,
    Position,
    check_header,
    read_frames,
)
from proxy.record.segment_writer import segment_numbers, segment_path


class Entry(NamedTuple):
    """One record: the position of its frame, the position after it, and its payload."""

    start: Position
    end: Position
    payload: bytes


class LogReader:
    """Gives each good record of a directory once, in order; bad ones are skipped and counted in `losses`."""

    def __init__(self, directory: Path, position: Position, losses: Losses) -> None:
        """Begin after `position`; `Position(0, 0)` is the oldest record there is."""
        self._directory = directory
        self._losses = losses
        self._fd: int | None = None
        self.position = position
        """The place after the last record given or skipped."""
        self.caught_up = False
        """The last `read` came to the end of what is there."""

    def read(self, *, live: bool, limit_bytes: int = READ_BYTES) -> list[Entry]:
        """Give the next records, about `limit_bytes` of them; `live` must have been asked before this call.

        Raises `RecordError` when a newer version wrote the segment, and `OSError` when a file cannot be opened.
        """
        numbers = segment_numbers(self._directory)
        entries: list[Entry] = []
        self.caught_up = False
        while limit_bytes > 0 and not self.caught_up:
            try:
                is_open = self._open(numbers)
            except (OSError, RecordError):
                if entries:  # the position is behind them; the next call raises
                    return entries
                raise
            if not is_open:
                self.caught_up = True
                break
            before = self.position.offset
            sealed = not live or self.position.segment != numbers[-1]
            done = self._read_segment(entries, sealed, limit_bytes)
            limit_bytes -= max(self.position.offset - before, 1)
            if done:
                self.caught_up = not self._move_on(numbers)
            elif self.position.offset == before:
                self.caught_up = True
        return entries

    def close(self) -> None:
        """Close the file at hand."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _read_segment(
        self, entries: list[Entry], sealed: bool, limit_bytes: int
    ) -> bool:
        assert self._fd is not None
        number = self.position.segment
        try:
            chunk = read_frames(
                self._fd,
                self.position.offset,
                self._losses,
                sealed=sealed,
                limit_bytes=limit_bytes,
            )
        except OSError:
            if sealed:
                self._losses["unreadable"] += 1
            return sealed
        for start, end, payload in chunk.frames:
            entries.append(
                Entry(Position(number, start), Position(number, end), payload)
            )
        self.position = Position(number, chunk.offset)
        return chunk.done

    def _open(self, numbers: list[int]) -> bool:
        """Have the segment at the position open; false when there is none yet."""
        while self._fd is None:
            number = next(
                (each for each in numbers if each >= max(self.position.segment, 1)),
                None,
            )
            if number is None:
                return False
            if number != self.position.segment:
                self._count_missing(
                    number - self.position.segment if self.position.segment else 0
                )
                self.position = Position(number, 0)
            if not self._open_segment(number) and not self._move_on(numbers):
                return False
        return True

    def _open_segment(self, number: int) -> bool:
        """Open a segment and check its header; false when it is to be passed over."""
        try:
            fd = os.open(
                segment_path(self._directory, number), os.O_RDONLY | os.O_CLOEXEC
            )
        except FileNotFoundError:
            self._losses["missing"] += 1
            return False
        try:
            problem = check_header(os.pread(fd, HEADER_BYTES, 0), number)
        except BaseException:
            os.close(fd)
            raise
        if problem:
            self._losses[problem] += 1
        if problem == "foreign":
            os.close(fd)
            return False
        self._fd = fd
        self.position = Position(number, max(self.position.offset, HEADER_BYTES))
        return True

    def _move_on(self, numbers: list[int]) -> bool:
        """Go to the next segment; false, and nothing moves, when there is none yet."""
        number = self.position.segment
        following = next((each for each in numbers if each > number), None)
        if following is None:
            return False
        self.close()
        if following > number + 1:
            self._count_missing(following - number - 1)
        self.position = Position(following, 0)
        return True

    def _count_missing(self, count: int) -> None:
        if count:
            self._losses["missing"] += count
