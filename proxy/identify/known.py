"""Remembering what was worked out before, within bounds.

What lives here: a memory of so many values of so much weight. What does not: what is remembered in it.
"""

from collections import OrderedDict, deque
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

SHARE = 16
"""One value takes no more than such a share of all."""


class Known(Generic[K, V]):
    """Forgets the oldest; who adds says what a value weighs, in whatever unit the bound has."""

    def __init__(self, max_values: int, max_weight: int) -> None:
        self._max_values = max_values
        self._max_weight = max_weight
        self._values: OrderedDict[K, V] = OrderedDict()
        self._weights: deque[int] = deque()
        self.weight = 0
        """Of all that is remembered."""
        self.get = self._values.get
        """Give a value, or `None`."""

    def add(self, key: K, value: V, weight: int) -> None:
        """Remember a value; what is known already, or weighs too much, is passed over."""
        if key in self._values or weight * SHARE > self._max_weight:
            return
        self._values[key] = value
        self._weights.append(weight)
        self.weight += weight
        while len(self._values) > self._max_values or self.weight > self._max_weight:
            self._values.popitem(last=False)
            self.weight -= self._weights.popleft()

    def __len__(self) -> int:
        """Give the number of values."""
        return len(self._values)
