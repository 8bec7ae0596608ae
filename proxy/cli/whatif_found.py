"""What a replay found, as values: what `tacho whatif --json` says.

What lives here: picking the runs that are asked about, and adding them up. What does not: replaying (`proxy/replay`), how it looks
(`whatif_report.py`).
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from proxy.model import PICO_PER_USD
from proxy.replay.cases import Place
from proxy.replay.tallies import Stop, Sums, Tally

_US = 1_000_000


class Saving(msgspec.Struct, frozen=True):
    """What calls came to, or would have saved."""

    calls: int
    """Attempts."""
    steps: int
    """Of a model; a retry is none."""
    tokens: int
    usd: Decimal


class ByPolicy(msgspec.Struct, frozen=True):
    """What one policy would have done."""

    policy: str
    runs: int
    """Runs that it would have stopped."""
    stray_calls: int
    """Calls in no run that it would have refused."""
    saved: Saving


class StoppedRun(msgspec.Struct, frozen=True):
    """A run that would have been stopped."""

    tenant: str
    run: str
    agent: str
    outcome: str
    """How it went, as `tacho runs` says; empty where that is not known."""
    is_reported: bool
    """Whether somebody reported that."""
    step: int
    """The first step that would not have been made."""
    at: datetime
    step_id: str
    policy: str
    reason: str
    scope: str
    value: str
    threshold: str
    with_parent: str
    """The run that began this one and would have been stopped before; empty: this one was stopped itself."""
    spent: Saving
    """Until then."""
    saved: Saving
    """After it, at most."""


class Found(msgspec.Struct, frozen=True):
    """What other settings would have done to the calls of a while."""

    since: datetime
    runs: int
    calls: Saving
    """All that was made."""
    saved: Saving
    """At most: an agent that is refused may do something else instead."""
    successes: int
    """Runs that somebody reported a success."""
    successes_stopped: int
    unknown: int
    """Runs of which was not asked how they went, since there are too many."""
    waits: int
    """Calls that would have been asked to try again a moment later."""
    refused_before: int
    """Runs that ended in a refusal then and would go on now, nobody knows how."""
    longest_steps: int
    dearest_usd: Decimal
    by_policy: tuple[ByPolicy, ...]
    """What saves most first."""
    stopped: tuple[StoppedRun, ...]
    """What saves most first."""
    not_replayed: tuple[str, ...]
    """Settings that are on and that rows cannot tell about."""


Outcomes = Mapping[Place, tuple[str, bool]]
"""How runs went, and whether somebody reported that."""


def found_of(
    tallies: Iterable[Tally], since_us: int, outcomes: Outcomes, not_replayed: Iterable[str]
) -> Found:  # fmt: skip
    """Add up."""
    runs = list(tallies)
    named = [each for each in runs if each.run]
    stops = [(each, each.stop) for each in named if each.stop is not None]
    good = {place for place, how in outcomes.items() if how == ("success", True)}
    stopped = [_stopped(tally, stop, outcomes) for tally, stop in stops]
    return Found(
        _moment(since_us),
        len(named),
        _sum(each.window for each in runs),
        _sum(each.saved for each in runs),
        sum((each.tenant, each.run) in good for each in named),
        sum((each.tenant, each.run) in good for each, _ in stops),
        sum((each.tenant, each.run) not in outcomes for each in named),
        sum(each.waits for each in runs),
        sum(each.ended_refused and each.stop is None for each in named),
        max((each.made.steps + each.saved.steps for each in named), default=0),
        _usd(max((each.made.pico + each.saved.pico for each in named), default=0)),
        tuple(sorted(_by_policy(runs), key=lambda each: (-each.saved.usd, each.policy))),
        tuple(sorted(stopped, key=lambda each: (-each.saved.usd, each.at, each.run))),
        tuple(not_replayed),
    )  # fmt: skip


def meant(agent: str, run: str) -> Callable[[Tally], bool]:
    """Give which tallies are asked about: those with calls in that time of this agent and run (its beginning); empty: of any."""

    def is_meant(tally: Tally) -> bool:
        if not tally.window.calls and not tally.ended_refused:
            return False
        if (agent or run) and not tally.run:
            return False
        return (not agent or agent in tally.agents) and tally.run.startswith(run)

    return is_meant


def _by_policy(tallies: Iterable[Tally]) -> Iterable[ByPolicy]:
    sums: dict[str, Sums] = {}
    runs: dict[str, int] = {}
    strays: dict[str, int] = {}
    for tally in tallies:
        if tally.stop is not None:
            policy = tally.stop.verdict.policy
            runs[policy] = runs.get(policy, 0) + 1
            sums.setdefault(policy, Sums()).plus(tally.saved)
        for policy, refused in tally.refused.items():
            strays[policy] = strays.get(policy, 0) + refused.calls
            sums.setdefault(policy, Sums()).plus(refused)
    for policy, saved in sums.items():
        yield ByPolicy(policy, runs.get(policy, 0), strays.get(policy, 0), _saving(saved))  # fmt: skip


def _stopped(tally: Tally, stop: Stop, outcomes: Outcomes) -> StoppedRun:
    verdict, row = stop.verdict, stop.call.row
    outcome, is_reported = outcomes.get((tally.tenant, tally.run), ("", False))
    return StoppedRun(
        tally.tenant,
        tally.run,
        tally.agent,
        outcome,
        is_reported,
        stop.step,
        _moment(row.began_us),
        row.step_id,
        verdict.policy,
        str(verdict.reason),
        verdict.scope,
        verdict.value,
        verdict.threshold,
        stop.with_parent,
        _saving(tally.made),
        _saving(tally.saved),
    )


def _sum(each: Iterable[Sums]) -> Saving:
    total = Sums()
    for sums in each:
        total.plus(sums)
    return _saving(total)


def _saving(sums: Sums) -> Saving:
    return Saving(sums.calls, sums.steps, sums.tokens, _usd(sums.pico))


def _usd(pico: int) -> Decimal:
    return Decimal(pico) / PICO_PER_USD


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us // _US, UTC)
