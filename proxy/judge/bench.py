"""The policies in order: what they claim for a call, and what they say to the keeper's answer.

What lives here: the bench. What does not: a policy (its own file), the keeper of accounts (`proxy.state`), words (`wording.py`), gates and
breakers, whose claims whoever asks puts behind these: findings about them are none of the bench's.

A site's lines are made once (`lines.py`) and kept, in a bounded number; a call then costs a dictionary's look-up and one small value for each
account. The order is backstop, caps, budgets, spend_rate, window, loops. Of several refusals one that is final wins over one that is not, since
a client that tries again would meet it next; else the first in this order does.

Loops and the window are judged on what came back, so that a call may be refused that the keeper has admitted: then its claims are to
be taken back (`claims.taken_back`).
"""

from collections import OrderedDict
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from proxy.judge import wording
from proxy.judge.budgets import Account, account_of, budget_lines
from proxy.judge.caps import CAPS, backstop_lines, cap_lines, window_share
from proxy.judge.case import Case
from proxy.judge.circles import Circles, circles_of
from proxy.judge.claims import (  # fmt: skip
    MOST,
    Answer,
    Change,
    Claim,
    Mode,
    Scope,
    Settle,
    Take,
)
from proxy.judge.findings import (
    BUSY_SECONDS,
    first_of,
    is_put_off,
    of_circle,
    of_finding,
)
from proxy.judge.lines import US_PER_SECOND, Amount, Line, Terms, Vary
from proxy.judge.matching import ModeName, Site
from proxy.judge.periods import DAY_US, HOUR_US, MINUTE_US, month_of
from proxy.judge.settings import PolicySettings
from proxy.judge.spend_rate import spend_rate_lines
from proxy.judge.verdict import Action, Reason, Verdict

MAX_SITES = 1024
"""Some 5 KB each with the defaults; making one again takes a tenth of a millisecond."""
_TOOL_NAMES = 4096


class Spent(NamedTuple):
    """What a call came to."""

    nano: int
    """Nano-dollars."""
    tokens: int
    """Input and output."""


_Blank = tuple[int, Amount, Vary, int, Scope, int, int, Mode, bool, int]
"""A claim's place, its amount, and what keeps its accounts apart; and the members of the `Take` that stay."""


class Needs(NamedTuple):
    """What of a case decides over the calls of a site; the rest may be left out of it."""

    price: bool
    """What it will cost, and how long it is."""
    words: bool
    """What it asks, calls and returns."""
    anything: bool
    """Else nothing limits it."""


class _Plan(msgspec.Struct, frozen=True):
    """What holds for the calls of one site."""

    lines: tuple[Line, ...]
    fixed: tuple[Claim, ...]
    """The claim of each line as it stands."""
    filled: tuple[_Blank, ...]
    """Those that a call fills in."""
    budgets: tuple[int, ...]
    """The places of the lines that are of budgets."""
    same_us: int
    """The window in which equal bodies are counted; 0 where they are not."""
    circles: Circles | None
    window_mode: ModeName
    window_share: float | None
    needs: Needs


class Bench:
    """Asks all policies. The same settings give the same claims to the same case; nothing is remembered but what settings mean."""

    def __init__(
        self, settings: PolicySettings, terms: Terms, max_sites: int = MAX_SITES
    ) -> None:
        self._settings = settings
        self._terms = terms
        self._max_sites = max_sites
        self.has_budgets = bool(settings.budgets)
        self._plans: OrderedDict[tuple[object, ...], _Plan] = OrderedDict()
        self._is_polled = lru_cache(_TOOL_NAMES)(self._look_up_tool)

    def needs(self, site: Site) -> Needs:
        """Say what it takes to judge the calls of a site."""
        return self._plan(msgspec.structs.astuple(site)).needs

    def claims(self, case: Case) -> list[Claim]:
        """Give what a call claims; what is no step claims nothing."""
        if not case.is_step:
            return []
        plan = self._plan_of(case)
        made = list(plan.fixed)
        nano, tokens = _worst(case) if self._settings.strict else (case.expected_nano, case.expected_tokens)  # fmt: skip
        amounts = (1, min(nano, MOST), min(tokens, MOST))
        now_us = case.now_us
        day = now_us // DAY_US
        by = (
            0,
            case.turn_seq,
            now_us // MINUTE_US,
            now_us // HOUR_US,
            day,
            month_of(day)[0],
            case.body ^ (now_us // plan.same_us) if plan.same_us else 0,
        )
        for place, amount, vary, key, scope, limit, warn, mode, reserve, ttl_us in plan.filled:  # fmt: skip
            made[place] = Take(key ^ by[vary], scope, amounts[amount], limit, warn, mode, reserve, ttl_us)  # fmt: skip
        if plan.circles is not None:
            made += plan.circles.claims(case, self._is_polled)
        return made

    def accounts(self, case: Case, claims: Sequence[Claim]) -> list[Account]:
        """Say on which accounts of budgets a call's claims are made."""
        plan = self._plan_of(case)
        made = ((plan.lines[place].rule, claims[place]) for place in plan.budgets)
        return [
            account_of(rule, each, case.tenant, case.now_us)
            for rule, each in made
            if isinstance(each, Take)
        ]

    def verdict(self, answer: Answer, case: Case, of_gates: Sequence[Verdict] = ()) -> Verdict | None:  # fmt: skip
        """Say what the keeper's answer to `claims` means, beside what gates say; `None` where nobody has anything to say."""
        if not case.is_step:
            return first_of(of_gates)
        plan, notes = self._plan_of(case), self._settings.notes
        found = [
            of_finding(plan.lines[each.claim], each, case, notes)
            for each in answer.findings
            if each.claim < len(plan.lines)
        ]  # fmt: skip
        found += of_gates
        # Of refusals the final one counts, also where nothing is refused since all of them observe.
        found.sort(key=is_put_off)
        if answer.admitted:
            full = self._full(plan, case)
            found += [full] if full else []
            if plan.circles is not None and answer.tails:
                seen = plan.circles.seen(case, answer.tails)
                found += [of_circle(each, case, notes) for each in seen]
        return first_of(found)

    def settled(
        self, case: Case, claims: Sequence[Claim], answer: Answer, spent: Spent | None
    ) -> list[Change]:
        """Say what ends the reservations of an admitted call; where nobody knows what it came to, at what was reserved."""
        lines, found = self._plan_of(case).lines, list[Change]()
        nano, tokens = (0, 0) if spent is None else (min(spent.nano, MOST), min(spent.tokens, MOST))  # fmt: skip
        for hold in answer.holds:
            at, actual = hold.claim, hold.amount
            claim = claims[at]
            if not isinstance(claim, Take):
                continue  # a permit, which a signal gives back
            if spent is not None:
                actual = nano if lines[at].amount is Amount.COST else tokens
            found.append(Settle(hold.key, hold.owner, hold.amount, actual, claim.ttl_us))  # fmt: skip
        return found

    def unjudged(self) -> Verdict | None:
        """Say what becomes of a call that could not be judged, since a policy raised or the keeper did not answer."""
        if self._settings.on_error == "allow":
            return None
        return Verdict(
            Action.BLOCK, "policies", Reason.FAULT, wording.fault(), "request", "", "", BUSY_SECONDS, is_final=False,
        )  # fmt: skip

    def _plan_of(self, case: Case) -> _Plan:
        return self._plan((case.tenant, case.agent, case.caller, case.route, case.model, case.kind, case.is_retry, case.body != 0))  # fmt: skip

    def _plan(self, place: tuple[Any, ...]) -> _Plan:
        plan = self._plans.get(place)
        if plan is None:
            plan = self._plans[place] = self._made(Site(*place))
            if len(self._plans) > self._max_sites:
                self._plans.popitem(last=False)
        return plan

    def _made(self, site: Site) -> _Plan:
        settings, terms = self._settings, self._terms
        lines = [
            *backstop_lines(settings.backstop, site, terms),
            *cap_lines(settings.caps, site, terms),
            *budget_lines(settings.budgets, site, terms),
            *spend_rate_lines(settings.spend_rate, site, terms),
        ]
        filled = [
            _blank(place, line.claim, line)
            for place, line in enumerate(lines)
            if isinstance(line.claim, Take)
            and (line.amount is not Amount.ONE or line.rule.vary is not Vary.NOTHING)
        ]
        same = (each.rule.window_seconds for each in lines if each.rule.vary is Vary.BODY)  # fmt: skip
        same_us = next(same, 0) * US_PER_SECOND
        mode, share = window_share(settings.caps, site)
        circles, share = circles_of(settings, site, terms), None if mode == "off" else share  # fmt: skip
        has_price = share is not None or any(line.amount is not Amount.ONE for line in lines)  # fmt: skip
        has_words = circles is not None or same_us > 0
        return _Plan(
            tuple(lines),
            tuple(line.claim for line in lines),
            tuple(filled),
            tuple(
                place
                for place, each in enumerate(lines)
                if each.rule.reason is Reason.BUDGET
            ),
            same_us,
            circles,
            mode,
            share,
            Needs(has_price, has_words, bool(lines) or has_price or has_words),
        )

    def _full(self, plan: _Plan, case: Case) -> Verdict | None:
        """Judge the window, for which nothing needs to be remembered."""
        share, size = plan.window_share, case.window_tokens
        if share is None or not size:
            return None
        if case.input_tokens <= share * size:
            return None
        is_kept = plan.window_mode == "enforce"
        said = wording.window(100 * case.input_tokens // size, round(100 * share))
        return Verdict(
            Action.BLOCK if is_kept else Action.WOULD_BLOCK,
            CAPS, Reason.WINDOW, said, "request", str(case.input_tokens), str(int(share * size)),
        )  # fmt: skip

    def _look_up_tool(self, name: str) -> bool:
        return any(fnmatchcase(name, each) for each in self._settings.polling_tools)


def _blank(place: int, claim: Take, line: Line) -> _Blank:
    return (
        place, line.amount, line.rule.vary, claim.key, claim.scope, claim.limit, claim.warn, claim.mode, claim.reserve, claim.ttl_us,
    )  # fmt: skip


def _worst(case: Case) -> tuple[int, int]:
    """Say what a call takes at most; where its answer may be of any length, what it is expected to write."""
    longest = case.max_output_tokens
    tokens = case.expected_tokens if longest is None else case.input_tokens + longest
    return case.worst_nano, tokens
