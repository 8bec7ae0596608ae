"""What goes wrong: the faults of plans, each as often as it says, and those that the dice throw in.

What lives here: counting how often a request was seen, bounded, and rates of faults. What does not: answering with
them (`families/`, `sending.py`).
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from proxy.simulate.plan import ALWAYS, Fault

MAX_KEYS = 10_000
KINDS = ("cut", "error", "hang", "slow")
SERVER_ERRORS = (500, 502, 503)
SLOW_SECONDS = 5.0
_STATUS = re.compile(r"[45]\d\d")


class Tally:
    """Counts under keys; forgets what was longest not counted."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._max = max_keys
        self._counts: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def next(self, key: str) -> int:
        """Give how often this key was asked for before."""
        before = self._counts.pop(key, 0)
        self._counts[key] = before + 1
        if len(self._counts) > self._max:
            self._counts.popitem(last=False)
        return before


def due(faults: Sequence[Fault], key: str, tally: Tally) -> tuple[Fault, ...]:
    """Choose the faults that happen this time: one at most that ends the answer, in the order of the plan."""
    chosen: list[Fault] = []
    for place, fault in enumerate(faults):
        ends = fault.kind != "slow"
        if ends and any(each.kind != "slow" for each in chosen):
            break
        if fault.times == ALWAYS or tally.next(f"{key}:{place}") < fault.times:
            chosen.append(fault)
    return tuple(chosen)


@dataclass(frozen=True, slots=True)
class Rates:
    """The share of requests that each fault befalls."""

    shares: tuple[tuple[str, float], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Rates":
        """Read `5xx=0.02,429=0.01,cut=0.005`; raise `ValueError` that says what is wrong."""
        shares = []
        for part in filter(None, (each.strip() for each in text.split(","))):
            name, _, share = part.partition("=")
            if name != "5xx" and name not in KINDS and not _STATUS.fullmatch(name):
                raise ValueError(
                    f"fault rate {part!r}: expected 5xx, a status, or one of {', '.join(KINDS)}"
                )
            try:
                value = float(share)
            except ValueError:
                value = -1.0
            if not 0 <= value <= 1:
                raise ValueError(
                    f"fault rate {part!r}: expected a share from 0 to 1 behind the ="
                )
            shares.append((name, value))
        if sum(value for _, value in shares) > 1:
            raise ValueError(f"fault rates {text!r}: they add up to more than 1")
        return cls(tuple(shares))

    def throw(self, dice: Random) -> Fault | None:
        """Throw the dice for one request."""
        left = dice.random()
        for name, share in self.shares:
            left -= share
            if left < 0:
                return _fault(name, dice)
        return None


def _fault(name: str, dice: Random) -> Fault:
    if name in KINDS:
        return Fault(name, seconds=SLOW_SECONDS, after_tokens=dice.randrange(1, 20))
    status = dice.choice(SERVER_ERRORS) if name == "5xx" else int(name)
    return Fault("fail", status, retry_after_seconds=1.0 if status == 429 else None)
