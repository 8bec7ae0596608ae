"""What claims find, and what they come to, in memory.

What lives here: one function for each sort of claim, which judges and applies it at once. What does not: taking all of them back where one
refuses the call (`accounts.py`). Applying while judging halves what a decision costs; hardly any call is refused.

So the claims of one call see each other, in their order: two on the same account cannot both have its last unit.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from proxy.judge.breaker import fresh, lasting_us, taken, wait_us
from proxy.judge.claims import (
    MOST,
    Age,
    Claim,
    Finding,
    Hold,
    Level,
    Owners,
    Pass,
    Permit,
    Tail,
    Take,
    Turned,
)
from proxy.state.books import Books
from proxy.state.shelf import Shelf

_WARN, _BUSY, _OVER = Level.WARN, Level.BUSY, Level.OVER


class Taken:
    """What the claims of a call came to so far."""

    __slots__ = ("before", "findings", "holds", "is_new", "tails", "turned")

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.holds: list[Hold] = []
        self.tails: list[tuple[int, ...]] = []
        self.turned: list[Turned] = []
        self.before: list[tuple[Shelf[Any, Any], Any, Any]] = []
        """What was replaced, in order: where, its key, the value or `None`."""
        self.is_new = False
        """Whether there is more now than there was."""


def claimed(books: Books, claims: Sequence[Claim], owners: Owners, now_us: int, found: Taken) -> None:  # fmt: skip
    """Apply claims, whatever they find, and add to what was found."""
    for at, claim in enumerate(claims):
        _CLAIMED[type(claim)](books, at, claim, owners, now_us, found)


def _take(books: Books, at: int, claim: Take, owners: Owners, now_us: int, found: Taken) -> None:  # fmt: skip
    amount, key, shelf, owner = claim.amount, claim.key, books.own, ""
    if claim.scope:
        owner, shelf = owners[claim.scope], books.owned
        if not owner:
            return
    place = (key, owner)
    known = shelf.get(place)
    found.before.append((shelf, place, known))
    settled = reserved = 0
    if known is None:
        found.is_new = True
    elif known[0] > now_us:
        _, settled, reserved = known
    if not claim.reserve:
        settled = _counted(at, claim, settled, found)
    else:
        before, limit = settled + reserved, claim.limit
        if 0 <= limit <= settled:
            found.findings.append(Finding(at, _OVER, settled, limit))
        elif reserved and 0 <= limit < before + amount:
            found.findings.append(Finding(at, _BUSY, min(before, MOST), limit))
        elif 0 <= claim.warn <= before + amount:
            found.findings.append(
                Finding(at, _WARN, min(before + amount, MOST), claim.warn)
            )
        reserved += amount
        if reserved > MOST:
            reserved = MOST  # not `min`, which takes a tenth of a decision
        found.holds.append(Hold(key, owner, amount, 0, at))
    shelf[place] = (now_us + claim.ttl_us, settled, reserved)


def _counted(at: int, claim: Take, settled: int, found: Taken) -> int:
    total = settled + claim.amount
    if 0 <= claim.limit < total:
        found.findings.append(Finding(at, _OVER, settled, claim.limit))
    elif 0 <= claim.warn <= total:
        found.findings.append(Finding(at, _WARN, min(total, MOST), claim.warn))
    return total if total < MOST else MOST


def _age(books: Books, at: int, claim: Age, owners: Owners, now_us: int, found: Taken) -> None:  # fmt: skip
    owner = owners[claim.scope]
    if claim.scope and not owner:
        return
    place, limit_us, warn_us = (claim.key, owner), claim.limit_us, claim.warn_us
    known = books.ages.get(place)
    found.before.append((books.ages, place, known))
    found.is_new |= known is None
    began_us = now_us if known is None or known[0] <= now_us else known[1]
    age = now_us - began_us
    if 0 <= limit_us < age:
        found.findings.append(Finding(at, _OVER, age, limit_us))
    elif 0 <= warn_us <= age:
        found.findings.append(Finding(at, _WARN, age, warn_us))
    books.ages[place] = (now_us + claim.ttl_us, began_us)


def _pass(books: Books, at: int, claim: Pass, owners: Owners, now_us: int, found: Taken) -> None:  # fmt: skip
    known = books.gates.live(claim.key, now_us)
    if known is not None:
        found.findings.append(Finding(at, _OVER, 0, 0, known[0] - now_us))


def _permit(books: Books, at: int, claim: Permit, owners: Owners, now_us: int, found: Taken) -> None:  # fmt: skip
    key, rule = claim.key, claim.rule
    known = books.breakers.get(key)
    expires_us, before = known if known is not None and known[0] > now_us else (0, fresh(now_us))  # fmt: skip
    wait = wait_us(before, now_us)
    if wait:
        found.findings.append(Finding(at, _OVER, 0, 0, wait))
        return
    after, number = taken(before, rule, now_us)
    lasting = lasting_us(rule)
    if after is not before or expires_us - now_us < lasting // 2:
        found.before.append((books.breakers, key, known))
        found.is_new |= known is None
        books.breakers[key] = (now_us + lasting, after)
    found.holds.append(Hold(key, "", after.phase, number, at))
    if after.phase is not before.phase:
        found.turned.append(Turned(key, before.phase, after.phase))


def _tail(books: Books, at: int, claim: Tail, owners: Owners, now_us: int, found: Taken) -> None:  # fmt: skip
    owner = owners[claim.scope]
    if claim.scope and not owner:
        found.tails.append(())
        return
    place, series = (claim.key, owner), books.series
    known = series.get(place)
    found.before.append((series, place, known))
    found.is_new |= known is None
    after = claim.push
    if known is not None and known[0] > now_us:
        after = known[1] + after
    after = after[-claim.size :]
    series[place] = (now_us + claim.ttl_us, after)
    found.tails.append(after)


_CLAIMED: Mapping[type, Callable[..., None]] = {
    Take: _take,
    Age: _age,
    Pass: _pass,
    Permit: _permit,
    Tail: _tail,
}
