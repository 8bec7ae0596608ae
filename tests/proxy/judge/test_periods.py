"""Hours, days and months of UTC."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from proxy.judge.lines import Vary
from proxy.judge.periods import DAY_US, HOUR_US, month_of, period_end_us

MOMENTS = st.integers(0, 7_258_118_399).map(lambda seconds: seconds * 1_000_000)


def at(us: int) -> datetime:
    return datetime.fromtimestamp(us // 1_000_000, UTC)


@given(MOMENTS)
def test_a_month_is_that_of_the_calendar_and_ends_where_the_next_begins(now_us: int):
    count, following = month_of(now_us // DAY_US)
    assert count == at(now_us).year * 12 + at(now_us).month - 1
    assert month_of(following)[0] == count + 1
    assert month_of(following - 1)[0] == count


@given(MOMENTS, st.sampled_from([Vary.HOUR, Vary.DAY, Vary.MONTH]))
def test_a_period_ends_after_now_and_on_the_hour_the_day_or_the_first(now_us: int, vary: Vary):  # fmt: skip
    end = period_end_us(vary, now_us)
    longest = {Vary.HOUR: HOUR_US, Vary.DAY: DAY_US, Vary.MONTH: 31 * DAY_US}[vary]
    assert 0 < end - now_us <= longest
    moment = at(end)
    assert (moment.minute, moment.second) == (0, 0)
    assert vary is Vary.HOUR or moment.hour == 0
    assert vary is not Vary.MONTH or moment.day == 1
