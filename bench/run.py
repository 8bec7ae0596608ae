"""`make bench`: measures the product against a mock provider on this machine and says whether it keeps its promises.

Usage: python -m bench.run --binaries DIR [--rounds N] [--output FILE]. Exit status 1 when a target is missed.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from bench import governing, identifying, judging, metering, saturation, scenarios
from bench.load import Generator
from bench.machine import QUIET_CORES, peak_mb, resident_mb
from bench.product import Mock, Product, StartFailedError, Worker
from bench.report import Figures, Report, quietest, table, verdicts
from bench.scenarios import line_of, say, tell

ROWS_SECONDS = 120.0
T = TypeVar("T")


def main() -> int:
    """Run everything, print it, write it down."""
    parser = argparse.ArgumentParser(prog="python -m bench.run")
    parser.add_argument(
        "--binaries",
        type=Path,
        required=True,
        metavar="DIR",
        help="where mock and load are",
    )
    parser.add_argument(
        "--rounds", type=int, default=10, help="paired rounds at low load"
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="how long to wait for a quiet machine",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="where the JSON goes"
    )
    options = parser.parse_args()
    say(
        f"Cores used by other work stand under `other`; above {QUIET_CORES} trust processor time only."
    )
    try:
        with Mock(options.binaries / "mock") as mock:
            generator = Generator(options.binaries / "load", mock, options.patience)
            figures = measure(options.binaries, generator, mock, options.rounds)
    except StartFailedError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    judged = verdicts(figures)
    say("\n" + table(figures, judged))
    output = options.output or options.binaries / "results.json"
    output.write_bytes(
        msgspec.json.format(msgspec.json.encode(Report(figures, judged)))
    )
    say(f"\nAll figures: {output}")
    return 0 if all(verdict.passed for verdict in judged) else 1


def measure(binaries: Path, generator: Generator, mock: Mock, rounds: int) -> Figures:  # fmt: skip
    """Make all runs."""
    help_seconds = scenarios.help_seconds()
    heavy = scenarios.heavy_modules(generator, mock)
    costs = _told(metering.measure(), metering.line_of)
    identified = _told(identifying.measure(), identifying.line_of)
    decided = _told(judging.measure(), judging.line_of)
    _told(governing.measure(), governing.line_of)
    governed = _told(saturation.measure(binaries, mock), saturation.line_of)
    with tempfile.TemporaryDirectory() as alone, Worker(Path(alone), mock) as worker:
        saturated = tell(scenarios.saturation(generator, mock, worker, rounds=3))
    with tempfile.TemporaryDirectory() as place, Product(Path(place), mock) as product:
        resident = {name: resident_mb(pid) for name, pid in product.processes.items()}
        warm_up = generator.run("warm_up", product, scenarios.WARM_UP)
        pairs = []
        for pair in scenarios.low_load(generator, mock, product, rounds):
            pairs.append(pair)
            say("\n".join(map(line_of, pair)))
        streams = tell(scenarios.streams(generator, mock, product))
        served = [
            warm_up,
            *(run for _, run in pairs),
            *(run for run in streams if run.target != "mock"),
        ]
        calls = sum(run.answer.good for run in served)
        rows, rows_seconds = scenarios.wait_for_rows(product, calls, ROWS_SECONDS)
        return Figures(
            low=quietest(pairs, rounds),
            streams=streams,
            saturation=saturated,
            start_seconds=product.start_seconds,
            help_seconds=help_seconds,
            resident_mb=resident,
            peak_mb={name: peak_mb(pid) for name, pid in product.processes.items()},
            heavy_modules=heavy,
            metering=costs,
            identifying=identified,
            judging=decided,
            governed=governed,
            calls=calls,
            rows=rows,
            rows_seconds=rows_seconds,
        )


def _told(costs: list[T], line_of: Callable[[T], str]) -> list[T]:
    """Say what something costs, and give it."""
    say("\n".join(map(line_of, costs)))
    return costs


if __name__ == "__main__":
    sys.exit(main())
