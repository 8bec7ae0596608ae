"""What a proxy worker counts of its exchanges, under the names and labels that dashboards and alerts use.

What lives here: `ExchangeMeters`, which turns the three records of an exchange into counts. What does not: how counts are
kept (`registry.py`), the families' specifications (`specs.py`), metrics of policies and runs.
"""

from collections.abc import Iterable, Mapping, Set

from proxy.judge.budgets import Account
from proxy.judge.headroom import Gauge
from proxy.model import CostSource, Kind, Outcome, Usage, UsageSource
from proxy.providers import SELF_HOSTED
from proxy.record.codec import Close, End, Event, Open
from proxy.telemetry import specs
from proxy.telemetry.registry import OTHER, Labels, Registry

TOKEN_TYPES = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_long",
    "output",
    "reasoning",
    "audio_in",
    "audio_out",
    "image_in",
)
"""Values of the label `type`, in the order of `Usage.buckets`."""
_OUTPUT_TYPES = frozenset({"output", "reasoning", "audio_out"})
RATIO = 1_000_000
"""Ratios are kept as millionths."""
_NO_CLOSE = Close("", 0, Outcome.PROXY_CRASHED)
_METERED_KINDS = frozenset({Kind.LLM, Kind.EMBEDDING})
_SWITCHED = 101
_WAITING = ("mcp", "sse_stream")


class ExchangeMeters:
    """Counts exchanges. Labels that users or agents could make many of are bounded: models by a list, names by number."""

    def __init__(
        self, registry: Registry, models: Set[str], max_names: int = 100
    ) -> None:
        self._registry = registry
        self._models = models
        self._names: set[Labels] = set()
        self._max_names = max_names
        self._drops: dict[str, int] = {}
        self._attempts = registry.counter(specs.ATTEMPTS)
        self._steps = registry.counter(specs.STEPS)
        self._retries = registry.counter(specs.RETRIES)
        self._cost = registry.counter(specs.COST)
        self._tokens = registry.counter(specs.TOKENS)
        self._step_duration = registry.histogram(specs.STEP_DURATION)
        self._attempt_duration = registry.histogram(specs.ATTEMPT_DURATION)
        self._ttft = registry.histogram(specs.TTFT)
        self._inflight = registry.gauge(specs.INFLIGHT)
        self._overhead = registry.histogram(specs.OVERHEAD)
        self._loop_lag = registry.histogram(specs.LOOP_LAG)
        self._unpriced = registry.counter(specs.UNPRICED)
        self._estimated = registry.counter(specs.USAGE_ESTIMATED)
        self._unmetered = registry.counter(specs.UNMETERED)
        self._spool_bytes = registry.gauge(specs.SPOOL_BYTES)
        self._dropped = registry.counter(specs.DROPPED)
        self._ratelimit = registry.gauge(specs.RATELIMIT)
        self._budgets = registry.gauge(specs.BUDGET_USED)
        self._verdicts = registry.counter(specs.VERDICTS)
        self._breaker_state = registry.gauge(specs.BREAKER_STATE)
        self._events = registry.counter(specs.EVENTS)
        self._reload = registry.gauge(specs.CONFIG_RELOAD)
        self._client_tokens = registry.histogram(specs.GEN_AI_TOKENS)
        self._client_duration = registry.histogram(specs.GEN_AI_DURATION)
        self._reload.set((), 1)

    def apply(self, opened: Open, closed: Close | None, ended: End) -> None:
        """Count one exchange, once, when its end is known; `closed` is `None` where the proxy died before it."""
        close = _NO_CLOSE if closed is None else closed
        who = self.who(opened.tenant, opened.agent)
        model = self.model(close.model_served or opened.model_requested)
        where = (opened.route, model)
        self._attempts.add((*who, *where, opened.kind, ended.outcome))
        if opened.is_step and opened.attempt == 0:
            self._steps.add((*who, opened.kind))
        if opened.retry_layer:
            self._retries.add((*who, opened.route, opened.retry_layer))
        self._count_times(opened, close, ended, where)
        self._count_tokens(who, model, close.usage)
        self._count_cost(who, model, close.cost.total())
        for part in close.parts:
            self._count_tokens(who, self.model(part.model), part.usage)
            self._count_cost(who, self.model(part.model), part.cost.total())
        self._count_sources(opened, close, ended, model)
        self._count_conventions(opened, close, ended, model)

    def begin(self, route: str) -> None:
        """Note that a call is under way."""
        self._inflight.add((route,), 1)

    def finish(self, route: str) -> None:
        """Note that a call has ended."""
        self._inflight.add((route,), -1)

    def event(self, event: Event) -> None:
        """Count one event."""
        self._events.add((*self.who(event.tenant, event.agent), event.type))

    def verdict(self, about: Open | Event, policy: str, action: str) -> None:
        """Count what a policy said of a call, or what somebody said to it."""
        self._verdicts.add((*self.who(about.tenant, about.agent), policy, action))

    def note_breaker(self, route: str, model: str, state: int) -> None:
        """Say in which phase a breaker is."""
        self._breaker_state.set((route, self.model(model)), state)

    def show_headroom(self, gauges: Iterable[Gauge]) -> None:
        """Say what is left of the providers' limits, of all that anything is known of."""
        self._ratelimit.show(
            ((each.route, each.model, each.limit), round(each.ratio * RATIO))
            for each in gauges
        )

    def show_budgets(self, spent: Iterable[tuple[Account, float]]) -> None:
        """Say what share of each account of a budget is spent, of all whose period runs."""
        self._budgets.show(
            ((*self.who(each.tenant, each.agent), each.budget), round(share * RATIO))
            for each, share in spent
        )

    def note_loop_lag(self, lag_us: int) -> None:
        """Observe by how much the event loop was late."""
        self._loop_lag.observe((), lag_us)

    def note_spool(self, size_bytes: int, dropped: Mapping[str, int]) -> None:
        """Say what the spool holds, and what it has dropped by reason since its writer was made."""
        self._spool_bytes.set((), size_bytes)
        for reason, total in dropped.items():
            self._dropped.add((reason,), max(0, total - self._drops.get(reason, 0)))
            self._drops[reason] = total

    def drop(self, reason: str, amount: int = 1) -> None:
        """Count something that was lost or left out; `reason` is one of a fixed set."""
        self._dropped.add((reason,), amount)

    def note_reload(self, *, succeeded: bool) -> None:
        """Say whether the last reload of the settings was taken."""
        self._reload.set((), int(succeeded))

    def know(self, models: Set[str]) -> None:
        """Take new names that models may have as a label; those known before keep theirs."""
        self._models = self._models | models

    def who(self, tenant: str, agent: str) -> Labels:
        """Give the labels of a tenant's agent; names beyond the bound share one series."""
        who = (tenant, agent)
        if who in self._names:
            return who
        if len(self._names) >= self._max_names:
            return (OTHER, OTHER)
        self._names.add(who)
        return who

    def model(self, model: str) -> str:
        """Give the label of a model; those that nobody listed share one."""
        return model if not model or model in self._models else OTHER

    def _count_times(
        self, opened: Open, close: Close, ended: End, where: Labels
    ) -> None:
        # A stream that waits for messages lasts as long as its session: that is nobody's latency.
        waits = (opened.dialect, opened.operation) == _WAITING
        if close is not _NO_CLOSE and not waits:
            self._attempt_duration.observe(where, close.duration_us)
            if opened.is_step:
                _, agent = self.who(opened.tenant, opened.agent)
                self._step_duration.observe((agent, opened.kind), close.duration_us)
        if close.ttft_us is not None:
            self._ttft.observe(where, close.ttft_us)
        overhead_us = (
            close.overhead_us if ended.overhead_us is None else ended.overhead_us
        )
        if overhead_us is not None:
            self._overhead.observe((), overhead_us)

    def _count_tokens(self, who: Labels, model: str, usage: Usage) -> None:
        for token_type, count in zip(TOKEN_TYPES, usage.buckets(), strict=True):
            if count:
                self._tokens.add((*who, model, token_type), count)

    def _count_cost(self, who: Labels, model: str, pico_usd: int | None) -> None:
        if pico_usd:
            self._cost.add((*who, model), pico_usd)

    def _count_sources(
        self, opened: Open, close: Close, ended: End, model: str
    ) -> None:
        """Count what is not as well known as it should be."""
        if close.usage_source is UsageSource.NONE:
            is_metered = opened.kind in _METERED_KINDS and opened.is_step
            # A WebSocket that was opened is unmetered, however it ends.
            spent = close.http_status == _SWITCHED
            if is_metered and (spent or ended.outcome is Outcome.COMPLETED):
                self._unmetered.add((opened.route, opened.operation))
            return
        if close.usage_source is UsageSource.PARTIAL:
            self._estimated.add((opened.route, "cut"))
        elif close.usage_source is UsageSource.ESTIMATED:
            is_whole = ended.outcome is Outcome.COMPLETED
            self._estimated.add(
                (opened.route, "no_usage" if is_whole else ended.outcome)
            )
        # That nobody bills a self-hosted model is no gap in our knowledge.
        unpriced = close.cost.source in (CostSource.ASSUMED, CostSource.UNPRICED)
        if unpriced and opened.provider not in SELF_HOSTED:
            self._unpriced.add((model,))

    def _count_conventions(
        self, opened: Open, close: Close, ended: End, model: str
    ) -> None:
        """Fill what the GenAI conventions of OpenTelemetry name."""
        operation = specs.GEN_AI_OPERATIONS.get(opened.operation)
        if operation is None or close is _NO_CLOSE:
            return
        provider = specs.GEN_AI_PROVIDERS.get(opened.provider, opened.provider)
        labels = (operation, provider, model)
        error = (
            ""
            if ended.outcome is Outcome.COMPLETED
            else str(ended.error_type or ended.outcome)
        )
        self._client_duration.observe((*labels, error), close.duration_us)
        if close.usage_source is UsageSource.PROVIDER:
            known = dict(zip(TOKEN_TYPES, close.usage.buckets(), strict=True))
            for direction, is_output in (("input", False), ("output", True)):
                counts = [
                    n
                    for t, n in known.items()
                    if n is not None and (t in _OUTPUT_TYPES) is is_output
                ]
                if counts:
                    self._client_tokens.observe((*labels, direction), sum(counts))
