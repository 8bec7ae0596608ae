"""Accounts, gates and breakers in the memory of the one worker: all claims of a call are applied, or none is.

What lives here: refusing or admitting, and what is told after the answer. What does not: each claim (`claiming.py`), keeping and
forgetting (`books.py`), the same within Redis (`redis_accounts.py`). `docs/limits.md` has the rules in words.

Nothing here suspends, so that nobody comes between the judgement and what follows from it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from proxy.judge.breaker import fresh, lasting_us, told
from proxy.judge.claims import (
    MOST,
    Age,
    Allow,
    Answer,
    Change,
    Claim,
    Extend,
    Finding,
    Level,
    Mode,
    Owners,
    Pass,
    Permit,
    Phase,
    Settle,
    Shut,
    Signal,
    Tail,
    Take,
    Turned,
    Undo,
    again,
)
from proxy.judge.periods import DAY_US
from proxy.state.books import Books, Place
from proxy.state.claiming import Taken, claimed
from proxy.state.shelf import Shelf

ALLOWED_US = 40 * DAY_US
"""So long an allowance is remembered; longer than any account of a run or a session."""


class Accounts:
    """Keeps what is claimed. All times are a steady clock's (`proxy/steady.py`)."""

    def __init__(self, bound: int) -> None:
        """Keep so many accounts, and so many gates, breakers and series."""
        self.books = Books(bound)

    def claim(self, claims: Sequence[Claim], owners: Owners, now_us: int) -> Answer:
        """Apply all claims, or none where one that is enforced finds something against it, or one is not understood, which is raised."""
        books, found = self.books, Taken()
        if books.allowed:
            owners = _allowed(books, owners, now_us)
        try:
            claimed(books, claims, owners, now_us, found)
        except Exception:
            _take_back(found)
            raise
        if found.findings and any(_refuses(claims[each.claim], each) for each in found.findings):  # fmt: skip
            _take_back(found)
            told = tuple(each for each in found.findings if each.level is not Level.WARN)  # fmt: skip
            tails = tuple(_refused(books, claims, owners, now_us))
            return Answer(False, told, (), tails, owners)
        if found.is_new:
            _trim(found, now_us)
        return Answer(
            True, tuple(found.findings), tuple(found.holds), tuple(found.tails), owners, tuple(found.turned)
        )  # fmt: skip

    def replay(self, claims: Sequence[Claim], owners: Owners, now_us: int) -> None:
        """Apply the claims of a call that was admitted after the snapshot that was taken over."""
        found = Taken()
        claimed(self.books, claims, owners, now_us, found)
        _trim(found, now_us)

    def apply(self, changes: Sequence[Change], now_us: int) -> tuple[Turned, ...]:
        """Take in what followed from calls; say which breakers turned."""
        books = self.books
        turned = [_APPLIERS[type(each)](books, each, now_us) for each in changes]
        return tuple(each for each in turned if each is not None)

    def used(self, key: int, owner: str, now_us: int) -> tuple[int, int]:
        """Give what is settled on an account and what is reserved."""
        known = _sums(self.books, owner).live((key, owner), now_us)
        return (0, 0) if known is None else known[1:]

    def phase(self, key: int, now_us: int) -> Phase:
        """Give a breaker's phase; one that nobody asked for long is closed."""
        known = self.books.breakers.live(key, now_us)
        return Phase.CLOSED if known is None else known[1].phase


def _sums(books: Books, owner: str) -> Shelf[Place, tuple[int, int, int]]:
    return books.owned if owner else books.own


def _allowed(books: Books, owners: Owners, now_us: int) -> Owners:
    """Name the owners as they are called since they were allowed on; who goes on asking stays so."""
    _, run, root, session = owners
    found = books.allowed.live(root, now_us)
    if found is not None:
        books.allowed[root] = (now_us + ALLOWED_US, found[1])
        run, root = again(run, found[1]), again(root, found[1])
    found = books.allowed.live(session, now_us)
    if found is not None:
        books.allowed[session] = (now_us + ALLOWED_US, found[1])
        session = again(session, found[1])
    return "", run, root, session


def _refuses(claim: Claim, finding: Finding) -> bool:
    is_enforced = not isinstance(claim, Tail) and claim.mode is Mode.ENFORCE
    return is_enforced and finding.level is not Level.WARN


def _take_back(found: Taken) -> None:
    for shelf, key, value in reversed(found.before):
        if value is None:
            shelf.pop(key, None)
        else:
            shelf[key] = value


def _trim(found: Taken, now_us: int) -> None:
    """Forget what is too much, once it is sure that the call is admitted."""
    for shelf, _, value in found.before:
        if value is None:
            shelf.trim(now_us)


def _refused(books: Books, claims: Sequence[Claim], owners: Owners, now_us: int) -> Iterator[tuple[int, ...]]:  # fmt: skip
    """Touch what a refused call claimed, so that who goes on all the same does not begin anew some day; give the series as they are."""
    for claim in claims:
        if isinstance(claim, Pass | Permit):
            continue
        owner = owners[claim.scope]
        place = (claim.key, owner)
        shelf: Shelf[Place, Any] = books.series
        if isinstance(claim, Take):
            shelf = _sums(books, owner)
        elif isinstance(claim, Age):
            shelf = books.ages
        known = shelf.live(place, now_us) if owner or not claim.scope else None
        if known is not None:
            shelf[place] = (now_us + claim.ttl_us, *known[1:])
        if isinstance(claim, Tail):
            yield () if known is None else known[1][-claim.size :]


def _settle(books: Books, change: Settle, now_us: int) -> None:
    shelf, place = _sums(books, change.owner), (change.key, change.owner)
    known = shelf.live(place, now_us)
    _, settled, reserved = (0, 0, 0) if known is None else known
    settled += change.actual
    if settled > MOST:
        settled = MOST
    # Never below nothing: of an account that was forgotten meanwhile, the reservation is gone, too.
    reserved = reserved - change.reserved if reserved > change.reserved else 0
    shelf.put(place, (now_us + change.ttl_us, settled, reserved), now_us)


def _undo(books: Books, change: Undo, now_us: int) -> None:
    shelf, place = _sums(books, change.owner), (change.key, change.owner)
    known = shelf.live(place, now_us)
    if known is not None:
        shelf[place] = (known[0], max(known[1] - change.amount, 0), known[2])


def _shut(books: Books, change: Shut, now_us: int) -> None:
    known = books.gates.get(change.key, (0,))
    books.gates.put(change.key, (max(known[0], change.until_us),), now_us)


def _signal(books: Books, change: Signal, now_us: int) -> Turned | None:
    key, rule = change.key, change.rule
    known = books.breakers.live(key, now_us)
    before = fresh(now_us) if known is None else known[1]
    after = told(before, rule, change.health, change.permit, now_us, change.random)
    books.breakers.put(key, (now_us + lasting_us(rule), after), now_us)
    if after.phase is before.phase:
        return None
    return Turned(key, before.phase, after.phase, after.until_us)


def _extend(books: Books, change: Extend, now_us: int) -> None:
    place = (change.key, change.owner)
    known = books.series.live(place, now_us)
    before = () if known is None else known[1]
    after = (*before, *change.push)[-change.size :]
    books.series.put(place, (now_us + change.ttl_us, after), now_us)


def _allow(books: Books, change: Allow, now_us: int) -> None:
    books.allowed.put(change.owner, (now_us + ALLOWED_US, change.number), now_us)


_APPLIERS: Mapping[type, Callable[..., Turned | None]] = {
    Settle: _settle,
    Undo: _undo,
    Shut: _shut,
    Signal: _signal,
    Extend: _extend,
    Allow: _allow,
}
