"""What a call will cost: learned from calls before it, so that what is reserved for it is hardly ever too little and not much too much.

What lives here: the newest answers of each kind of call, and an upper quantile of them. What does not: prices (`meter/`), reserving (`claims.py`),
the clock. One for a worker: what another worker has learned is not known here, and differs little.

Calls of one caller's agent to one model by one operation are alike; where that agent has asked too little yet, those of all its caller's agents
are looked at. Of each the newest `KEPT` are remembered, so that a change of habits is followed within as many calls. The quantile is taken
when it is asked for the first time, since of an agent's calls those of all agents are hardly ever asked for.

Cold start: where nothing is known, a call is expected to write `COLD_OUTPUT_TOKENS`, or as many as it may where that is less. It is not the
worst case: one that may write 128,000 tokens for ten dollars would keep all others of its run waiting, and the first answer tells
better. What that can cost is in the bound of `docs/limits.md`: what calls in flight cost beyond what they reserved.
"""

from array import array
from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from proxy.judge.claims import MOST

KEPT = 32
QUANTILE_PERCENT = 90
ENOUGH = 4
"""With fewer answers nothing is said."""
COLD_OUTPUT_TOKENS = 4096
CAPACITY = 4096
"""Kinds of calls; 1 KB each."""
_Key = tuple[str, str, str, str]


class Kin(msgspec.Struct, frozen=True, gc=False):
    """What makes calls alike."""

    caller: str
    agent: str
    model: str
    operation: str


class Price(msgspec.Struct, frozen=True, gc=False):
    """What is known of a call's price before it goes out; all nano-dollars, 0 where it has none."""

    prompt_nano: int = 0
    """The whole prompt, as if nothing of it was in a cache."""
    output_pico: int = 0
    """A token of output, in pico-dollars: many cost less than a nano-dollar."""


class Guess(msgspec.Struct, frozen=True, gc=False):
    """What a call will cost."""

    expected_nano: int
    worst_nano: int
    """If it writes all that it may."""
    output_tokens: int
    """Expected."""


class Learned(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of one kind of calls, the oldest first, for a checkpoint."""

    key: _Key
    nano: tuple[int, ...]
    tokens: tuple[int, ...]


class _Sample:
    """The newest costs and lengths of one kind of calls."""

    __slots__ = ("_upper", "nano", "tokens")

    def __init__(self) -> None:
        self.nano = array("q")
        self.tokens = array("q")
        self._upper: tuple[int, int] | None = None

    def add(self, nano: int, tokens: int) -> None:
        self._upper = None
        for newest, value in ((self.nano, nano), (self.tokens, tokens)):
            newest.append(value)
            if len(newest) > KEPT:
                del newest[0]

    def upper(self) -> tuple[int, int]:
        """Give the upper quantiles."""
        if self._upper is None:
            at = -(-len(self.nano) * QUANTILE_PERCENT // 100) - 1
            self._upper = sorted(self.nano)[at], sorted(self.tokens)[at]
        return self._upper


class Expected:
    """Learns what calls cost; bounded, the kinds that were not asked for the longest are forgotten first."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._samples: OrderedDict[_Key, _Sample] = OrderedDict()

    def guess(
        self, kin: Kin, price: Price, max_output_tokens: int | None, most_tokens: int
    ) -> Guess:
        """Guess before the call; `most_tokens` is what a model can write where the request sets no limit."""
        limit = most_tokens if max_output_tokens is None else max_output_tokens
        worst = _priced(price, limit)
        known = self._known(kin)
        if known is None:
            tokens = min(limit, COLD_OUTPUT_TOKENS)
            return Guess(_priced(price, tokens), worst, tokens)
        nano, upper = known.upper()
        tokens = min(limit, upper)
        if (
            not worst
        ):  # it costs nothing, or nobody knows its price: what its like cost counts
            return Guess(nano, nano, tokens)
        return Guess(min(nano, worst), worst, tokens)

    def learn(self, kin: Kin, nano: int, output_tokens: int) -> None:
        """Take what a whole answer came to; one that was cut says nothing."""
        for key in _keys(kin):
            self._sample(key).add(min(nano, MOST), min(output_tokens, MOST))

    def snapshot(self) -> list[Learned]:
        """Give all that was learned, what was asked for last at the end."""
        return [
            Learned(key, tuple(each.nano), tuple(each.tokens))
            for key, each in self._samples.items()
        ]

    def restore(self, learned: Iterable[Learned]) -> None:
        """Take over a predecessor's; what does not fit in is forgotten."""
        for each in learned:
            sample = self._sample(each.key)
            for nano, tokens in zip(each.nano, each.tokens, strict=False):
                sample.add(nano, tokens)

    def _known(self, kin: Kin) -> _Sample | None:
        for key in _keys(kin):
            sample = self._samples.get(key)
            if sample is not None and len(sample.nano) >= ENOUGH:
                self._samples.move_to_end(key)
                return sample
        return None

    def _sample(self, key: _Key) -> _Sample:
        sample = self._samples.get(key)
        if sample is None:
            sample = self._samples[key] = _Sample()
            if len(self._samples) > self._capacity:
                self._samples.popitem(last=False)
        else:
            self._samples.move_to_end(key)
        return sample


def _keys(kin: Kin) -> tuple[_Key, ...]:
    """Name the kind that an agent's call is of, and the wider one of all agents."""
    wide = (kin.caller, "", kin.model, kin.operation)
    return ((kin.caller, kin.agent, kin.model, kin.operation), wide) if kin.agent else (wide,)  # fmt: skip


def _priced(price: Price, output_tokens: int) -> int:
    return min(price.prompt_nano + -(-price.output_pico * output_tokens // 1000), MOST)
