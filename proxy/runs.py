"""What the runs that live have come to, and the event that each leaves when it ends.

What lives here: adding up a run's calls, saying once that it has ended and how. What does not: which call belongs to which run
(`recognition.py`), when a run is forgotten (`proxy.state`), an outcome that somebody reports.

A run ends once. What it is called to afterwards (a name that is used again after half an hour, a call that outlived its run) goes on in
its rows; `run_end` has been said, and such calls are counted as not being in it (`after_run_end`). Only a run with calls under way waits
for these before its end is told.

An outcome that nobody reported is inferred from the run's last call as `dashboards/queries/runs.sql` does it, and never `success`: a
run whose last call failed is a `failure`, one that a policy stopped `capped`, one whose agent left `abandoned`, any other `ended`.
"""

from collections.abc import Callable, Iterable, Set

import msgspec

from proxy.identify.facts import Run
from proxy.model import PICO_PER_USD, Outcome, RunOutcome
from proxy.record.codec import Close, End, Event, Open
from proxy.state.totals import NOTHING, Place, Purse, Totals
from proxy.telemetry import RunMeters

RUN_END = "run_end"
BLOCK = "block"
OUTCOME = "outcome"
"""Type of the event by which somebody reports how a run went."""


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
        self.purse: Purse | None = None
        """Who adds up instead of this book, where a run's calls pass through several workers."""
        self._totals: dict[Place, Totals] = {}
        self._over: dict[Place, tuple[Run, Totals]] = {}

    def apply(self, opened: Open, closed: Close | None, ended: End) -> None:
        """Add a call that is over."""
        if opened.run_id:
            place = (opened.tenant, opened.run_id)
            self._add(place, _of_call(opened, closed, ended), ended.ended_us)

    def _add(self, place: Place, more: Totals, now_us: int) -> None:
        over = self._over.get(place)
        if over is not None:
            self._over[place] = (over[0], over[1] + more)
        elif self.purse is not None:
            self.purse.add(place, more, now_us)
        else:
            self._totals[place] = self._totals.get(place, NOTHING) + more

    def _known(self, place: Place) -> Totals:
        if self.purse is not None:
            return self.purse.known(place)
        return self._totals.get(place, NOTHING)

    def ended(self, run: Run, totals: Totals = NOTHING) -> None:
        """Note that a run lives no longer, and what it came to where this book does not know; `events` gives its event, unless it had ended before."""
        place = (run.tenant, run.run_id)
        totals = self._totals.pop(place, totals)
        if run.has_ended and place not in self._over:
            self._missed(totals)
        elif not run.has_ended:
            self._over[place] = (run, totals)

    def noted(self, event: Event) -> None:
        """Keep what somebody reports of a run; other events say nothing of one."""
        if event.type == OUTCOME and event.run_id:
            place = (event.tenant, event.run_id)
            self._add(place, Totals(reported=event.reason), event.ts_us)

    def heard(self, event: Event) -> None:
        """Take a predecessor's word that a run has ended: it does not end again."""
        place = (event.tenant, event.run_id)
        self._totals.pop(place, None)
        self._over.pop(place, None)
        try:
            self._count(event, _run_end.decode(event.detail))
        except msgspec.MsgspecError:
            return  # of another version: it is an event all the same

    def events(self, now_us: int, busy: Set[Place] = frozenset()) -> list[Event]:
        """Give, once, the event of each run that has ended and has no call under way (`busy`), and count it."""
        told = [place for place in self._over if place not in busy]
        return [self._event(*self._over.pop(place), now_us) for place in told]

    def show(self, live: Iterable[Run]) -> None:
        """Say which of the runs that live are the largest; of others, whose end has been told, calls were over late, and are counted."""
        kept: dict[Place, Totals] = {}
        shown: list[tuple[str, str, int, int]] = []
        for run in live:
            place = (run.tenant, run.run_id)
            totals = self._known(place)
            if place in self._totals:
                kept[place] = totals
            shown.append((run.tenant, run.agent, run.step_seq, totals.cost))
        for place in self._totals.keys() - kept.keys():
            self._missed(self._totals[place])
        self._totals = kept
        self._meters.show_live(shown)

    def _missed(self, totals: Totals) -> None:
        if totals.attempts:
            self._meters.late(totals.attempts)

    def over(self) -> tuple[tuple[Run, Totals], ...]:
        """Give the runs whose end has not been told yet."""
        return tuple(self._over.values())

    def snapshot(self) -> tuple[tuple[str, str, Totals], ...]:
        """Give all totals of runs that live."""
        return tuple((*place, totals) for place, totals in self._totals.items())

    def restore(
        self,
        saved: tuple[tuple[str, str, Totals], ...],
        over: tuple[tuple[Run, Totals], ...] = (),
    ) -> None:
        """Take over a predecessor's totals, and the runs whose end it had not told yet."""
        self._over |= {(run.tenant, run.run_id): (run, totals) for run, totals in over}
        for tenant, run_id, totals in saved:
            place = (tenant, run_id)
            self._totals[place] = self._totals.get(place, NOTHING) + totals

    def _event(self, run: Run, totals: Totals, now_us: int) -> Event:
        outcome = totals.reported or totals.inferred
        source = "reported" if totals.reported else "inferred"
        if run.seen_us < run.began_us:
            self._meters.skewed()
        detail = RunEnd(
            outcome, source, run.step_seq, totals.attempts, totals.retries, totals.cost, totals.tokens,
            run.began_us, max(0, run.seen_us - run.began_us), run.root_run_id, run.parent_run_id, run.session_id,
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
    inferred = _inferred(closed, ended)
    # What is no work is in no run that lives, and says nothing of how a run went; what was refused went nowhere, and may be all that came of a run.
    # An answer that was kept from the agent for its tool calls was asked for, and paid.
    is_refused = inferred is RunOutcome.CAPPED and (
        closed is None or closed.ttfb_us is None
    )
    is_attempt = opened.is_step and not is_refused
    is_retry = is_attempt and opened.attempt > 0
    return Totals(int(is_attempt), int(is_retry), cost, tokens, inferred)


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
