"""What a policy makes of its settings for the calls of one site: claims that lack only what differs from call to call.

What lives here: the line, and what it is filled in with. What does not: which lines a policy makes (its own file), words (`wording.py`).

The limits of a call depend on few things (`matching.Site`), so that a site's lines are made once and kept; each call then costs a number a
line. A policy is thereby a pure function: settings and site in, lines out.

An account's key is a keyed hash of tenant, policy and metric. What differs from call to call (the turn, the number of the minute, the
hash of a body) is mixed in by exclusive or, which keeps different accounts of one metric apart for certain and of two metrics as surely as
their hashes are random.
"""

from collections.abc import Callable
from enum import IntEnum

import msgspec

from proxy.judge.claims import MOST, NONE, Age, Mode, Scope, Take
from proxy.judge.matching import ModeName
from proxy.judge.verdict import Reason

NANO_PER_USD = 10**9
US_PER_SECOND = 10**6


class Amount(IntEnum):
    """What a call takes of an account."""

    ONE = 0
    COST = 1
    """Nano-dollars, reserved."""
    TOKENS = 2
    """Input and output, reserved."""


class Vary(IntEnum):
    """What keeps the accounts of one line apart."""

    NOTHING = 0
    TURN = 1
    MINUTE = 2
    HOUR = 3
    DAY = 4
    MONTH = 5
    BODY = 6
    """What the call asks, and the window in which it does (`spend_rate.py`)."""


class Rule(msgspec.Struct, frozen=True, gc=False):
    """What a finding of a line means."""

    policy: str
    reason: Reason
    scope: str
    """As in `Verdict.scope`."""
    setting: str
    """The key that changes the limit, below `policies`."""
    levels: tuple[int, ...] = ()
    """From where on it warns, in ascending order."""
    name: str = ""
    """Whose account it is, as far as a message names it."""
    vary: Vary = Vary.NOTHING
    window_seconds: int = 0


class Line(msgspec.Struct, frozen=True, gc=False):
    """A claim, all but what the call itself fills in."""

    rule: Rule
    claim: Take | Age
    amount: Amount = Amount.ONE


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What policies need beside their settings."""

    key: Callable[..., int]
    """Makes a key of a kind (bytes) and texts: `identify.hashing.key` with its seed."""
    run_ttl_us: int
    """How long a run lives when it is idle."""
    session_ttl_us: int

    def ttl_us(self, scope: Scope) -> int:
        """Say how long the account of a run or session matters."""
        return self.session_ttl_us if scope is Scope.SESSION else self.run_ttl_us


def nano(usd: float) -> int:
    """Give dollars as nano-dollars."""
    return round(min(usd * NANO_PER_USD, MOST))


def micro(seconds: float) -> int:
    """Give seconds as microseconds."""
    return round(min(seconds * US_PER_SECOND, MOST))


def warn_at(limit: int, share: float | None) -> int:
    """Say from where on a limit is near; a limit of nothing is never near."""
    return NONE if share is None or limit <= 0 else max(1, -int(-limit * share // 1))


def take(
    rule: Rule,
    key: int,
    scope: Scope,
    limit: int,
    mode: ModeName,
    ttl_us: int,
    amount: Amount = Amount.ONE,
) -> Line:
    """Make a line that counts, or that reserves what it counts where that is known afterwards only."""
    warn = rule.levels[0] if rule.levels else NONE
    is_reserved = amount is not Amount.ONE
    claim = Take(key, scope, 1, limit, warn, Mode(mode), is_reserved, ttl_us)
    return Line(rule, claim, amount)
