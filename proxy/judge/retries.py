"""When the proxy tries a failed call again: which failures, how long it waits, and how much of it an upstream gets.

What lives here: the table of statuses, waits, and the budget that keeps retries from multiplying an outage. What does not: making the
attempt (`proxy/attempting.py`), what else limits it (the other policies, which judge each attempt).

The budget is a bucket: each call puts a share of a token into it (a fifth: at most one retry for five calls), time puts a few more, a retry
takes one. So a lone failing call is tried again, and of a thousand calls at a dead upstream hardly more than two hundred are.
"""

from collections.abc import Callable

import msgspec

from proxy.http.headers import RawHeaders
from proxy.model import Kind

MOST_RETRIES = 5
MOST_WAIT_SECONDS = 120.0
_SAVED = 10.0
"""Tokens that a bucket holds at most, and begins with."""
_BASE_SECONDS = 0.5
_MOST_BACKOFF_SECONDS = 8.0
_JITTER = 0.1
"""Of a wait that was asked for, so much is added at most, so that not all come back in the same moment."""
_MARGIN_SECONDS = 0.01
"""Added besides: timers may be early by a thousandth, and our own gate is shut until the wait is over."""
_US = 1_000_000

NOT_DONE = frozenset({429, 503, 529})
"""The upstream says that it has not done the work: any call may be tried again."""
UNKNOWN = frozenset({500, 502, 504})
"""Nobody knows whether it has been done: calls of models and those that only read may be tried again."""
_MODELS = (Kind.LLM, Kind.EMBEDDING)
SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_NEVER = b"x-should-retry"


class RetrySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often the proxy tries a failed call of a route again."""

    most: int = 2
    """For one call."""
    max_wait_seconds: float = 10.0
    """Longest wait before one; where the upstream asks for a longer one, the agent gets its answer at once."""
    budget_percent: float = 20.0
    """Retries for a hundred calls at most."""
    budget_per_second: float = 1.0
    """Retries that are allowed besides, so that an upstream with few calls gets some."""


def may_repeat(status: int, kind: Kind, method: bytes, headers: RawHeaders) -> bool:
    """Tell whether a call that was answered so may be tried again."""
    if any(name.lower() == _NEVER and value.strip().lower() == b"false" for name, value in headers):  # fmt: skip
        return False
    if status in NOT_DONE:
        return True
    return status in UNKNOWN and (kind in _MODELS or method in SAFE)


def wait_seconds(
    settings: RetrySettings, made: int, asked: float | None, random: float
) -> float | None:
    """Give how long to wait before the next retry, `made` before it; `None` where that is too long.

    `asked` is what the upstream asks for, `random` at least 0 and below 1.
    """
    if asked is not None:
        if asked > settings.max_wait_seconds:
            return None
        return asked * (1 + _JITTER * random) + _MARGIN_SECONDS
    ceiling = min(_BASE_SECONDS * 2.0**made, _MOST_BACKOFF_SECONDS)
    return min(ceiling * (0.5 + random / 2), settings.max_wait_seconds)


class Budgets:
    """The retries that upstreams may still get; one for a worker. Upstreams come from settings, so they are few."""

    def __init__(self, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds, and never goes back."""
        self._clock = clock
        self._buckets: dict[str, tuple[float, int]] = {}

    def called(self, upstream: str, settings: RetrySettings) -> None:
        """Note a call that is no retry."""
        tokens, now_us = self._now(upstream, settings)
        tokens = min(tokens + settings.budget_percent / 100, _SAVED)
        self._buckets[upstream] = (tokens, now_us)

    def take(self, upstream: str, settings: RetrySettings) -> bool:
        """Take a retry out of the budget, if there is one in it."""
        tokens, now_us = self._now(upstream, settings)
        is_there = tokens >= 1
        self._buckets[upstream] = (tokens - is_there, now_us)
        return is_there

    def _now(self, upstream: str, settings: RetrySettings) -> tuple[float, int]:
        now_us = self._clock()
        tokens, since_us = self._buckets.get(upstream, (_SAVED, now_us))
        gained = settings.budget_per_second * (now_us - since_us) / _US
        return min(tokens + gained, _SAVED), now_us
