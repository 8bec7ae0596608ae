"""Which run a call belongs to and which step of it this is, as far as the request itself says.

What lives here: naming a run by what was given, and counting its steps. What does not: recognising runs that nobody named.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from proxy.model import Kind, RunSource


def run_of(explicit_run: str, kind: Kind) -> tuple[str, RunSource]:
    """Give run id and source; an LLM call without a run is `unmatched`, other calls belong to `none`."""
    if explicit_run:
        return explicit_run, RunSource.EXPLICIT
    return "", RunSource.UNMATCHED if kind is Kind.LLM else RunSource.NONE


@dataclass(frozen=True, slots=True)
class RunLimits:
    """How many runs are remembered, and for how long after their last step."""

    max_runs: int = 100_000
    expire_seconds: float = 24 * 3600.0

    def __post_init__(self) -> None:
        """Refuse limits under which nothing can be counted."""
        if self.max_runs < 1 or self.expire_seconds <= 0:
            raise ValueError("a run counter remembers at least one run for some time")


@dataclass(slots=True)
class _Live:
    step_seq: int
    seen_us: int


class RunCounter:
    """Counts the steps of each run of each tenant, from 1. `now_us` is wall clock, microseconds since the epoch."""

    def __init__(self, limits: RunLimits) -> None:
        self._limits = limits
        self._expire_us = round(limits.expire_seconds * 1_000_000)
        self._runs: OrderedDict[tuple[str, str], _Live] = OrderedDict()
        self.evicted = 0
        """Live runs that were forgotten because of the cap; their count begins anew."""

    def next_step(self, tenant: str, run_id: str, now_us: int) -> int:
        """Count one more step of a run and give its number."""
        self.observe(tenant, run_id, self.last_step(tenant, run_id, now_us) + 1, now_us)
        return self._runs[tenant, run_id].step_seq

    def last_step(self, tenant: str, run_id: str, now_us: int) -> int:
        """Give the number of a run's last step; 0 for a run that is not known (any more)."""
        self._expire(now_us)
        live = self._runs.get((tenant, run_id))
        return 0 if live is None else live.step_seq

    def observe(self, tenant: str, run_id: str, step_seq: int, seen_us: int) -> None:
        """Take note of a step that has its number already (from a predecessor's records)."""
        live = self._runs.setdefault((tenant, run_id), _Live(0, seen_us))
        live.step_seq = max(live.step_seq, step_seq)
        live.seen_us = max(live.seen_us, seen_us)
        self._runs.move_to_end((tenant, run_id))
        if len(self._runs) > self._limits.max_runs:
            self._runs.popitem(last=False)
            self.evicted += 1

    def snapshot(self) -> Iterator[tuple[str, str, int, int]]:
        """Give (tenant, run, last step, time of it) of each live run, the longest idle first."""
        for (tenant, run_id), live in self._runs.items():
            yield tenant, run_id, live.step_seq, live.seen_us

    def restore(self, runs: Iterable[tuple[str, str, int, int]]) -> None:
        """Take over a predecessor's snapshot."""
        for tenant, run_id, step_seq, seen_us in runs:
            self.observe(tenant, run_id, step_seq, seen_us)

    def __len__(self) -> int:
        """Give the number of live runs."""
        return len(self._runs)

    def _expire(self, now_us: int) -> None:
        while self._runs:
            oldest = next(iter(self._runs))
            if self._runs[oldest].seen_us + self._expire_us > now_us:
                return
            del self._runs[oldest]
