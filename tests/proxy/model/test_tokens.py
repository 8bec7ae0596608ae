"""What token counts and money add up to, and which values cannot be built."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model import Cost, CostSource, Usage

COUNTS = st.none() | st.integers(0, 2**40)
USAGES = st.builds(Usage, *[COUNTS] * 9)


@given(USAGES, USAGES)
def test_adding_usages_adds_bucket_by_bucket_and_unknown_plus_known_is_known(
    a: Usage, b: Usage
):
    for left, right, both in zip(
        a.buckets(), b.buckets(), (a + b).buckets(), strict=True
    ):
        known = [count for count in (left, right) if count is not None]
        assert both == (sum(known) if known else None)


@given(USAGES, USAGES)
def test_totals_add_like_their_usages(a: Usage, b: Usage):
    assert (a + b).total() == a.total() + b.total()


@given(USAGES)
def test_the_empty_usage_changes_nothing(usage: Usage):
    assert usage + Usage() == usage == Usage() + usage


def test_a_usage_of_which_nothing_is_known_counts_nothing():
    assert Usage().total() == 0
    assert set(Usage().buckets()) == {None}


@pytest.mark.parametrize("place", range(9))
def test_no_bucket_can_be_negative(place: int):
    counts: list[int | None] = [None] * 9
    counts[place] = -1
    with pytest.raises(ValueError, match="never negative"):
        Usage(*counts)


@pytest.mark.parametrize(
    ("cost", "total"),
    [
        (Cost(), None),
        (Cost(CostSource.UNPRICED, rate_input=5), None),
        (Cost(CostSource.COMPUTED, input=0), 0),
        (Cost(CostSource.COMPUTED, 1, 2, 4, 8, 16, 32, rate_input=1000), 63),
        (Cost(CostSource.COMPUTED, output=8), 8),
    ],
    ids=["nothing", "unpriced", "free", "all parts", "one part"],
)
def test_a_cost_is_the_sum_of_its_parts_or_unknown(cost: Cost, total: int | None):
    assert cost.total() == total
