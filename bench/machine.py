"""What the kernel knows of processes and of the machine's load. Linux only: it reads /proc.

Processor time is summed over threads in nanoseconds (`schedstat`), so it stays right on a busy machine; rates and latencies
do not. `other` tells how busy the machine was with work that is not ours.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
QUIET_CORES = 0.35
"""With more than this of other work on the machine, latencies say little."""


def cpu_seconds(pid: int) -> float:
    """Give the processor time that a process has used."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # the thread has ended meanwhile
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def children_of(pid: int) -> list[int]:
    """Give the processes that a process has started."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += map(int, (thread / "children").read_text().split())
    return found


def command_of(pid: int) -> str:
    """Give a process's command line; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def resident_mb(pid: int) -> float:
    """Give what is resident now, in MB (10^6)."""
    return _memory(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """Give the most that was resident, in MB."""
    return _memory(pid, "VmHWM")


def _memory(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"process {pid} has no {field}")


def busy_seconds() -> float:
    """Give the processor time that all processes of the machine have used."""
    fields = [
        int(field)
        for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    ]
    return (sum(fields[:8]) - fields[3] - fields[4]) / _TICKS


def pin(pid: int, core: int) -> None:
    """Keep all threads of a process on one core; where there is only one there is nothing to do."""
    if core in os.sched_getaffinity(0):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


@contextlib.contextmanager
def starting_on(core: int) -> Iterator[None]:
    """Have processes that are started inside run on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & cores or cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def wait_for_quiet(seconds: float) -> None:
    """Wait until others leave the machine alone, but no longer than this."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        before = busy_seconds()
        time.sleep(0.25)
        if (busy_seconds() - before) / 0.25 < QUIET_CORES:
            return
