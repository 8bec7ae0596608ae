"""The runs that are made, in which order, and the figures that need no load.

Runs come in pairs, direct and through the proxy, so that what disturbs the machine disturbs both; the order within a pair
changes from round to round.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.load import Generator, Run
from bench.product import Mock, Product, Worker, tacho

HEAVY = (
    "chdb",
    "clickhouse_connect",
    "exporters",
    "genai_prices",
    "numpy",
    "opentelemetry",
    "pandas",
    "prometheus_client",
    "pyarrow",
    "rich",
    "tiktoken",
    "tokenizers",
    "transformers",
)
"""Packages that have no place in the process that the agent waits for."""

LOW = "-c 8 -n 150 -r 50 -W 10"
STREAMS = "-s -u -c 1000 -n 2000 -N 50 -d 20000 -R 1000 -T 120"
STREAMS_INJECTED = "-s -c 1000 -n 2000 -N 50 -d 20000 -R 1000 -T 120"
FEW_STREAMS = "-s -u -c 50 -n 150 -N 50 -d 20000 -R 500"
SATURATION = "-c 32 -n 1000000 -D 4 -W 100"
WARM_UP = "-c 8 -n 50"
WARM_UP_STREAMS = "-s -c 8 -n 16 -d 1000"


def low_load(
    generator: Generator, mock: Mock, product: Product, rounds: int
) -> Iterator[tuple[Run, Run]]:
    """Give so many pairs (direct, proxy) that were quiet, or twice as many pairs whatever they were."""
    quiet = made = 0
    while quiet < rounds and made < 2 * rounds:
        targets: list[Mock | Product] = [mock, product]
        if made % 2:
            targets.reverse()
        runs = [generator.run("low", target, LOW) for target in targets]
        direct, proxied = reversed(runs) if made % 2 else runs
        made += 1
        quiet += direct.is_quiet and proxied.is_quiet
        yield direct, proxied


def streams(generator: Generator, mock: Mock, product: Product) -> Iterator[Run]:
    """Stream, few and very many at once, with usage asked for and with usage injected."""
    for name, arguments in (
        ("streams_50", FEW_STREAMS),
        ("streams_1000", STREAMS),
        ("streams_1000_injected", STREAMS_INJECTED),
    ):
        yield generator.run(name, mock, arguments)
        yield generator.run(name, product, arguments)


def saturation(
    generator: Generator, mock: Mock, worker: Worker, rounds: int
) -> Iterator[Run]:
    """Ask as fast as answers come; of a worker alone, so that its processor time is not shared."""
    generator.run("warm_up", worker, WARM_UP)
    for _ in range(rounds):
        yield generator.run("saturation", mock, SATURATION)
        yield generator.run("saturation", worker, SATURATION)


def heavy_modules(generator: Generator, mock: Mock) -> list[str]:
    """Name the heavy packages that a worker imports, at its start or while it serves; none is right."""
    with tempfile.TemporaryDirectory() as place:
        with Worker(Path(place), mock, "-X", "importtime") as worker:
            generator.run("imports", worker, WARM_UP)
            generator.run("imports", worker, WARM_UP_STREAMS)
        lines = worker.errors.read_text().splitlines()
    imported = {
        line.rsplit("|", 1)[-1].strip().split(".")[0]
        for line in lines
        if line.startswith("import time:")
    }
    if "proxy" not in imported:
        raise ValueError("the interpreter did not say what the worker imports")
    return sorted(imported & set(HEAVY))


def help_seconds(repeats: int = 7) -> float:
    """Give the median time of `tacho --help`."""
    return statistics.median(_timed([str(tacho()), "--help"]) for _ in range(repeats))


def _timed(command: list[str]) -> float:
    began = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def wait_for_rows(product: Product, calls: int, seconds: float) -> tuple[int, float]:
    """Wait until every call has its metered row; give how many have, and how long it took."""
    began = time.monotonic()
    while True:
        rows = product.count_metered()
        waited = time.monotonic() - began
        if rows >= calls or waited > seconds:
            return rows, waited
        time.sleep(0.5)


def tell(runs: Iterable[Run]) -> list[Run]:
    """Say what each run gave while they are made."""
    made = []
    for run in runs:
        made.append(run)
        say(line_of(run))
    return made


def line_of(run: Run) -> str:
    """Give a run as one line."""
    answer = run.answer
    times = f"p50 {answer.latency_us.p50 / 1e3:8.2f}  p99 {answer.latency_us.p99 / 1e3:8.2f} ms"
    if answer.events:
        first, travel = answer.first_byte_us, answer.travel_us
        times = (
            f"first byte p50 {first.p50 / 1e3:7.2f}  p99 {first.p99 / 1e3:8.2f}  "
            f"event p50 {travel.p50 / 1e3:6.2f}  p99 {travel.p99 / 1e3:7.2f} ms"
        )
    cost = f"{run.cpu_us:6.1f} us cpu" if run.worker_cpu_seconds else ""
    rate = answer.good / answer.seconds if answer.seconds else 0.0
    return (
        f"  {run.scenario:<22} {run.target:<8} {rate:7.0f}/s  {times}  failed {answer.failed}  "
        f"other {run.other_cores:.2f}  {cost}"
    )


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
