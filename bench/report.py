"""What the runs amount to: figures, and whether they are as good as was promised.

What lives here: arithmetic on runs and the verdicts. What does not: making runs.
"""

import statistics
from collections.abc import Callable, Sequence
from operator import attrgetter

import msgspec

from bench import identifying, judging
from bench.load import Run, Samples
from bench.metering import Cost
from bench.saturation import HELD
from bench.saturation import Cost as Grown

MAX_ADDED_P50_MS = 1.5
MAX_RESIDENT_MB = 120.0
MAX_HELP_SECONDS = 0.3
STREAMS_AT_ONCE = 1000
MAX_IDENTIFIED_US = {"20 KB": 150, "500 KB": 1000}
MAX_SLICE_US = 25_000
MAX_METERED_CALL_US = 20.0
MAX_METERED_EVENT_US = 0.3
MAX_DECISION_US = 10.0
MAX_GROWN_PERCENT = 20.0


class Figures(msgspec.Struct, frozen=True):
    """Everything that was measured."""

    low: list[tuple[Run, Run]]
    """Pairs: direct, through the proxy."""
    streams: list[Run]
    saturation: list[Run]
    start_seconds: float
    help_seconds: float
    resident_mb: dict[str, float]
    """Of each process of `tacho up` when it had just started."""
    peak_mb: dict[str, float]
    """After all runs."""
    heavy_modules: list[str]
    metering: list[Cost]
    identifying: list[identifying.Cost]
    judging: list[judging.Cost]
    governed: list[Grown]
    calls: int
    """That `tacho up` served."""
    rows: int
    """Those with a row that states the provider's usage."""
    rows_seconds: float
    """How long after the last answer the last row was there."""


class Verdict(msgspec.Struct, frozen=True):
    """One target: what was found and whether that is good enough."""

    target: str
    found: str
    passed: bool


class Report(msgspec.Struct, frozen=True):
    """What is written for machines."""

    figures: Figures
    verdicts: list[Verdict]


def quietest(pairs: Sequence[tuple[Run, Run]], count: int) -> list[tuple[Run, Run]]:
    """Choose the pairs with the least other work on the machine; never by their result."""
    by_noise = sorted(
        pairs, key=lambda pair: max(pair[0].other_cores, pair[1].other_cores)
    )
    return by_noise[:count]


def added_ms(
    pairs: Sequence[tuple[Run, Run]], percentile: Callable[[Samples], float]
) -> float:
    """Give the median over pairs of what the proxy adds to a percentile."""
    added_us = (
        percentile(proxied.answer.latency_us) - percentile(direct.answer.latency_us)
        for direct, proxied in pairs
    )
    return statistics.median(added_us) / 1e3


def verdicts(figures: Figures) -> list[Verdict]:
    """Hold the figures against the targets."""
    pairs = figures.low
    added, noise = (
        added_ms(pairs, attrgetter("p50")),
        max(run.other_cores for pair in pairs for run in pair),
    )
    many = [run for run in figures.streams if run.scenario.startswith("streams_1000")]
    proxied = [run for run in many if run.target != "mock"]
    failed = sum(run.answer.failed for run in proxied)
    resident = figures.resident_mb["worker"]
    heavy = ", ".join(figures.heavy_modules)
    return [
        Verdict(
            f"p50 added at low load < {MAX_ADDED_P50_MS} ms",
            f"{added:.2f} ms, median of {len(pairs)} paired rounds; p99 {added_ms(pairs, attrgetter('p99')):+.2f} ms; other <= {noise:.2f}",
            added < MAX_ADDED_P50_MS,
        ),
        Verdict(
            f"{STREAMS_AT_ONCE} simultaneous streams without a failure",
            f"{failed} of {sum(run.answer.requests for run in proxied)} failed",
            failed == 0,
        ),
        Verdict(
            f"worker resident at start < {MAX_RESIDENT_MB:.0f} MB",
            f"{resident:.0f} MB; peak {figures.peak_mb['worker']:.0f} MB",
            resident < MAX_RESIDENT_MB,
        ),
        Verdict("no heavy module in the worker", heavy or "none", not heavy),
        Verdict(
            f"tacho --help < {MAX_HELP_SECONDS} s",
            f"{figures.help_seconds:.3f} s",
            figures.help_seconds < MAX_HELP_SECONDS,
        ),
        *_metering(figures.metering),
        *_identifying(figures.identifying),
        *_governed(figures),
        Verdict(
            "every call metered",
            f"{figures.rows} rows with the provider's usage for {figures.calls} calls, {figures.rows_seconds:.1f} s after the last",
            figures.rows == figures.calls,
        ),
    ]


def _metering(costs: Sequence[Cost]) -> list[Verdict]:
    """Hold what metering costs against the targets, the dearest family of each sort."""
    found = []
    for sort, limit, what in (
        ("json", MAX_METERED_CALL_US, "a JSON answer of 1.5 KB"),
        ("event 1", MAX_METERED_EVENT_US, "a streamed event, one in a chunk"),
        ("event 4", MAX_METERED_EVENT_US, "a streamed event, four in a chunk"),
    ):
        those = [cost for cost in costs if cost.sort == sort]
        each = ", ".join(f"{cost.family} {cost.median_us:.2f}" for cost in those)
        passed = all(cost.median_us < limit for cost in those)
        found.append(Verdict(f"metering {what} < {limit} us", f"{each} us", passed))
    return found


def _identifying(costs: Sequence[identifying.Cost]) -> list[Verdict]:
    """Hold what identification costs against the targets, the dearest shape of each size, where a conversation goes on."""
    found = []
    for size, limit in MAX_IDENTIFIED_US.items():
        by_sort = {
            sort: sorted(each.median_us for each in costs if (each.shape.size, each.sort) == (size, sort))
            for sort in identifying.SORTS
        }  # fmt: skip
        told = "; ".join(f"{sort} {each[0]:.0f} to {each[-1]:.0f}" for sort, each in by_sort.items())  # fmt: skip
        found.append(Verdict(f"identifying {size} < {limit} us", f"{told} us", by_sort["warm"][-1] < limit))  # fmt: skip
    longest = max(cost.slice_us for cost in costs if cost.shape.size == "8 MB")
    target = f"identifying 8 MB holds the event loop up < {MAX_SLICE_US} us"
    return [*found, Verdict(target, f"{longest:.0f} us", longest < MAX_SLICE_US)]


def _governed(figures: Figures) -> list[Verdict]:
    """Hold what policies cost against the targets: the decision, and a request with all of them in force."""
    decision = next(each for each in figures.judging if each.what == judging.DECISION)
    grown = {each.what: each for each in figures.governed if each.policies == HELD}  # fmt: skip
    told = ", ".join(
        f"{what} {each.grown_percent:+.1f} % ({each.lower_percent:+.1f} to {each.upper_percent:+.1f})"
        for what, each in grown.items()
    )
    return [
        Verdict(f"deciding on a call < {MAX_DECISION_US} us", f"{decision.median_us:.2f} us", decision.median_us < MAX_DECISION_US),
        Verdict(f"all policies add < {MAX_GROWN_PERCENT} % to a request", told, all(each.grown_percent < MAX_GROWN_PERCENT for each in grown.values())),
    ]  # fmt: skip


def table(figures: Figures, judged: Sequence[Verdict]) -> str:
    """Give what a person reads."""
    saturated = [run for run in figures.saturation if run.target == "worker"]
    best = min(saturated, key=lambda run: run.cpu_us)
    lines = [
        f"saturation, worker alone: {best.cpu_us:.0f} us of processor time a request (best of {len(saturated)}), "
        f"{best.answer.good / best.answer.seconds:.0f} requests/s in that run (other {best.other_cores:.2f})",
        f"start-up of tacho up: {figures.start_seconds:.2f} s",
        "resident at start -> peak, MB: "
        + "; ".join(
            f"{name} {size:.0f} -> {figures.peak_mb[name]:.0f}"
            for name, size in sorted(figures.resident_mb.items())
        ),
        "",
    ]
    lines += [
        f"{'pass' if verdict.passed else 'FAIL'}  {verdict.target}: {verdict.found}"
        for verdict in judged
    ]
    return "\n".join(lines)
