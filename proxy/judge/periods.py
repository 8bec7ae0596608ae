"""Hours, days and months of UTC, as numbers that name accounts.

What lives here: in which period a moment lies, and when that ends. What does not: the clock, limits (`budgets.py`, `spend_rate.py`).
"""

from datetime import date, timedelta
from functools import lru_cache

from proxy.judge.lines import Vary

MINUTE_US = 60 * 1_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
_EPOCH = date(1970, 1, 1)
_MONTHS_A_YEAR = 12
_PAST_ANY_MONTH = timedelta(days=32)


@lru_cache(maxsize=8)
def month_of(day: int) -> tuple[int, int]:
    """Give the number of the month in which a day (since the epoch) lies, and the day on which the next one begins."""
    found = _EPOCH + timedelta(days=day)
    following = (found.replace(day=1) + _PAST_ANY_MONTH).replace(day=1)
    return found.year * _MONTHS_A_YEAR + found.month - 1, (following - _EPOCH).days


def period_end_us(vary: Vary, now_us: int) -> int:
    """Say when the hour, day or month of an account ends."""
    if vary is Vary.MONTH:
        return month_of(now_us // DAY_US)[1] * DAY_US
    length = DAY_US if vary is Vary.DAY else HOUR_US
    return (now_us // length + 1) * length
