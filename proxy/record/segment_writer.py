"""Writes frames into numbered segment files.

What lives here: which file is written, when the next one starts, and what a failed write leaves behind. What does not:
queues, threads and policy (`spool.py`), rows (`exporters/row_log.py`).

A segment gets its name only when its header and first frames are in it. After a failed or short write it is never written
again: the frames that are whole in it count as written, the rest goes to the next segment or is dropped by the caller.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from proxy.record.disk import Disk
from proxy.record.framing import Position, header

SUFFIX = ".seg"
"""Of the files that are segments; others beside them are none."""


class Written(NamedTuple):
    """How many of the frames are whole in a segment, and why not all of them."""

    frames: int
    error: OSError | None


def segment_path(directory: Path, number: int) -> Path:
    """Give the file of a segment."""
    return directory / f"{number:08d}{SUFFIX}"


def segment_numbers(directory: Path) -> list[int]:
    """Give the numbers of the segments in a directory, in order; none when it is gone."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(
        int(name.removesuffix(SUFFIX))
        for name in names
        if name.endswith(SUFFIX) and name.removesuffix(SUFFIX).isdigit()
    )


class SegmentWriter:
    """The one writer of a directory of segments; not thread-safe."""

    def __init__(
        self,
        directory: Path,
        writer_id: bytes,
        *,
        segment_bytes: int,
        segment_seconds: float,
        disk: Disk,
        retire: Callable[[int], None] = os.close,
    ) -> None:
        """`retire` gets the descriptor of a segment that is finished, and closes it."""
        self._directory = directory
        self._writer_id = writer_id
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._disk = disk
        self._retire = retire
        self._number = max(segment_numbers(directory), default=0)
        self._size = 0
        self._began = 0.0
        self.fd: int | None = None
        """The segment at hand; `None` before the first frame and after a failure."""

    @property
    def position(self) -> Position:
        """The place after the last whole frame."""
        return Position(self._number, self._size)

    def write(self, frames: Sequence[bytes], now: float) -> Written:
        """Write frames in order; `now` is any clock in seconds that only goes forward."""
        if self.fd is not None and self._is_due(sum(map(len, frames)), now):
            self.finish()
        if self.fd is None:
            return self._begin(frames, now)
        return self._extend(self.fd, frames)

    def finish(self) -> None:
        """Let the segment at hand be; the next frame starts a new one."""
        if self.fd is not None:
            fd, self.fd = self.fd, None
            self._retire(fd)

    def is_old(self, now: float) -> bool:
        """Say whether the segment at hand has frames and is past its age."""
        return self.fd is not None and now - self._began >= self._segment_seconds

    def _is_due(self, more_bytes: int, now: float) -> bool:
        return self._size + more_bytes > self._segment_bytes or self.is_old(now)

    def _begin(self, frames: Sequence[bytes], now: float) -> Written:
        number = self._number + 1
        path = segment_path(self._directory, number)
        temporary = path.with_suffix(".tmp")
        data = header(self._writer_id, number) + b"".join(frames)
        fd: int | None = None
        try:
            fd = self._disk.create(temporary)
            _check_whole(self._disk.write(fd, data), data)
            temporary.rename(path)
        except OSError as error:
            if fd is not None:
                os.close(fd)
                with contextlib.suppress(OSError):
                    temporary.unlink()
            return Written(0, error)
        self.fd, self._number, self._size, self._began = fd, number, len(data), now
        return Written(len(frames), None)

    def _extend(self, fd: int, frames: Sequence[bytes]) -> Written:
        data = b"".join(frames)
        try:
            _check_whole(self._disk.write(fd, data), data)
        except OSError as error:
            count = self._count_whole(fd, frames)
            self.finish()
            return Written(count, error)
        self._size += len(data)
        return Written(len(frames), None)

    def _count_whole(self, fd: int, frames: Sequence[bytes]) -> int:
        """The file's own size says which frames are in it: they must not be written twice."""
        try:
            room = os.fstat(fd).st_size - self._size
        except OSError:
            return 0
        for count, each in enumerate(frames):
            room -= len(each)
            if room < 0:
                return count
            self._size += len(each)
        return len(frames)


def _check_whole(written: int, data: bytes) -> None:
    if written != len(data):
        raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes were written")
