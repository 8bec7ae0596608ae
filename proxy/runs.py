"""What the runs that live have come to, and the event that each leaves when it ends.

What lives here: adding up a run's calls, saying once that it has ended and how. What does not: which call belongs to which run
(`recognition.py`), when a run is forgotten (`proxy.state`), an outcome that somebody reports.

An outcome that nobody reported is inferred from the run's last call as `dashboards/queries/runs.sql` does it, and never `success`: a
run whose last call failed is a `failure`, one that a policy stopped `capped`, one whose agent left `abandoned`, any other `ended`.
"""

from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from proxy.identify.facts import Run
from proxy.model import PICO_PER_USD, Outcome, RunOutcome
from proxy.record.codec import Close, End, Event, Open
from proxy.telemetry import RunMeters

RUN_END = "run_end"
BLOCK = "block"
OUTCOME = "outcome"
"""Type of the event by which somebody reports how a run went."""
Place = tuple[str, str]
"""Tenant and run."""


class Totals(msgspec.Struct, frozen=True, array_like=True):
    """What a run's calls add up to."""

    attempts: int = 0
    retries: int = 0
    cost: int = 0
    """Pico-dollars."""
    tokens: int = 0
    inferred: RunOutcome = RunOutcome.ENDED
    """If the run ended now."""
    reported: str = ""
    """What somebody said of it; the newest counts."""

    def __add__(self, call: "Totals") -> "Totals":
        """Add a later call."""
        return Totals(
            self.attempts + call.attempts,
            self.retries + call.retries,
            self.cost + call.cost,
            self.tokens + call.tokens,
            call.inferred,
            call.reported or self.reported,
        )


_NOTHING = Totals()


class RunEnd(msgspec.Struct, frozen=True):
    """The JSON in `detail` of the event `run_end`."""

    outcome: str
    outcome_source: str
    steps: int
    attempts: int
    retries: int
    cost_pico_usd: int
    tokens: int
    started_us: int
    duration_us: int
    root_run_id: str
    parent_run_id: str
    session_id: str


_json = msgspec.json.Encoder()
_run_end = msgspec.json.Decoder(RunEnd)


class RunBook:
    """Adds up the runs of one worker; the same way from calls and from the records of a predecessor."""

    def __init__(self, meters: RunMeters, new_id: Callable[[], str]) -> None:
        self._meters = meters
        self._new_id = new_id
        self._totals: dict[Place, Totals] = {}
        self._over: list[tuple[Run, Totals]] = []

    def apply(self, opened: Open, closed: Close | None, ended: End) -> None:
        """Add a call that is over."""
        if opened.run_id:
            place = (opened.tenant, opened.run_id)
            totals = self._totals.get(place, _NOTHING)
            self._totals[place] = totals + _of_call(opened, closed, ended)

    def ended(self, run: Run) -> None:
        """Note that a run lives no longer; its event is given by `events`."""
        totals = self._totals.pop((run.tenant, run.run_id), _NOTHING)
        self._over.append((run, totals))

    def noted(self, event: Event) -> None:
        """Keep what somebody reports of a run; other events say nothing of one."""
        if event.type == OUTCOME and event.run_id:
            place = (event.tenant, event.run_id)
            totals = self._totals.get(place, _NOTHING)
            self._totals[place] = replace(totals, reported=event.reason)

    def heard(self, event: Event) -> None:
        """Take a predecessor's word that a run has ended: it does not end again."""
        place = (event.tenant, event.run_id)
        self._totals.pop(place, None)
        self._over = [
            each for each in self._over if (each[0].tenant, each[0].run_id) != place
        ]
        try:
            self._count(event, _run_end.decode(event.detail))
        except msgspec.MsgspecError:
            return  # of another version: it is an event all the same

    def events(self, now_us: int) -> list[Event]:
        """Give, once, the event of each run that has ended since the last time, and count it."""
        over, self._over = self._over, []
        return [self._event(run, totals, now_us) for run, totals in over]

    def show(self, live: Iterable[Run]) -> None:
        """Say which of the runs that live are the largest; totals of others are forgotten (a call may be over after its run)."""
        kept: dict[Place, Totals] = {}
        shown: list[tuple[str, str, int, int]] = []
        for run in live:
            place = (run.tenant, run.run_id)
            totals = self._totals.get(place, _NOTHING)
            if totals is not _NOTHING:
                kept[place] = totals
            shown.append((run.tenant, run.agent, run.step_seq, totals.cost))
        self._totals = kept
        self._meters.show_live(shown)

    def snapshot(self) -> tuple[tuple[str, str, Totals], ...]:
        """Give all totals."""
        return tuple((*place, totals) for place, totals in self._totals.items())

    def restore(self, saved: tuple[tuple[str, str, Totals], ...]) -> None:
        """Take over a predecessor's totals."""
        for tenant, run_id, totals in saved:
            place = (tenant, run_id)
            self._totals[place] = self._totals.get(place, _NOTHING) + totals

    def _event(self, run: Run, totals: Totals, now_us: int) -> Event:
        outcome = totals.reported or totals.inferred
        source = "reported" if totals.reported else "inferred"
        detail = RunEnd(
            outcome, source, run.step_seq, totals.attempts, totals.retries, totals.cost, totals.tokens,
            run.began_us, run.seen_us - run.began_us, run.root_run_id, run.parent_run_id, run.session_id,
        )  # fmt: skip
        event = Event(
            event_id=self._new_id(),
            ts_us=now_us,
            type=RUN_END,
            tenant=run.tenant,
            agent=run.agent,
            run_id=run.run_id,
            reason=outcome,
            source=run.source,
            value=_dollars(totals.cost),
            detail=_json.encode(detail).decode(),
        )
        self._count(event, detail)
        return event

    def _count(self, event: Event, said: RunEnd) -> None:
        self._meters.ended(
            event.tenant, event.agent, said.outcome, said.steps, said.cost_pico_usd, said.duration_us
        )  # fmt: skip


def _of_call(opened: Open, closed: Close | None, ended: End) -> Totals:
    cost = tokens = 0
    if closed is not None:
        cost = closed.cost.total() or 0
        cost += sum(part.cost.total() or 0 for part in closed.parts)
        tokens = closed.usage.total() or 0
        tokens += sum(part.usage.total() or 0 for part in closed.parts)
    is_retry = opened.attempt > 0
    return Totals(1, int(is_retry), cost, tokens, _inferred(closed, ended))


def _inferred(closed: Close | None, ended: End) -> RunOutcome:
    if ended.outcome is Outcome.BLOCKED and closed and closed.verdict_action == BLOCK:
        return RunOutcome.CAPPED
    if ended.outcome is Outcome.CLIENT_ABORT:
        return RunOutcome.ABANDONED
    is_whole = ended.outcome is Outcome.COMPLETED
    return RunOutcome.ENDED if is_whole else RunOutcome.FAILURE


def _dollars(pico: int) -> str:
    whole, part = divmod(pico, PICO_PER_USD)
    return f"{whole}.{part:012d}"
