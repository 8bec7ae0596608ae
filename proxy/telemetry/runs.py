"""What a proxy worker counts of runs: those that have ended, and the largest of those that live.

What lives here: numbers into series. What does not: when a run ends and what it came to (`proxy/runs.py`).
"""

from collections.abc import Iterable

from proxy.telemetry import specs
from proxy.telemetry.exchange import ExchangeMeters
from proxy.telemetry.registry import Labels, Registry


class RunMeters:
    """Counts runs, under the names that their calls are counted under."""

    def __init__(self, registry: Registry, names: ExchangeMeters) -> None:
        self._names = names
        self._runs = registry.counter(specs.RUNS)
        self._steps = registry.histogram(specs.RUN_STEPS)
        self._cost = registry.histogram(specs.RUN_COST)
        self._duration = registry.histogram(specs.RUN_DURATION)
        self._live_cost = registry.gauge(specs.LIVE_COST)
        self._live_steps = registry.gauge(specs.LIVE_STEPS)
        self._shown: set[Labels] = set()

    def ended(
        self,
        tenant: str,
        agent: str,
        outcome: str,
        steps: int,
        cost_pico_usd: int,
        duration_us: int,
    ) -> None:
        """Count a run that has ended."""
        who = self._names.who(tenant, agent)
        self._runs.add((*who, outcome))
        self._steps.observe(who, steps)
        self._cost.observe(who, cost_pico_usd)
        self._duration.observe(who, max(0, duration_us))

    def skewed(self) -> None:
        """Count a duration that clocks which do not agree made negative; it is zero."""
        self._names.drop("clock_skew")

    def late(self, calls: int) -> None:
        """Count calls that are in no `run_end`: their run had ended, and said so."""
        self._names.drop("after_run_end", calls)

    def show_live(self, runs: Iterable[tuple[str, str, int, int]]) -> None:
        """Say tenant, agent, steps and cost of each run that lives; who has none any more shows zero."""
        most: dict[Labels, tuple[int, int]] = dict.fromkeys(self._shown, (0, 0))
        for tenant, agent, steps, cost in runs:
            who = self._names.who(tenant, agent)
            before = most.get(who, (0, 0))
            most[who] = (max(before[0], steps), max(before[1], cost))
        for who, (steps, cost) in most.items():
            self._live_steps.set(who, steps)
            self._live_cost.set(who, cost)
        self._shown = set(most)
