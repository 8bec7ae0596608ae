"""What earlier answers taught about estimates: how many tokens there were for each that was guessed.

What lives here: ratios per caller and model, bounded in number. What does not: guessing (`estimate.py`).

Tokenizers are no secret of a provider's for long: where the first answers of a model were counted, its later ones, if they are cut or
carry no counts, are guessed by what was learned. Ratios are drawn towards 1 while they rest on few answers.
"""

from collections import OrderedDict
from collections.abc import Hashable
from math import exp, log

from proxy.meter.estimate import Taught, input_tokens, output_tokens
from proxy.model import Ask, Reading, Usage

MAX_RATIO = 4.0
"""A ratio further from 1 is taken for this: images in a prompt, or thinking that was not shown, are no matter of tokenizers."""
_SLOWEST = 1 / 16
"""How much of the newest ratio goes into what is remembered, at least."""
_DOUBT = 3
_ALWAYS, _SOMETIMES = 8, 64
"""So many answers of a key are looked at, then each so-manieth: guessing takes longer than reading."""
MIN_TOKENS = 32
"""Shorter answers teach nothing but noise."""
_Key = tuple[str, str, str]


class Ratios:
    """Moving averages of ratios, those of the least recently used keys forgotten first."""

    def __init__(self, capacity: int) -> None:
        """Remember `capacity` keys at most."""
        self._capacity = capacity
        self._known: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def get(self, key: Hashable) -> float:
        """Give the ratio, drawn towards 1 while little is known."""
        count, mean = self._known.get(key, (0, 0.0))
        return exp(mean * count / (count + _DOUBT))

    def wants(self, key: Hashable) -> bool:
        """Whether another ratio is worth its cost: the first ones are, later a few; counts as having been offered one."""
        count, mean = self._known.get(key, (0, 0.0))
        self._known[key] = (count + 1, mean)
        self._known.move_to_end(key)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return count < _ALWAYS or count % _SOMETIMES == 0

    def learn(self, key: Hashable, truth: float, guess: float) -> None:
        """Take a truth and what was guessed for it, after `wants`."""
        if truth <= 0 or guess <= 0:
            return
        limit = log(MAX_RATIO)
        found = max(-limit, min(limit, log(truth / guess)))
        count, mean = self._known.get(key, (1, 0.0))
        self._known[key] = (count, mean + (found - mean) * max(1 / count, _SLOWEST))


class Lessons:
    """What a worker has learned of input and output; one for all its exchanges."""

    def __init__(self, capacity: int = 4096) -> None:
        self._input = Ratios(capacity)
        self._output = Ratios(capacity)

    def taught(self, caller: str, ask: Ask, reading: Reading) -> Taught:
        """Give what is known for an estimate of this exchange."""
        key = _key(caller, ask, reading)
        return Taught(self._input.get(key), self._output.get(key))

    def learn(
        self,
        caller: str,
        ask: Ask,
        reading: Reading,
        usage: Usage,
        request_bytes: int,
    ) -> None:
        """Take an exchange that the provider has counted."""
        key = _key(caller, ask, reading)
        told = _sum(
            usage.input, usage.cache_read, usage.cache_write, usage.cache_write_long
        )
        if told >= MIN_TOKENS and self._input.wants(key):
            self._input.learn(key, told, input_tokens(ask, request_bytes) or 0)
        shown = _sum(usage.output, usage.reasoning if reading.reasoning_chars else 0)
        # What a tool call costs beside its text would be taken for a matter of text.
        clear = shown >= MIN_TOKENS and not reading.tool_calls
        if clear and self._output.wants(key):
            guessed = output_tokens(ask, reading)
            self._output.learn(key, shown, _sum(guessed.output, guessed.reasoning))


def _key(caller: str, ask: Ask, reading: Reading) -> _Key:
    return caller, ask.dialect, reading.model or ask.model


def _sum(*counts: int | None) -> int:
    return sum(filter(None, counts))
