"""Faults come as often as they should."""

from collections import Counter
from random import Random

import pytest

from proxy.simulate.faults import Rates, Tally, due
from proxy.simulate.plan import ALWAYS, Fault

ONCE, TWICE = Fault("fail", 500), Fault("fail", 529, times=2)
SLOW = Fault("slow", seconds=1.0, times=ALWAYS)


def test_faults_happen_one_after_the_other_for_each_key():
    tally = Tally()
    seen = [[f.status for f in due([ONCE, TWICE], "k", tally)] for _ in range(4)]
    assert seen == [[500], [529], [529], []]
    assert due([ONCE], "other", tally) == (ONCE,)


def test_slowness_comes_with_whatever_ends_the_answer():
    tally = Tally()
    assert due([SLOW, ONCE, TWICE], "k", tally) == (SLOW, ONCE)
    assert due([SLOW, ONCE], "k", tally) == (SLOW,)


def test_memory_is_bounded_and_forgets_the_oldest():
    tally = Tally(max_keys=2)
    assert [tally.next(key) for key in "aabcab"] == [0, 1, 0, 0, 0, 0]
    assert len(tally) == 2


def test_rates_come_true():
    rates = Rates.parse("5xx=0.2, 429=0.1,cut=0.1,slow=0.05")
    dice = Random(4)
    thrown = Counter(
        f.kind if f else "" for f in (rates.throw(dice) for _ in range(4000))
    )
    assert thrown["fail"] == pytest.approx(1200, rel=0.1)
    assert thrown["cut"] == pytest.approx(400, rel=0.2)
    assert thrown[""] == pytest.approx(2200, rel=0.1)
    limited = Rates.parse("429=1").throw(dice)
    assert limited == Fault("fail", 429, retry_after_seconds=1.0)
    assert Rates().throw(dice) is None


@pytest.mark.parametrize(
    "text",
    ["6xx=0.1", "cut", "cut=2", "cut=-1", "hang=x", "cut=0.6,hang=0.6", "999=0.1"],
)
def test_rates_that_make_no_sense_are_refused(text):
    with pytest.raises(ValueError, match="fault rate"):
        Rates.parse(text)
