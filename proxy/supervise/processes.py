"""What the operating system says of a process.

What lives here: processor time and memory of a process id. What does not: their names as metrics (`metrics.py`).
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """What a process has used."""

    cpu_seconds: float
    """User and system time since its start."""
    resident_bytes: int
    open_files: int


def process_use(pid: int) -> ProcessUse | None:
    """Read `/proc`; `None` where there is no such process or no such file system."""
    root = Path("/proc") / str(pid)
    try:
        fields = (
            (root / "stat")
            .read_text(encoding="ascii", errors="replace")
            .rpartition(")")[2]
            .split()
        )
        resident_pages = int((root / "statm").read_text(encoding="ascii").split()[1])
        open_files = len(os.listdir(root / "fd"))
    except (OSError, IndexError, ValueError):
        return None
    ticks = int(fields[11]) + int(
        fields[12]
    )  # utime and stime, counted from the field after the name: proc(5)
    return ProcessUse(
        ticks / os.sysconf("SC_CLK_TCK"),
        resident_pages * os.sysconf("SC_PAGE_SIZE"),
        open_files,
    )
