"""Asks policies about calls that were made, in the order in which they were.

What lives here: the order of begins and ends, what a refusal costs the calls after it, and keeping accounts meanwhile. What does not: what a call
claims (`cases.py`, `proxy.judge`), applying it (`proxy.state.accounts`), showing what was found.

All policies observe (`policies.asked`), and the replay does what enforcing would have done: the first call of a run that would be refused
for good, and all after it, are not made. So are those of runs that a stopped one begins later. What would only be put off (503) is made all
the same, and counted: clients try again. Calls in no run are refused one by one. A call that was under way goes on, as it does.
"""

import heapq
from collections.abc import Sequence
from itertools import count

from proxy.judge.bench import Bench
from proxy.judge.case import Case
from proxy.judge.claims import Answer, Claim, taken_back
from proxy.judge.lines import Terms
from proxy.judge.settings import PolicySettings
from proxy.judge.verdict import Action, Verdict
from proxy.replay.cases import Cases, Place, spent_of
from proxy.replay.rows import Call
from proxy.replay.tallies import Stop, Sums, Tally
from proxy.state.accounts import Accounts
from proxy.state.joining import owners_of

_SWEEP_EVERY = 1024
_Held = tuple[int, int, Call, Case, Sequence[Claim], Answer]


class Replayer:
    """Replays one history under one set of settings."""

    def __init__(self, settings: PolicySettings, terms: Terms, max_accounts: int, since_us: int) -> None:  # fmt: skip
        """`settings` are those of `policies.asked`; calls before `since_us` were made whatever these say."""
        self._bench = Bench(settings, terms)
        self._accounts = Accounts(max_accounts)
        self._cases = Cases()
        self._since_us = since_us
        self._under_way: list[_Held] = []
        self._numbers = count()
        self.tallies: dict[Place, Tally] = {}
        """What was found, by tenant and run; of an empty run: calls in none."""
        self.calls = 0
        """How many there were."""

    def take(self, call: Call) -> None:
        """Take the next call: none may have begun before the one that was taken last."""
        row = call.row
        self.calls += 1
        self._end_until(row.began_us)
        if self.calls % _SWEEP_EVERY == 0:
            self._accounts.books.sweep(row.began_us)
        is_asked = row.began_us >= self._since_us
        tally = self._tally(call)
        tally.see(call, is_asked=is_asked)
        if tally.stop is not None:
            tally.saved.add(call)
        elif row.is_step:
            self._ask(call, tally, is_asked=is_asked)
        else:
            tally.made.add(call)

    def _tally(self, call: Call) -> Tally:
        row = call.row
        place = (row.tenant, row.run_id)
        tally = self.tallies.get(place)
        if tally is None:
            tally = self.tallies[place] = Tally(*place)
            parent = self.tallies.get((row.tenant, row.parent_run_id))
            if row.run_id and row.parent_run_id and parent is not None and parent.stop is not None:  # fmt: skip
                tally.stop = Stop(parent.stop.verdict, call, 1, row.parent_run_id)
        return tally

    def _ask(self, call: Call, tally: Tally, *, is_asked: bool) -> None:
        row, accounts, case = call.row, self._accounts, self._cases.case(call)
        claims = self._bench.claims(case)
        owners = owners_of(row.tenant, row.run_id, row.root_run_id, row.session_id)
        answer = accounts.claim(claims, owners, row.began_us)
        found = list(_refusals(self._bench.verdict(answer, case)))
        was_refused = row.verdict_action == Action.BLOCK
        final = next((each for each in found if each.is_final), None) if is_asked else None  # fmt: skip
        if final is not None or was_refused:
            accounts.apply(taken_back(claims, answer), row.began_us)
            self._cases.unmade(case)
        else:
            held = (row.closed_us, next(self._numbers), call, case, claims, answer)
            heapq.heappush(self._under_way, held)
            tally.made.add(call)
            tally.waits += is_asked and bool(found)
        tally.ended_refused = was_refused
        if final is not None:
            _stop(tally, final, call)

    def _end_until(self, now_us: int) -> None:
        while self._under_way and self._under_way[0][0] <= now_us:
            closed_us, _, call, case, claims, answer = heapq.heappop(self._under_way)
            changes = self._bench.settled(case, claims, answer, spent_of(call))
            self._accounts.apply(changes, closed_us)
            self._cases.ended(call)


def _refusals(verdict: Verdict | None) -> Sequence[Verdict]:
    """Give what speaks against a call, in the order of the policies."""
    if verdict is None or verdict.action is Action.WARN:
        return ()
    return [each for each in (verdict, *verdict.others) if each.action is not Action.WARN]  # fmt: skip


def _stop(tally: Tally, verdict: Verdict, call: Call) -> None:
    if tally.run:
        tally.stop = Stop(verdict, call, call.row.step or tally.made.steps + 1)
        tally.saved.add(call)
    else:
        tally.refused.setdefault(verdict.policy, Sums()).add(call)
        tally.saved.add(call)
