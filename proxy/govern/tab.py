"""One call before the policies: what it claims, what they say, what it holds, and what its end changes.

What lives here: one call's way, and the rule that a fault in it never reaches the agent: it is counted, and the settings say whether a call
that could not be judged goes on. What does not: the rules (`governor.py`), the keeper of accounts (`proxy.state`), what is said (`proxy.judge`).
"""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from proxy.govern.announcing import phase_name
from proxy.govern.asking import (
    UNQUOTED,
    Asking,
    Placed,
    case_of,
    kin_of,
)
from proxy.govern.court import Court
from proxy.govern.rules import Heed, Rules
from proxy.govern.said import NOTHING, said
from proxy.http.headers import RawHeaders
from proxy.judge import gates, unpriced
from proxy.judge.bench import Needs, Spent
from proxy.judge.case import Case
from proxy.judge.claims import (  # fmt: skip
    Answer,
    Change,
    Claim,
    Hold,
    Permit,
    Phase,
    Scope,
    named,
    taken_back,
)
from proxy.judge.gates import Passage
from proxy.judge.signals import ALIVE, End, read_signals
from proxy.judge.tool_call_settings import ToolCallSettings
from proxy.judge.verdict import Action, Verdict
from proxy.model import Kind, Outcome, Reading, UsageSource
from proxy.record.codec import Close, Memo, Open, encode
from proxy.state import tally

_PICO_PER_NANO = 1000
_BILLED = (Kind.LLM, Kind.EMBEDDING)
_STATEFUL = frozenset({"openai_responses", "gemini_interactions", "mistral_conversations"})  # fmt: skip
"""Dialects whose requests need not show the calls that they bring results of."""
_RESULT = re.compile(rb"tool|function", re.IGNORECASE)
"""Stands in a message that brings a tool's result, in any family."""
P = ParamSpec("P")
T = TypeVar("T")


class Tab:
    """One call; a `Plea`."""

    def __init__(
        self, court: Court, rules: Rules, asking: Asking, heed: Heed | None
    ) -> None:
        """Without `heed` nobody could say what counts, which is counted already: the call is not judged."""
        self._court = court
        self._rules = rules
        self._asking = asking
        self._heed = heed
        self._case: Case | None = None
        self._passage: Passage | None = None
        self._offset = 0
        self._answer: Answer | None = None
        self._holds: tuple[Hold, ...] = ()
        self._undone: Sequence[Change] = ()
        self._before: Verdict | None = None
        self.claims: Sequence[Claim] = ()
        self.now_us = court.clock()
        self.is_heard = False
        self.verdict: Verdict | None = None
        """What the policies say; `None`: nothing."""

    # Before.

    def again(self, **changed: Any) -> "Tab":
        """Give the tab of another attempt of the same call; `changed` are members of `Asking`."""
        asking = dataclasses.replace(self._asking, **changed)
        return Tab(self._court, self._rules, asking, self._try(self._rules.heed, asking))  # fmt: skip

    def place(self, placed: Placed) -> None:
        """Say where the call belongs, and with that what it claims; again where that changes."""
        self._case, self.claims = None, ()
        if placed.agent and not self._asking.agent:
            self._asking = dataclasses.replace(self._asking, agent=placed.agent)
            self._heed = self._try(self._rules.heed, self._asking)
        if self._heed is not None:
            self._try(self._place, placed, self._heed.needs, self._heed.passage)

    def _place(self, placed: Placed, needs: Needs, passage: Passage) -> None:
        court, asking, bench = self._court, self._asking, self._rules.bench
        quote = UNQUOTED
        if needs.price or court.refuses_unpriced():
            quote = court.quote(asking)
        if quote.is_refused:
            self._before = unpriced.verdict(asking.ask, asking.provider, is_unknown=True)  # fmt: skip
            return
        said_now = NOTHING
        if needs.words:
            said_now = said(
                court.seed, asking.tenant, asking.conversation, asking.body, court.answered, self.now_us,
            )  # fmt: skip
        case = case_of(asking, placed, quote, said_now, court.expected, self.now_us)
        claims = bench.claims(case)
        if bench.has_budgets:
            court.spend(bench.accounts(case, claims))
        if passage.breaker:
            court.meet(asking, passage.breaker)
        self._case, self._passage, self._offset = case, passage, len(claims)
        self.claims = [*claims, *passage.claims]

    def hear(self, answer: Answer) -> bool:
        """See `Plea`."""
        self.is_heard = True
        self._answer, self._holds = answer, answer.holds
        self.verdict = self._rules.bench.unjudged()  # unless they are judged now
        self._try(self._judge, answer)
        if self.is_refused and answer.admitted and self.claims:
            self._undone = taken_back(self.claims, answer)
            self._holds = ()
            self._court.tell(self._undone, self.now_us)
        return not self.is_refused

    def unheard(self) -> None:
        """Note that nobody could be asked."""
        self.is_heard = True
        self.verdict = self._before or self._rules.bench.unjudged()

    def _judge(self, answer: Answer) -> None:
        if self._before is not None:
            self.verdict = self._before
            return
        case, passage, offset = self._case, self._passage, self._offset
        if case is None or passage is None:
            return  # it could not be made, which is counted already
        of_gates = [
            gates.verdict(passage, each.claim - offset, each)
            for each in answer.findings
            if each.claim >= offset
        ]
        self.verdict = self._rules.bench.verdict(answer, case, of_gates)

    @property
    def is_refused(self) -> bool:
        """Whether the call must not go upstream."""
        return self.verdict is not None and self.verdict.action is Action.BLOCK

    @property
    def allowance(self) -> int | None:
        """Give the number under which the run was allowed on; `None` where it was not."""
        return None if self._answer is None else named(self._answer.owners[Scope.ROOT])[1]  # fmt: skip

    def note(self, opened: Open) -> str:
        """Give what the model is to be told of warnings; mostly nothing, and nothing where the newest message brings no result."""
        tail = self._asking.conversation.tail
        if self.verdict is None or not tail or not _RESULT.search(tail[-1]):
            return ""
        return self._try(self._court.noting.note, self.verdict, opened, self.allowance) or ""  # fmt: skip

    def noted(self, opened: Open) -> None:
        """Remember that the model is told."""
        if self.verdict is not None:
            self._try(self._court.noting.noted, self.verdict, opened, self.allowance)

    @property
    def tool_calls(self) -> ToolCallSettings | None:
        """Give the settings by which the calls are judged that the answer asks for; `None` where a fault of ours hides them."""
        return None if self._heed is None else self._heed.tool_calls

    @property
    def breaker_state(self) -> str:
        """Give the phase of the breaker as the call met it; empty where it met none."""
        if self._answer is None:
            return ""
        for hold in reversed(self._answer.holds):  # a gate's claims are the last
            if hold.permit:
                return phase_name(Phase(hold.amount))
        met = (self.claims[each.claim] for each in self._answer.findings)
        return phase_name(Phase.OPEN) if any(isinstance(each, Permit) for each in met) else ""  # fmt: skip

    def begun(self) -> tuple[bytes, ...]:
        """Give the records of what was claimed, for a successor."""
        answer = self._answer
        if self._court.is_shared or answer is None or not answer.admitted or not self.claims:  # fmt: skip
            return ()
        written = tally.claimed(self.claims, answer.owners, self.now_us)
        return (_memo(written), *self._memo_of(self._undone))

    # After.

    def alive(self) -> None:
        """Note the first sign of life of an answer that is no refusal."""
        self._try(self._alive)

    def _alive(self) -> None:
        passage = self._passage
        # The end of an answer that is no stream comes at once.
        is_awaited = self._asking.ask.stream or any(each.permit and each.amount != Phase.CLOSED for each in self._holds)  # fmt: skip
        if passage is not None and passage.breaker and is_awaited:
            now_us = self._court.clock()
            self._court.tell(self._rules.gates.changes(passage, ALIVE, self._holds, now_us, 0), now_us)  # fmt: skip

    def over(
        self,
        closed: Close,
        reading: Reading,
        status: int | None,
        headers: RawHeaders,
        error_body: bytes,
        *,
        is_known: bool,
    ) -> tuple[bytes, ...]:
        """Settle the call; give the record of that. `is_known`: nothing went wrong here while its cost was found out."""
        if self.is_refused or self._passage is None:
            return ()
        end = End(closed.outcome, closed.error_type, reading.error_type, status, reading.error_code, headers, error_body)  # fmt: skip
        # What is accepted now and fetched later costs something all the same, whoever fetches it.
        spent = self._try(_spent, closed)
        known = spent if is_known and not reading.deferred else None
        changes = self._try(self._changes, end, known) or []
        if changes:
            self._try(self._court.tell, changes, self._court.clock())
        if spent is not None:
            self._try(self._learn, closed, reading, spent)
        return self._memo_of(changes)

    def _changes(self, end: End, spent: Spent | None) -> list[Change]:
        court, rules, answer = self._court, self._rules, self._answer
        now_us = court.clock()
        changes: list[Change] = []
        if answer is not None and self._case is not None and answer.admitted:
            changes += rules.bench.settled(self._case, self.claims, answer, spent)
        if self._passage is not None:
            signals = read_signals(end, now_us)
            changes += rules.gates.changes(self._passage, signals, self._holds, now_us, court.random())  # fmt: skip
        return changes

    def _learn(self, closed: Close, reading: Reading, spent: Spent) -> None:
        court, asking = self._court, self._asking
        if closed.outcome is not Outcome.COMPLETED or asking.ask.kind not in _BILLED:
            return
        if closed.usage_source is UsageSource.PROVIDER:
            usage = closed.usage
            wrote = sum(filter(None, (usage.output, usage.reasoning, usage.audio_out)))
            court.expected.learn(kin_of(asking), spent.nano, wrote)
        if asking.ask.dialect in _STATEFUL and reading.tool_calls:
            court.answered.note(court.seed, asking.tenant, reading.tool_calls, self.now_us)  # fmt: skip

    def _memo_of(self, changes: Sequence[Change]) -> tuple[bytes, ...]:
        if self._court.is_shared or not changes:
            return ()
        return (_memo(tally.changed(changes, self._court.clock())),)

    def _try(self, work: Callable[P, T], *what: P.args, **more: P.kwargs) -> T | None:
        try:
            return work(*what, **more)
        except Exception:  # noqa: BLE001  # the guard of the phase judge
            self._court.fault("judge")
            return None


def _spent(closed: Close) -> Spent:
    parts = closed.parts
    pico = (closed.cost.total() or 0) + sum(part.cost.total() or 0 for part in parts)
    tokens = (closed.usage.total() or 0) + sum(part.usage.total() or 0 for part in parts)  # fmt: skip
    return Spent(-(-pico // _PICO_PER_NANO), tokens)


def _memo(said_of_it: bytes) -> bytes:
    return encode(Memo(said_of_it, tally.ABOUT))
