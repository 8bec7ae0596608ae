"""One run of the load generator against one address, and what it cost.

What lives here: the command line of `load.c`, its answer, the processor time and load around it. What does not: which runs are
made (`scenarios.py`), what counts as good (`report.py`).
"""

import resource
import subprocess
import time
from pathlib import Path

import msgspec

from bench.machine import (
    QUIET_CORES,
    busy_seconds,
    cpu_seconds,
    peak_mb,
    resident_mb,
    starting_on,
    wait_for_quiet,
)
from bench.product import LOAD_CORE, Mock, Product, Worker


class Samples(msgspec.Struct, frozen=True):
    """Percentiles of a time, in microseconds."""

    count: int
    p50: float
    p90: float
    p99: float
    max: float


class Answer(msgspec.Struct, frozen=True):
    """What `load` prints."""

    requests: int
    good: int
    failed: int
    seconds: float
    """From the end of the warm-up to the last answer."""
    events: int
    bytes: int
    late: int
    """How often no connection was idle when a request was due."""
    latency_us: Samples
    first_byte_us: Samples
    travel_us: Samples
    """From the mock's writing an event to its arrival."""
    gap_us: Samples
    """Between two events, beyond what the mock left between them."""


class Run(msgspec.Struct, frozen=True):
    """One run."""

    scenario: str
    target: str
    answer: Answer
    worker_cpu_seconds: float
    resident_mb: tuple[float, float]
    """Of the worker: before, and the most so far."""
    other_cores: float
    """Cores that strangers used meanwhile."""
    failures: str
    """What the load generator said of the first ones."""

    @property
    def is_quiet(self) -> bool:
        """Whether latencies mean much."""
        return self.other_cores <= QUIET_CORES

    @property
    def cpu_us(self) -> float:
        """Give the worker's processor time per event of a stream, or per request."""
        units = self.answer.events or self.answer.requests
        return self.worker_cpu_seconds * 1e6 / max(1, units)


class Generator:
    """Runs the load generator."""

    def __init__(self, binary: Path, mock: Mock, patience_seconds: float) -> None:
        """Before each run, wait so long at most for the machine to be quiet."""
        self._binary = binary
        self._mock = mock
        self._patience_seconds = patience_seconds

    def run(
        self, scenario: str, target: Mock | Product | Worker, arguments: str
    ) -> Run:
        """Make one run; raise `CalledProcessError` when it cannot be made."""
        wait_for_quiet(self._patience_seconds)
        worker = None if isinstance(target, Mock) else target.worker
        ours = _pids(self._mock, target)
        resident = resident_mb(worker) if worker else 0.0
        worker_before = cpu_seconds(worker) if worker else 0.0
        before, busy_before = _used(ours), busy_seconds()
        began = time.monotonic()
        address = ["-p", str(target.port), "-P", target.path]
        with starting_on(LOAD_CORE):
            said = subprocess.run(
                [self._binary, *address, *arguments.split()],
                capture_output=True,
                text=True,
                check=True,
            )
        wall = time.monotonic() - began
        others = busy_seconds() - busy_before - (_used(ours) - before)
        return Run(
            scenario,
            type(target).__name__.lower(),
            msgspec.json.decode(said.stdout, type=Answer),
            cpu_seconds(worker) - worker_before if worker else 0.0,
            (resident, peak_mb(worker) if worker else 0.0),
            max(0.0, others / wall),
            said.stderr.strip(),
        )


def _pids(mock: Mock, target: Mock | Product | Worker) -> list[int]:
    if isinstance(target, Product):
        return [mock.process.pid, *target.processes.values()]
    return sorted({mock.process.pid, target.process.pid})


def _used(pids: list[int]) -> float:
    """Give the processor time of what belongs to the benchmark, load generators that have ended included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(map(cpu_seconds, pids)) + ended.ru_utime + ended.ru_stime
