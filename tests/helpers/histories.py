"""Random histories of all sorts of claims and changes on a few keys, so that keepers can be held to the same results."""

from dataclasses import dataclass
from random import Random
from typing import Any

from proxy.judge.claims import (
    MOST,
    NONE,
    Age,
    Allow,
    Answer,
    BreakerRule,
    Change,
    Claim,
    Extend,
    Mode,
    Owners,
    Pass,
    Permit,
    Scope,
    Settle,
    Shut,
    Signal,
    Tail,
    Take,
    Undo,
    again,
    owner_of,
)
from tests.helpers.breakers import rule_of

KEYS = (1, 0x7C7C7C7C7C7C7C7C, 2**64 - 1)
"""One is all bars, of which the arguments are made, too."""
_OWNERS = ("", owner_of("t", "a"), owner_of("t", "b"))
_NUMBERS = (0, KEYS[1], 2**64 - 1)


@dataclass
class History:
    """Makes the next event; times go forward."""

    dice: Random
    now_us: int = 1_790_000_000_000_000

    def __post_init__(self) -> None:
        self.rule: BreakerRule = rule_of(self.dice)
        self.permits = [0]

    def claims(self) -> tuple[list[Claim], Owners]:
        self.now_us += self.dice.choice([0, 1, 7, 10**6, 40 * 10**6])
        owners: Any = ("", *(self.dice.choice(_OWNERS) for _ in range(3)))
        return [self.claim() for _ in range(self.dice.randrange(1, 6))], owners

    def claim(self) -> Claim:
        dice = self.dice
        key, scope, ttl_us = dice.choice(KEYS), dice.choice(list(Scope)), dice.choice([5, 10**6, 10**8])  # fmt: skip
        mode = dice.choice([Mode.ENFORCE, Mode.ENFORCE, Mode.OBSERVE])
        kind = dice.randrange(7)
        if kind < 3:
            limit, warn = (dice.choice([NONE, self.amount()]) for _ in range(2))
            return Take(key, scope, self.amount(), limit, warn, mode, dice.random() < 0.5, ttl_us)  # fmt: skip
        if kind == 3:
            limit, warn = (dice.choice([NONE, 0, 7, 10**6]) for _ in range(2))
            return Age(key, scope, limit, warn, mode, ttl_us)
        if kind == 4:
            return Pass(key, mode)
        if kind == 5:
            return Permit(key, mode, self.rule)
        return Tail(key, scope, self.push(), dice.randrange(1, 5), ttl_us)

    def amount(self) -> int:
        dice = self.dice
        return dice.choice([0, dice.randrange(20), dice.randrange(20), 10**15 + dice.randrange(9), MOST - dice.randrange(3)])  # fmt: skip

    def push(self) -> tuple[int, ...]:
        return tuple(self.dice.getrandbits(64) for _ in range(self.dice.randrange(4)))

    def learned(self, answer: Answer) -> None:
        self.permits += [each.permit for each in answer.holds if each.permit]
        self.permits = self.permits[-9:]

    def changes(self) -> list[Change]:
        self.now_us += self.dice.choice([0, 1, 10**6])
        return [self.change() for _ in range(self.dice.randrange(1, 5))]

    def change(self) -> Change:
        dice = self.dice
        key, owner, ttl_us = dice.choice(KEYS), dice.choice(_OWNERS), dice.choice([5, 10**8])  # fmt: skip
        if dice.random() < 0.3:
            owner = again(owner, dice.choice(_NUMBERS))
        until_us = self.now_us + dice.choice([-5, 5, 10**6, 10**9])
        kind = dice.randrange(9)
        if kind < 2:
            return Settle(key, owner, self.amount(), self.amount(), ttl_us)
        if kind == 2:
            return Undo(key, owner, self.amount())
        if kind == 3:
            return Shut(key, until_us)
        if kind == 4:
            return Extend(key, owner, self.push(), dice.randrange(1, 5), ttl_us)
        if kind == 5:
            return Allow(dice.choice(_OWNERS[1:]), dice.choice(_NUMBERS))
        health = dice.choice([-1, -1, 1, 0])
        return Signal(key, health, dice.choice(self.permits), self.rule, dice.getrandbits(16))  # fmt: skip
