"""Claims and changes as the scripts in Redis take them, and what they reply.

What lives here: writing and reading. What does not: the scripts (`redis_accounts_lua.py`), the connection. Pure.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache

from msgspec.structs import astuple

from proxy.identify.hashing import key
from proxy.judge.claims import (
    Age,
    Answer,
    BreakerRule,
    Change,
    Claim,
    Extend,
    Finding,
    Hold,
    Level,
    Mode,
    Owners,
    Pass,
    Phase,
    Settle,
    Shut,
    Signal,
    Tail,
    Take,
    Turned,
    Undo,
    again,
    named,
)

Reply = Sequence[object]


class Writer:
    """Writes arguments. Who has another seed shares no owner."""

    def __init__(self, seed: int, prefix: bytes) -> None:
        self._seed = seed
        self._prefix = prefix

    def owner(self, owner: str) -> bytes:
        """Give the eight bytes that stand for an owner, and eight of its allowance behind; for none, none."""
        if not owner:
            return b""
        own, number = named(owner)
        name = _key(key(self._seed, b"owner", own))
        return name if number is None else name + _key(number)

    def claim_args(
        self, claims: Sequence[Claim], owners: Owners, now_us: int, own: Sequence[bytes]
    ) -> list[bytes]:
        """Give the arguments of `CLAIM`; `own` says who asks: the holder and its connection."""
        head = [self._prefix, b"%d" % now_us, *own, *map(self.owner, owners[1:])]
        return head + written_claims(claims)

    def apply_args(
        self, changes: Sequence[Change], now_us: int, own: Sequence[bytes]
    ) -> list[bytes]:
        """Give the arguments of `APPLY`; `own` says who tells, the note's number, and whether it may have come before."""
        return [self._prefix, b"%d" % now_us, *own, *map(self._change, changes)]

    def _change(self, change: Change) -> bytes:
        if isinstance(change, Settle):
            numbers: tuple[int, ...] = (change.reserved, change.actual, change.ttl_us)
            return b"t%b%b|%b" % (_key(change.key), _numbers(numbers), self.owner(change.owner))  # fmt: skip
        if isinstance(change, Undo):
            return b"u%b%d|%b" % (_key(change.key), change.amount, self.owner(change.owner))  # fmt: skip
        if isinstance(change, Shut):
            return b"g%b%d|" % (_key(change.key), change.until_us)
        if isinstance(change, Signal):
            numbers = (change.health, change.permit, change.random)
            return b"b%b%b %b|" % (_key(change.key), _numbers(numbers), _rule(change.rule))  # fmt: skip
        if isinstance(change, Extend):
            numbers = (change.size, change.ttl_us, len(change.push))
            rest = _series(change.push) + self.owner(change.owner)
            return b"s%b%b|%b" % (_key(change.key), _numbers(numbers), rest)
        return b"o%b|%b" % (_key(change.number), self.owner(change.owner))


def written_claims(claims: Sequence[Claim]) -> list[bytes]:
    """Write claims, one argument each."""
    return [_claim(each) for each in claims]


def _claim(claim: Claim) -> bytes:
    if isinstance(claim, Take):
        mode = b"e" if claim.mode is Mode.ENFORCE else b"o"
        numbers = b"%d %d %d %d" % (claim.amount, claim.limit, claim.warn, claim.ttl_us)
        return b"t%b%d%d%b%b" % (mode, claim.scope, claim.reserve, _key(claim.key), numbers)  # fmt: skip
    if isinstance(claim, Tail):
        numbers = b"%d %d|%b" % (claim.size, claim.ttl_us, _series(claim.push))
        return b"so%d0%b%b" % (claim.scope, _key(claim.key), numbers)
    mode = b"e" if claim.mode is Mode.ENFORCE else b"o"
    if isinstance(claim, Age):
        numbers = b"%d %d %d" % (claim.limit_us, claim.warn_us, claim.ttl_us)
        return b"a%b%d0%b%b" % (mode, claim.scope, _key(claim.key), numbers)
    if isinstance(claim, Pass):
        return b"p%b00%b" % (mode, _key(claim.key))
    return b"b%b00%b%b" % (mode, _key(claim.key), _rule(claim.rule))


def answer_of(reply: Reply, claims: Sequence[Claim], owners: Owners) -> Answer:
    """Read what `CLAIM` replied; `owners` as the script knew them."""
    admitted, allowed, findings, holds, tails, turned = reply
    owners = _allowed(owners, _texts(allowed))
    return Answer(
        admitted == 1,
        tuple(Finding(at, Level(level), value, limit, wait) for at, level, value, limit, wait in _rows(findings)),
        tuple(_hold(row, claims, owners) for row in _rows(holds)),
        tuple(_read_series(each) for each in _texts(tails)),
        owners,
        tuple(Turned(claims[at].key, Phase(before), Phase(after)) for at, before, after in _rows(turned)),
    )  # fmt: skip


def _allowed(owners: Owners, numbers: Sequence[bytes]) -> Owners:
    """Name owners as the script did: numbers of the allowances of root and session, empty without one."""
    _, run, root, session = owners
    of_root, of_session = (int.from_bytes(each, "big") for each in numbers)
    if numbers[0]:
        run, root = again(run, of_root), again(root, of_root)
    return "", run, root, again(session, of_session) if numbers[1] else session


def turned_of(reply: Reply, changes: Sequence[Change]) -> tuple[Turned, ...]:
    """Read what `APPLY` replied: which breakers turned."""
    return tuple(
        _turned(changes[at], before, after, until_us)
        for at, before, after, until_us in _rows(reply[1])
    )


def _turned(change: Change, before: int, after: int, until_us: int) -> Turned:
    assert isinstance(change, Signal)
    return Turned(change.key, Phase(before), Phase(after), until_us)


def _hold(row: list[int], claims: Sequence[Claim], owners: Owners) -> Hold:
    at, amount, permit = row
    claim = claims[at]
    owner = owners[claim.scope] if isinstance(claim, Take) else ""
    return Hold(claim.key, owner, amount, permit, at)


def _rows(found: object) -> list[list[int]]:
    assert isinstance(found, list)
    return found


def _texts(found: object) -> list[bytes]:
    assert isinstance(found, list)
    return found


def _key(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _numbers(numbers: Sequence[int]) -> bytes:
    return b" ".join(b"%d" % each for each in numbers)


@lru_cache(maxsize=256)  # as many rules as settings have
def _rule(rule: BreakerRule) -> bytes:
    return _numbers(astuple(rule))


def _series(values: Sequence[int]) -> bytes:
    return struct.pack(f">{len(values)}Q", *values)


def _read_series(text: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(text) // 8}Q", text)
