"""How much of the providers' limits is left, as their own headers say.

What lives here: the ratios by route, model and kind of limit, bounded in number and age. What does not: reading the headers
(`meter/headers.py`), showing gauges (`proxy/telemetry`).

Several callers may share a route and have limits of their own: the newest word counts, whoever it was said to.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from proxy.model import RateLimits

REQUESTS, TOKENS = "requests", "tokens"

_MAX_SERIES = 1000
_STALE_US = 600_000_000
"""Limits fill up again within minutes: what was said longer ago says nothing."""


class Gauge(NamedTuple):
    """What is left of one limit."""

    route: str
    model: str
    limit: str
    """`requests` or `tokens`."""
    ratio: float
    """0: nothing, 1: all of it."""


class Headroom:
    """The newest ratios; beyond `capacity` the one that was heard of least recently goes."""

    def __init__(self, capacity: int = _MAX_SERIES, stale_us: int = _STALE_US) -> None:
        self._capacity = capacity
        self._stale_us = stale_us
        self._said: OrderedDict[tuple[str, str, str], tuple[float, int]] = OrderedDict()

    def note(self, route: str, model: str, limits: RateLimits, now_us: int) -> None:
        """Take what the headers of an answer said; nothing, where they said nothing."""
        for name, left, limit in (
            (REQUESTS, limits.remaining_requests, limits.limit_requests),
            (TOKENS, limits.remaining_tokens, limits.limit_tokens),
        ):
            if left is None or not limit:
                continue
            series = (route, model, name)
            self._said[series] = (min(left / limit, 1.0), now_us)
            self._said.move_to_end(series)
            if len(self._said) > self._capacity:
                self._said.popitem(last=False)

    def gauges(self, now_us: int) -> Iterator[Gauge]:
        """Give what is not stale; the stale is forgotten."""
        while self._said:
            series, (_, at_us) = next(iter(self._said.items()))
            if now_us - at_us <= self._stale_us:
                break
            del self._said[series]
        for series, (ratio, _) in self._said.items():
            yield Gauge(*series, ratio)
