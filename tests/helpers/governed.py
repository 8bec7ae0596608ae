"""A governor with a clock of the test's own, and what it told.

What lives here: wiring as the worker does it. What does not: settings of policies, keepers of accounts.
"""

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from proxy.govern.asking import Asking, Quote
from proxy.govern.governor import Governor, Outside
from proxy.judge.budgets import Account
from proxy.judge.claims import Phase
from proxy.judge.expected import Price
from proxy.judge.settings import PolicySettings
from proxy.judge.verdict import Verdict
from proxy.record.codec import Event, Open
from proxy.state import State
from tests.helpers.judging import NOW_US, SEED, TERMS

QUOTE = Quote(100, Price(1_000_000, 1_000_000), 128_000)


@dataclass
class Heard:
    """What a governor told, and what it is told."""

    now_us: int = NOW_US
    quoted: Quote = QUOTE
    """A tenth of a cent for the prompt, and as much for a thousand tokens of output."""
    events: list[Event] = field(default_factory=list)
    verdicts: list[tuple[str, str]] = field(default_factory=list)
    unsaid: int = 0
    breakers: list[tuple[str, str, Phase]] = field(default_factory=list)
    spent: dict[tuple[str, str, str], float] = field(default_factory=dict)
    """Shares of budgets by tenant, agent and name."""
    shown: list[tuple[str, str, Phase]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    def clock(self) -> int:
        return self.now_us

    def quote(self, _: Asking) -> Quote:
        return self.quoted

    def fault(self, phase: str) -> None:
        self.faults[phase] += 1

    def verdict(self, _: Open, verdict: Verdict) -> None:
        self.verdicts.append((verdict.policy, verdict.action))

    def count_unsaid(self) -> None:
        self.unsaid += 1

    def take_spent(self, shares: Iterable[tuple[Account, float]]) -> None:
        self.spent = {each[:3]: share for each, share in shares}

    def show(self, route: str, model: str, phase: Phase) -> None:
        self.shown.append((route, model, phase))

    def breaker(self, route: str, model: str, phase: Phase) -> None:
        self.breakers.append((route, model, phase))


def make_governor(
    state: State, heard: Heard | None = None, settings: PolicySettings | None = None
) -> Governor:
    """Give a governor that keeps what it tells in `heard`."""
    heard = heard or Heard()
    outside = Outside(
        heard.clock, lambda: 0, heard.quote, heard.fault, heard.events.append, lambda: uuid.uuid4().hex, heard.verdict,
        heard.count_unsaid, heard.breaker, heard.show, lambda: heard.quoted.is_refused, heard.take_spent,
    )  # fmt: skip
    return Governor(settings or PolicySettings(), TERMS, SEED, state, outside)
