"""One simulated provider without its sockets: what it remembers, and the making of each answer.

What lives here: settings, and the order of directing, counting and failing. What does not: HTTP (`server.py`), waiting
(`sending.py`), wire formats (`families/`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from random import Random

from proxy.simulate import director, faults, tokens
from proxy.simulate.families.family import Family
from proxy.simulate.headers import Limits
from proxy.simulate.ids import Ids
from proxy.simulate.pace import Pace
from proxy.simulate.plan import Fault
from proxy.simulate.prompt_cache import PromptCache
from proxy.simulate.question import SYSTEM, Bill, Exchange, Question, ToolCall
from proxy.simulate.store import Store

_CALL_PREFIX = {"anthropic_messages": "toolu_01", "gemini": ""}
_USUAL_CALL_PREFIX = "call_"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a provider behaves."""

    seed: int = 0
    """Of all dice: the same requests in the same order are answered alike."""
    pace: Pace = field(default_factory=lambda: Pace(speed=0))
    rates: faults.Rates = field(default_factory=faults.Rates)
    requests_per_minute: int = 10_000
    tokens_per_minute: int = 2_000_000


@dataclass(frozen=True, slots=True)
class Performance:
    """An answer and what happens on its way."""

    exchange: Exchange
    dice: Random
    limits: Limits
    step: int
    """The number of the plan's step, from 0."""
    slow_seconds: float = 0.0
    fault: Fault | None = None
    """What ends the answer, where something does."""


@dataclass(slots=True)
class Engine:
    """See the module; `nonce` keeps the ids of two providers apart that have the same seed."""

    settings: Settings
    monotonic: Callable[[], float]
    unix: Callable[[], float]
    nonce: str = ""
    store: Store = field(default_factory=Store)
    _cache: PromptCache = field(default_factory=PromptCache)
    _tally: faults.Tally = field(default_factory=faults.Tally)
    _limits: dict[str, Limits] = field(default_factory=dict)
    _ids: Ids = field(init=False)

    def __post_init__(self) -> None:
        """Begin a row of ids."""
        self._ids = Ids(f"{self.settings.seed}:{self.nonce}")

    def next_id(self) -> str:
        """Give an ending for an id."""
        return self._ids.next()

    def limits(self, name: str) -> Limits:
        """Give the limits of a family; one caller is like another."""
        made = Limits(
            self.settings.requests_per_minute, self.settings.tokens_per_minute
        )
        return self._limits.setdefault(name, made)

    def perform(self, family: Family, question: Question, caller: str) -> Performance:
        """Make an answer; raise `UnacceptableError`."""
        direction = director.direct(question)
        prefix = _CALL_PREFIX.get(family.name, _USUAL_CALL_PREFIX)
        answer = direction.answer
        calls = tuple(self._identified(call, prefix) for call in answer.calls)
        answer = replace(answer, calls=calls)
        bill = self._bill(family, question, caller, direction)
        key = _key(family.name, question, caller)
        seed = f"{self.settings.seed}:{key}:{self._tally.next(key)}"
        dice = Random(seed)
        chosen = faults.due(direction.faults, f"{key}:{direction.number}", self._tally)
        thrown = self.settings.rates.throw(dice)
        if thrown and not chosen:
            chosen = (thrown,)
        limits = self.limits(family.name)
        limits.take(bill.all_input + bill.all_output, self.monotonic())
        ids = tuple(self.next_id() for _ in range(len(calls) + 3))
        return Performance(
            exchange=Exchange(
                question, answer, bill, self.next_id(), int(self.unix()), ids
            ),
            dice=dice,
            limits=limits,
            step=direction.number,
            slow_seconds=sum(each.seconds for each in chosen if each.kind == "slow"),
            fault=next((each for each in chosen if each.kind != "slow"), None),
        )

    def _identified(self, call: ToolCall, prefix: str) -> ToolCall:
        return replace(call, id=prefix + self.next_id()[:22] if prefix else "")

    def _bill(
        self,
        family: Family,
        question: Question,
        caller: str,
        direction: director.Direction,
    ) -> Bill:
        parts = [*tokens.segments(question)]
        total = tokens.prompt_tokens(parts)
        scope, now = f"{caller}\n{question.model}", self.monotonic()
        read, written = 0, (0, 0)
        if family.marks_cache:
            read, written = self._cache.marked(scope, parts, now)
        else:
            read = self._cache.automatic(scope, parts, now)
        return tokens.bill(total, read, written, direction.answer)


def _key(name: str, question: Question, caller: str) -> str:
    """Know the same request again; the system prompt may hold a clock, and does not count."""
    digest = blake2b(
        f"{name}\n{caller}\n{question.model}".encode("utf-8", "replace"), digest_size=12
    )
    for turn in question.turns:
        if turn.role != SYSTEM:
            digest.update(
                f"{turn.role}\n{turn.calls}\n{turn.text}\n".encode("utf-8", "replace")
            )
    return digest.hexdigest()
