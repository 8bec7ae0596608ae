"""A bounded number of values that expire; where there are too many, those go that were not touched for long.

What lives here: which ones are forgotten. What does not: what the values mean (`books.py`).

A plain dict, whose 100,000 values are copied in a millisecond, which makes a snapshot of one moment cheap; an `OrderedDict` takes twenty. A
value that is touched keeps its place, since moving it costs more than deciding over it. So of the values at the front, those go that would
expire first, and the others move to the back: whoever was touched after a quarter of its neighbours stays.
"""

from itertools import islice
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V", bound=tuple[Any, ...])

_PART = 256
"""This part of the bound, at least one, is forgotten in one go: finding the front costs a walk over what was taken away before."""
_SAMPLE = 4


class Shelf(dict[K, V], Generic[K, V]):
    """Values whose first member is the time at which they expire, in microseconds."""

    __slots__ = ("bound", "evicted")

    def __init__(self, bound: int) -> None:
        super().__init__()
        self.bound = bound
        self.evicted = 0
        """Values that were forgotten for want of room, and had not expired."""

    def live(self, key: K, now_us: int) -> V | None:
        """Give a value that has not expired."""
        value = self.get(key)
        return value if value is not None and value[0] > now_us else None

    def put(self, key: K, value: V, now_us: int) -> None:
        """Put a value."""
        self[key] = value
        if len(self) > self.bound:
            self.trim(now_us)

    def trim(self, now_us: int) -> None:
        """Forget some, where there are too many; to be called for each new one."""
        if len(self) <= self.bound:
            return
        part = max(self.bound // _PART, 1)
        front = sorted(islice(self.items(), _SAMPLE * part), key=lambda each: each[1][0])  # fmt: skip
        for key, value in front:
            del self[key]
            if part:
                part -= 1
                self.evicted += value[0] > now_us
            else:
                self[key] = value
