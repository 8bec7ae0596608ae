"""Durations grow with the work, and the speed scales them."""

from random import Random

import pytest

from proxy.simulate.pace import Pace
from proxy.simulate.question import Bill

STEADY = Pace(jitter=0.0)


def first(bill, pace=STEADY):
    return pace.before_first_token(bill, Random(1))


def test_longer_prompts_and_reasoning_take_longer_and_cached_ones_less():
    assert first(Bill(100_000)) > first(Bill(1000)) > first(Bill(0))
    assert first(Bill(1000, reasoning=800)) == pytest.approx(first(Bill(1000)) + 10)
    assert first(Bill(0, cache_read=100_000)) < first(Bill(100_000))


def test_tokens_take_their_time_and_speed_divides_it():
    assert STEADY.of_tokens(80, Random(1)) == pytest.approx(1.0)
    fast = Pace(speed=10.0, jitter=0.0)
    assert fast.of_tokens(80, Random(1)) == pytest.approx(0.1)
    assert Pace(speed=0).of_tokens(80, Random(1)) == 0.0


def test_jitter_is_bounded_and_the_same_for_the_same_dice():
    wild = Pace(jitter=9.0)
    times = [wild.of_tokens(80, Random(seed)) for seed in range(200)]
    assert min(times) >= 0.25
    assert max(times) <= 4.0
    assert times[7] == wild.of_tokens(80, Random(7))


@pytest.mark.parametrize(
    "wrong", [{"speed": -1}, {"tokens_per_second": 0}, {"jitter": -0.1}]
)
def test_what_is_no_speed_is_refused(wrong):
    with pytest.raises(ValueError, match="not negative"):
        Pace(**wrong)
