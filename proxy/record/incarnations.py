"""The directories of the raw spool: one for each incarnation of a worker, and whether its writer lives.

What lives here: making and locking such a directory, listing them, asking whether one is still written. What does not:
the files in them (`log_reader.py`, `segment_writer.py`).

A directory becomes visible only when its lock is held, so that a visible directory without a lock holder is dead for ever:
incarnations are never taken up again.
"""

import fcntl
import os
from pathlib import Path
from typing import NamedTuple

from proxy.record.disk import make_directory

LOCK = "lock"


class Incarnation(NamedTuple):
    """One life of one worker: `spool/<worker>/<name>`."""

    worker: str
    name: str
    path: Path

    @property
    def id(self) -> str:
        """Name it below the spool's root."""
        return f"{self.worker}/{self.name}"

    def is_alive(self) -> bool:
        """Say whether its writer still holds the lock; asks with a descriptor of its own and keeps nothing."""
        return is_locked(self.path / LOCK)


def claim(directory: Path) -> int:
    """Make the directory of a new incarnation and give the descriptor that holds its lock. Raises `OSError`."""
    if directory.exists():
        raise FileExistsError(f"{directory} exists already")
    make_directory(directory.parent)
    hidden = directory.with_name(f".{directory.name}")
    hidden.mkdir(mode=0o700)
    fd = lock(hidden / LOCK)
    hidden.rename(directory)
    return fd


def lock(path: Path) -> int:
    """Create and lock a file, exclusively, and give the descriptor; `BlockingIOError` when somebody else holds it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def is_locked(path: Path) -> bool:
    """Say whether another open file holds the lock; a missing file is not locked."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def incarnations(root: Path) -> list[Incarnation]:
    """List all incarnations below `data_dir/spool`, oldest first (their names are UUIDv7)."""
    found = []
    for worker in _directories(root):
        found += [
            Incarnation(worker.name, path.name, path) for path in _directories(worker)
        ]
    return sorted(found, key=lambda each: (each.name, each.worker))


def _directories(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return [
                Path(entry.path)
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir()
            ]
    except FileNotFoundError:
        return []
