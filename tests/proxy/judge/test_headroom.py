"""How much of the providers' limits is left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.judge.headroom import REQUESTS, TOKENS, Gauge, Headroom
from proxy.model import RateLimits


def noted(*limits, **options):
    headroom = Headroom(**options)
    for at_us, (route, model, said) in enumerate(limits):
        headroom.note(route, model, said, at_us)
    return headroom


def test_the_ratio_is_what_is_left_of_the_limit():
    said = RateLimits(
        limit_requests=200, remaining_requests=50, limit_tokens=10, remaining_tokens=0
    )
    assert [*noted(("openai", "gpt-4o", said)).gauges(1)] == [
        Gauge("openai", "gpt-4o", REQUESTS, 0.25),
        Gauge("openai", "gpt-4o", TOKENS, 0.0),
    ]


@pytest.mark.parametrize(
    "said",
    [
        RateLimits(),
        RateLimits(limit_requests=5),
        RateLimits(remaining_requests=5),
        RateLimits(limit_requests=0, remaining_requests=0),
    ],
    ids=["nothing", "limit only", "rest only", "limit of zero"],
)
def test_half_of_it_says_nothing(said):
    assert [*noted(("r", "m", said)).gauges(0)] == []


def test_more_left_than_the_limit_is_all_of_it():
    said = RateLimits(limit_tokens=10, remaining_tokens=25)
    assert [gauge.ratio for gauge in noted(("r", "m", said)).gauges(0)] == [1.0]


def test_the_newest_word_counts():
    first = RateLimits(limit_tokens=10, remaining_tokens=9)
    then = RateLimits(limit_tokens=10, remaining_tokens=1)
    headroom = noted(("r", "m", first), ("r", "m", then))
    assert [gauge.ratio for gauge in headroom.gauges(1)] == [0.1]


def test_beyond_the_capacity_what_was_heard_of_least_recently_goes():
    said = RateLimits(limit_tokens=10, remaining_tokens=5)
    headroom = noted(*[("r", model, said) for model in "abac"], capacity=2)
    assert [gauge.model for gauge in headroom.gauges(3)] == ["a", "c"]


def test_what_is_stale_is_forgotten():
    said = RateLimits(limit_tokens=10, remaining_tokens=5)
    headroom = noted(("r", "old", said), ("r", "new", said), stale_us=10)
    assert [gauge.model for gauge in headroom.gauges(10)] == ["old", "new"]
    assert [gauge.model for gauge in headroom.gauges(11)] == ["new"]
    assert [*headroom.gauges(100)] == []


_COUNTS = st.none() | st.integers(0, 1 << 53)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.text(max_size=2),
            st.builds(RateLimits, _COUNTS, _COUNTS, _COUNTS, _COUNTS),
        )
    )
)
def test_ratios_and_their_number_are_bounded(said):
    gauges = [*noted(*said, capacity=3).gauges(0)]
    assert len(gauges) <= 3
    assert all(0.0 <= gauge.ratio <= 1.0 for gauge in gauges)
