"""What the policies cost a worker that has all it can do: its processor time per request, with policies and without, in pairs.

What lives here: workers side by side, and the arithmetic. What does not: settings and requests (`policies.py`), the same without sockets
(`governing.py`), one run (`load.py`).

Method. A worker for each of the settings runs from the beginning to the end; they get the same slices of requests, one worker after the other,
each time in another order. All requests differ; those of an agent's loop come in their order and repeat what was said before. The
figure is the median over the slices of one worker's processor time by another's in the same slice, so that what else the machine does
disturbs both alike; the spread is from the first to the third quartile.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import msgspec

from bench import policies
from bench.load import Generator
from bench.policies import SETTINGS, Call
from bench.product import Mock, Worker

ROUNDS = 12
A_SLICE = 64 * policies.STEPS
CONNECTIONS = 32
TOGETHER = 64
"""So many loops take turns, twice as many as there are connections: no step overtakes the one before it."""
COMPARED = ("off", "defaults", "all", "every")
HELD = "all"
"""What is held against the target (`report.py`)."""
WARM_UP = 1


class Cost(msgspec.Struct, frozen=True):
    """What a request costs a worker, in microseconds of processor time."""

    what: str
    """`chat 1.5 KB` or `step 20 KB`."""
    policies: str
    """One of `COMPARED`."""
    median_us: float
    grown_percent: float
    """Compared with all policies off: the median of the pairs."""
    lower_percent: float
    upper_percent: float


def measure(binaries: Path, mock: Mock, rounds: int = ROUNDS) -> list[Cost]:
    """Measure both sorts of calls under all settings."""
    number = (WARM_UP + rounds) * A_SLICE
    return [
        *_costs("chat 1.5 KB", binaries, mock, policies.chats(0, number)),
        *_costs("step 20 KB", binaries, mock, policies.steps(0, number // policies.STEPS, TOGETHER)),
    ]  # fmt: skip


def line_of(cost: Cost) -> str:
    """Give a cost as one line."""
    spread = f"{cost.lower_percent:+.1f} to {cost.upper_percent:+.1f}"
    return f"  saturation {cost.what:<12} {cost.policies:<9} {cost.median_us:8.1f} us cpu a request  ({cost.grown_percent:+.1f} %; {spread})"


def _costs(what: str, binaries: Path, mock: Mock, calls: Iterator[Call]) -> Iterator[Cost]:  # fmt: skip
    took: dict[str, list[float]] = {name: [] for name in COMPARED}
    generator = Generator(binaries / "load", mock, 0.0)
    with ExitStack() as ends:
        workers = {name: ends.enter_context(_worker(ends, mock, name)) for name in COMPARED}  # fmt: skip
        place = Path(ends.enter_context(tempfile.TemporaryDirectory()))
        names = list(COMPARED)
        while part := list(islice(calls, A_SLICE)):
            bodies = place / "bodies"
            bodies.write_bytes(b"".join(each.body + b"\n" for each in part))
            for name in names:
                run = generator.run(what, workers[name], f"-c {CONNECTIONS} -f {bodies}")  # fmt: skip
                if run.answer.failed:
                    raise ValueError(f"{run.answer.failed} requests failed: {run.failures}")  # fmt: skip
                took[name].append(run.cpu_us)
            names = [*names[1:], names[0]] if len(took["off"]) % 2 else names[::-1]
    for name, each in took.items():
        pairs = zip(each[WARM_UP:], took["off"][WARM_UP:], strict=True)
        low, middle, high = statistics.quantiles([100 * (a / b - 1) for a, b in pairs], n=4)  # fmt: skip
        yield Cost(what, name, round(statistics.median(each[WARM_UP:]), 1), round(middle, 1), round(low, 1), round(high, 1))  # fmt: skip


def _worker(ends: ExitStack, mock: Mock, name: str) -> Worker:
    place = ends.enter_context(tempfile.TemporaryDirectory())
    return Worker(Path(place), mock, policies=SETTINGS[name])


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.saturation")
    parser.add_argument("--binaries", type=Path, default=Path("build/bench"), metavar="DIR", help="where mock and load are")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    with Mock(options.binaries / "mock") as mock:
        for cost in measure(options.binaries, mock, options.rounds):
            sys.stdout.write(line_of(cost) + "\n")


if __name__ == "__main__":
    main()
