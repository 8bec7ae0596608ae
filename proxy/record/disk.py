"""The few calls on the file system that a writer of segments makes, in one place, so that tests can make them fail.

What lives here: creating, writing, syncing, free space. What does not: policy of any kind.
"""

import errno
import os
from pathlib import Path


class Disk:
    """The real file system. Files are 0600 and directories 0700."""

    def create(self, path: Path) -> int:
        """Open a new file for appending; an old one of the same name is replaced."""
        return os.open(
            path,
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC,
            0o600,
        )

    def write(self, fd: int, data: bytes) -> int:
        """Write and say how much was written; a full disk gives fewer bytes or an `OSError`."""
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        """Wait until what was written is on the medium."""
        os.fdatasync(fd)

    def sync_directory(self, path: Path) -> None:
        """Wait until the names in a directory are on the medium."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def free_bytes(self, path: Path) -> int:
        """Give the bytes that may still be written below `path`."""
        facts = os.statvfs(path)
        return facts.f_bavail * facts.f_frsize


def make_directory(path: Path) -> None:
    """Make a directory and its parents, each 0700."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def replace_file(path: Path, data: bytes) -> None:
    """Write a small file so that a reader sees the old or the new one, whole, even after a power cut."""
    temporary = path.with_name(f".{path.name}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if os.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(temporary))
        os.fdatasync(fd)
    finally:
        os.close(fd)
    temporary.replace(path)


FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Error numbers that mean that there is no room, rather than that the device is broken."""
