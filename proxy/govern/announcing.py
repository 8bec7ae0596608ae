"""What is told of verdicts: events, each as often as somebody can read it.

What lives here: which verdicts are worth an event, and the event. What does not: counting (`proxy.telemetry`), rows, headers.

A warning is told once for a run (or whoever's account it is) and threshold. Refusals, and what would be one, are told each time, up to a bound
a run and minute: a runaway that does not stop asking fills no disk.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator

from proxy.judge.budgets import POLICY as BUDGETS
from proxy.judge.claims import Phase, Turned
from proxy.judge.gates import Gate
from proxy.judge.tool_calls import POLICY as TOOL_CALLS
from proxy.judge.unpriced import POLICY as UNPRICED
from proxy.judge.verdict import Action, Verdict
from proxy.record.codec import Event, Open

A_MINUTE = 20
_REMEMBERED = 16_384
_MINUTE_US = 60_000_000
_TYPES = {
    BUDGETS: "budget",
    Gate.BREAKER: "breaker",
    Gate.RATE: "gate",
    Gate.QUOTA: "gate",
    UNPRICED: "price",
    "repeat": "loop",
    "cycle": "loop",
    "same_error": "loop",
    "no_progress": "loop",
    "spend_rate": "loop",
    TOOL_CALLS: "tool_call",
}


def type_of(policy: str) -> str:
    """Give the type of a policy's events; limits of runs are caps."""
    return _TYPES.get(policy.partition(":")[0], "cap")


def phase_name(phase: Phase) -> str:
    """Give a phase's word: `closed`, `open`, `half_open`."""
    return phase.name.lower()


class Announcer:
    """Remembers what has been told; one for a worker, bounded."""

    def __init__(self, capacity: int = _REMEMBERED) -> None:
        self._capacity = capacity
        self._told: OrderedDict[Hashable, tuple[int, int]] = OrderedDict()

    def is_due(
        self, verdict: Verdict, opened: Open, now_us: int, allowance: int | None = None
    ) -> bool | None:
        """Tell whether a verdict is worth an event; `None` of a warning that has been given, since the run was allowed on."""
        whose = (opened.tenant, opened.run_id or opened.caller, verdict.policy, allowance)  # fmt: skip
        if verdict.action is Action.WARN:
            told = (*whose, verdict.reason, verdict.scope, verdict.threshold)
            return self._again(told, 0) == 1 or None
        return self._again(whose, now_us // _MINUTE_US) <= A_MINUTE

    def _again(self, told: Hashable, minute: int) -> int:
        before, times = self._told.get(told, (minute, 0))
        times = times + 1 if before == minute else 1
        self._told[told] = (minute, times)
        self._told.move_to_end(told)
        if len(self._told) > self._capacity:
            self._told.popitem(last=False)
        return times


def every(verdict: Verdict) -> Iterator[Verdict]:
    """Give a verdict and those beside it."""
    yield verdict
    yield from verdict.others


def event_of(verdict: Verdict, opened: Open, event_id: str) -> Event:
    """Give the event of a verdict on a call."""
    return Event(
        event_id=event_id,
        ts_us=opened.ts_us,
        type=type_of(verdict.policy),
        tenant=opened.tenant,
        agent=opened.agent,
        run_id=opened.run_id,
        step_id=opened.step_id,
        policy=verdict.policy,
        action=verdict.action,
        reason=verdict.reason,
        source=verdict.scope,
        value=verdict.value,
        threshold=verdict.threshold,
        route=opened.route,
        model=opened.model_requested,
        detail=verdict.message,
    )


def event_of_breaker(
    turned: Turned, route: str, model: str, upstream: str, event_id: str, ts_us: int
) -> Event:
    """Give the event of a breaker that turned."""
    return Event(
        event_id=event_id,
        ts_us=ts_us,
        type="breaker",
        policy=Gate.BREAKER,
        action=phase_name(turned.after),
        reason=f"was_{phase_name(turned.before)}",
        route=route,
        model=model,
        detail=upstream,
    )
