"""What policies claim for a call before it goes upstream, what a keeper of accounts answers, and what is told to it afterwards.

What lives here: the vocabulary that policies and keepers share. What does not: which claims a policy makes (its own file), applying them
(`proxy/state/accounts.py` in memory, `proxy/state/redis_accounts.py` within Redis), the rules of a breaker (`breaker.py`).

All claims of a call are applied or none is. Whole numbers only: counts, tokens, nano-dollars (1e-9 USD), microseconds; amounts and limits
are 0 to `MOST`. Keys are 64-bit hashes which contain the tenant, what is measured, and the period; beside them an account that belongs to
a run, its root or a session has that owner's name, which the keeper fills in.
"""

from collections.abc import Sequence
from enum import IntEnum, StrEnum

import msgspec

MOST = 2**53 - 1
"""The largest amount: Redis's Lua counts exactly no further. In nano-dollars, nine million dollars."""
NONE = -1
"""No limit, no warning."""


class Scope(IntEnum):
    """To whom an account belongs. A claim of a scope that the call has not (it is in no session) is passed over."""

    OWN = 0
    """To nobody but its key: budgets, callers, agents."""
    RUN = 1
    ROOT = 2
    SESSION = 3


Owners = tuple[str, str, str, str]
"""The owner's name by `Scope`, made by `owner_of`; that of `OWN` is empty, and so is one that is not there."""
_AGAIN = "\1"
_DIGITS = 16


class Mode(StrEnum):
    """How a policy is meant. One that is off makes no claims."""

    OFF = "off"
    OBSERVE = "observe"
    ENFORCE = "enforce"


class Level(IntEnum):
    """How bad a finding is."""

    WARN = 1
    BUSY = 2
    """Over only with what is reserved for calls in flight: worth another try."""
    OVER = 3
    """Over by what is settled; the gate is shut; the breaker is open."""


class Phase(IntEnum):
    """The phases of a health breaker."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


class BreakerRule(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When a breaker opens, and how it comes back."""

    consecutive: int = 5
    """Failures one after the other that open it; 0: not for that."""
    percent: int = 50
    """Failures of a hundred calls within the window that open it; 0: not for that."""
    minimum: int = 10
    """Calls within the window below which nothing is said of percents."""
    window_us: int = 60_000_000
    open_us: int = 5_000_000
    """How long it stays open the first time; twice as long each time that a probe fails."""
    longest_us: int = 120_000_000
    jitter_percent: int = 20
    """So much of the open time at most is left out, at random: replicas do not come back all at once."""
    probes: int = 4
    """How many probes at once at most while half open. It begins with one and doubles as they succeed; then it closes."""
    probe_us: int = 60_000_000
    """A permit that is not given back within this time is taken back."""


class Take(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="t"):
    """Count something on an account, or reserve it until the answer is known."""

    key: int
    scope: Scope
    amount: int
    limit: int
    """`NONE`: without one."""
    warn: int
    """From so much on, this call included, a finding warns; `NONE`: never."""
    mode: Mode
    reserve: bool
    """Held until it is settled (dollars, tokens); else counted at once (steps, calls)."""
    ttl_us: int
    """The account is forgotten when it was not touched for so long."""


class Age(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="a"):
    """Compare the time since an account was first touched."""

    key: int
    scope: Scope
    limit_us: int
    warn_us: int
    mode: Mode
    ttl_us: int


class Pass(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="p"):
    """Pass a gate that may be shut until some time."""

    key: int
    mode: Mode


class Permit(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="b"):
    """Pass a health breaker."""

    key: int
    mode: Mode
    rule: BreakerRule


class Tail(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="s"):
    """Append to a short series of 64-bit numbers, of which the newest `size` are kept and come back in `Answer.tails`."""

    key: int
    scope: Scope
    push: tuple[int, ...]
    size: int
    ttl_us: int


Claim = Take | Age | Pass | Permit | Tail


class Finding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that speaks against a call. At most one for each claim, the worst; warnings of a refused call are left out."""

    claim: int
    """The claim's place."""
    level: Level
    value: int
    """What was settled before this call (`OVER`), settled and reserved (`BUSY`), all that with this call (`WARN`); the age; 0 for gates and
    breakers."""
    limit: int
    """The limit, or what it warns from."""
    wait_us: int = 0
    """Until a gate opens or a breaker lets the next call through."""


class Hold(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an admitted call holds: a reservation, which must be settled, or a permit, which a signal gives back."""

    key: int
    owner: str
    amount: int
    """What is reserved; for a permit, the breaker's `Phase`: a call that passed one half open is a probe."""
    permit: int
    """0 for a reservation, else the permit's number, also of a closed breaker: what is signalled with it counts for the time in which it was
    given, and twice is once."""
    claim: int
    """The claim's place."""


class Turned(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A breaker that went from one phase to another; said once."""

    key: int
    before: Phase
    after: Phase
    until_us: int = 0
    """How long it stays open, where it opened."""


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a keeper says to the claims of a call."""

    admitted: bool
    """If not, nothing was applied."""
    findings: tuple[Finding, ...] = ()
    holds: tuple[Hold, ...] = ()
    tails: tuple[tuple[int, ...], ...] = ()
    """One for each `Tail`, in their order, with what it pushed (without, where the call is refused); the oldest first."""
    owners: Owners = ("", "", "", "")
    """Who they are: a keeper may know a run's root and session better than who asks, and who was allowed on."""
    turned: tuple[Turned, ...] = ()


class Settle(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="t"):
    """End a reservation: what was reserved is free again, and what it came to is counted."""

    key: int
    owner: str
    reserved: int
    actual: int
    ttl_us: int


class Undo(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="u"):
    """Take back what was counted at once."""

    key: int
    owner: str
    amount: int


class Shut(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="g"):
    """Shut a gate; of two times the later one holds."""

    key: int
    until_us: int


class Signal(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="b"):
    """Tell a breaker how a call went, and give its permit back.

    A stream that was let through as a probe is told at its first event as a success, and again when it ends, each time with the permit.
    """

    key: int
    health: int
    """1 a success, -1 a failure, 0 neither."""
    permit: int
    """`Hold.permit`; 0 where there is none."""
    rule: BreakerRule
    random: int
    """0 to 65,535, for the jitter of the open time: the core draws nothing itself."""


class Extend(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="s"):
    """Append to a series (see `Tail`)."""

    key: int
    owner: str
    push: tuple[int, ...]
    size: int
    ttl_us: int


class Allow(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="o"):
    """Let a root run with its subagents, or a session, begin anew: from its next call on, its accounts are others, on which nothing stands.

    What calls under way hold stays on the accounts on which they hold it, and is settled there. The same number again changes nothing.
    """

    owner: str
    number: int
    """Of this allowance; 64 bits."""


Change = Settle | Undo | Shut | Signal | Extend | Allow


def owner_of(tenant: str, name: str) -> str:
    """Name a run or a session of a tenant; no name, no owner."""
    return f"{tenant}\0{name}" if name else ""


def again(owner: str, number: int) -> str:
    """Name an owner under an allowance; `Answer.owners` has such names, and all that follows from a call goes by them."""
    return f"{owner}{_AGAIN}{number:0{_DIGITS}x}" if owner else ""


def named(owner: str) -> tuple[str, int | None]:
    """Give an owner's own name, and the number of its allowance; `None` without one."""
    if owner[-1 - _DIGITS : -_DIGITS] != _AGAIN:
        return owner, None
    return owner[: -1 - _DIGITS], int(owner[-_DIGITS:], 16)


def taken_back(claims: Sequence[Claim], answer: Answer) -> list[Change]:
    """Say what undoes an admission whose call goes nowhere after all; what was appended to series stays."""
    changes: list[Change] = []
    held = {hold.claim: hold for hold in answer.holds}
    for at, claim in enumerate(claims):
        hold = held.get(at)
        if isinstance(claim, Take):
            owner = answer.owners[claim.scope]
            if hold is not None:
                changes.append(Settle(claim.key, owner, hold.amount, 0, claim.ttl_us))
            elif not claim.reserve and (owner or claim.scope is Scope.OWN):
                changes.append(Undo(claim.key, owner, claim.amount))
        elif isinstance(claim, Permit) and hold is not None:
            changes.append(Signal(claim.key, 0, hold.permit, claim.rule, 0))
    return changes
