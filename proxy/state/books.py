"""What is kept of accounts, gates and breakers in memory.

What lives here: the shelves, forgetting, and the bytes that outlive the worker. What does not: what changes them
(`claiming.py`, `accounts.py`).

Values are tuples that are replaced, never changed, so that copies of the dicts are a snapshot of one moment: what comes after it may be
applied to it again, each once.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import msgspec

from proxy.judge.breaker import Breaker
from proxy.judge.claims import MOST
from proxy.state.shelf import K, Shelf, V

Place = tuple[int, str]
"""Key and owner."""

A_PIECE = 1000
A_SWEEP = 2000


class _Piece(msgspec.Struct, frozen=True, array_like=True):
    """Some values of each sort; all but one are empty."""

    own: list[tuple[Place, tuple[int, int, int]]] = []
    owned: list[tuple[Place, tuple[int, int, int]]] = []
    ages: list[tuple[Place, tuple[int, int]]] = []
    series: list[tuple[Place, tuple[int, tuple[int, ...]]]] = []
    gates: list[tuple[int, tuple[int]]] = []
    breakers: list[tuple[int, tuple[int, Breaker]]] = []
    allowed: list[tuple[str, tuple[int, int]]] = []


_encode: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Piece).decode


class Books:
    """All shelves. The first member of each value is when it expires."""

    __slots__ = ("_round", "ages", "allowed", "breakers", "gates", "own", "owned", "series", "shelves")  # fmt: skip

    def __init__(self, bound: int) -> None:
        """Keep so many values of each sort."""
        self.own: Shelf[Place, tuple[int, int, int]] = Shelf(bound)
        """What belongs to nobody but its key: expires, settled, reserved."""
        self.owned: Shelf[Place, tuple[int, int, int]] = Shelf(bound)
        """What belongs to runs and sessions; apart, so that no flood of them drives a budget out."""
        self.ages: Shelf[Place, tuple[int, int]] = Shelf(bound)
        """Expires, began."""
        self.series: Shelf[Place, tuple[int, tuple[int, ...]]] = Shelf(bound)
        self.gates: Shelf[int, tuple[int]] = Shelf(bound)
        self.breakers: Shelf[int, tuple[int, Breaker]] = Shelf(bound)
        self.allowed: Shelf[str, tuple[int, int]] = Shelf(bound)
        """Root runs and sessions that were allowed on: expires, number of the allowance."""
        self.shelves: tuple[Shelf[Any, Any], ...] = (
            self.own, self.owned, self.ages, self.series, self.gates, self.breakers, self.allowed
        )  # fmt: skip
        self._round: Iterator[tuple[Shelf[Any, Any], Any]] = iter(())

    @property
    def evicted(self) -> int:
        """Whatever was forgotten for want of room. Monotone."""
        return sum(each.evicted for each in self.shelves)

    def __len__(self) -> int:
        """Give how much is kept."""
        return sum(map(len, self.shelves))

    def sweep(self, now_us: int) -> None:
        """Forget some of what has expired; called again and again, all of it."""
        part = list(islice(self._round, A_SWEEP))
        if not part:
            self._round = ((shelf, key) for shelf in self.shelves for key in list(shelf))  # fmt: skip
        for shelf, key in part:
            known = shelf.get(key)
            if known is not None and known[0] <= now_us:
                del shelf[key]

    def abandon(self) -> None:
        """Settle every reservation at what was reserved: after a restart, those who held them are dead."""
        for shelf in (self.own, self.owned):
            for place, (expires_us, settled, reserved) in list(shelf.items()):
                if reserved:
                    shelf[place] = (expires_us, min(settled + reserved, MOST), 0)

    def take_over(self, other: "Books", now_us: int) -> None:
        """Add what another life of this worker kept; nothing is reserved there any more (`abandon`)."""
        for mine, theirs in ((self.own, other.own), (self.owned, other.owned)):
            for place, (expires_us, settled, _) in theirs.items():
                until, before, reserved = mine.live(place, now_us) or (0, 0, 0)
                total = min(before + settled, MOST)
                mine.put(place, (max(until, expires_us), total, reserved), now_us)
        for place, (expires_us, began_us) in other.ages.items():
            until, began = self.ages.live(place, now_us) or (0, began_us)
            self.ages.put(place, (max(until, expires_us), min(began, began_us)), now_us)
        for place, (expires_us, series) in other.series.items():
            until, later = self.series.live(place, now_us) or (0, ())
            self.series.put(place, (max(until, expires_us), series + later), now_us)
        for key, value in other.breakers.items():
            if self.breakers.live(key, now_us) is None:
                self.breakers.put(key, value, now_us)
        _later(self.gates, other.gates, now_us)
        _later(self.allowed, other.allowed, now_us)

    def snapshot(self) -> Iterator[bytes]:
        """Write what is kept at this moment; between two pieces the event loop may do something else."""
        return _pieces([each.copy() for each in self.shelves])

    def restore(self, piece: bytes, now_us: int) -> None:
        """Take over one piece. Raises `msgspec.MsgspecError` where it is broken or of another version."""
        read = _decode(piece)
        for shelf, values in zip(self.shelves, msgspec.structs.astuple(read), strict=True):  # fmt: skip
            for key, value in values:
                shelf.put(key, value, now_us)


def _later(mine: Shelf[K, V], theirs: Shelf[K, V], now_us: int) -> None:
    for key, value in theirs.items():
        mine.put(key, max(value, mine.get(key, value)), now_us)


def _pieces(copies: list[dict[Any, Any]]) -> Iterator[bytes]:
    blank: list[list[Any]] = [[] for _ in copies]
    for at, copy in enumerate(copies):
        rest = iter(copy.items())
        while part := list(islice(rest, A_PIECE)):
            yield _encode([*blank[:at], part, *blank[at + 1 :]])
