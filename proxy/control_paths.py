"""Where the control socket of a process is.

What lives here: the paths, with nothing heavy imported, so that a command can ask quickly. What does not: serving (`control.py`), asking
(`control_client.py`).
"""

import os
from pathlib import Path

LONGEST_SOCKET_PATH_BYTES = 100
"""Linux takes 107; the rest is for the suffix of the name under which the socket is made."""


def socket_path(data_dir: Path, name: str) -> Path:
    """Give the place of a process's socket; one that is too long is led elsewhere by the file `<name>.path` beside it."""
    return data_dir / "run" / f"{name}.sock"


def pointer_path(path: Path) -> Path:
    """Give the file that names the real socket where `path` is too long to be one."""
    return path.with_suffix(".path")


def canonical(path: Path) -> Path:
    """Give the one way to write a socket's path, whatever the working directory; asks the file system."""
    return Path(os.path.realpath(path.parent)) / path.name


def too_long(path: Path) -> bool:
    """Tell whether the operating system takes no socket of this path, so that it is elsewhere."""
    return len(os.fsencode(path)) > LONGEST_SOCKET_PATH_BYTES


def real_path(path: Path) -> Path:
    """Follow the pointer file that stands beside a socket whose (canonical) path is too long."""
    if not too_long(path):
        return path
    try:
        return Path(pointer_path(path).read_text(encoding="utf-8"))
    except OSError:
        return path
