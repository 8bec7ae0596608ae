"""A provider's own total is shared out exactly."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.meter.shares import share
from proxy.model import Cost, CostSource

PARTS = st.none() | st.integers(0, 10**15)
COSTS = st.builds(
    Cost,
    source=st.just(CostSource.COMPUTED),
    input=PARTS,
    cache_read=PARTS,
    cache_write=PARTS,
    output=PARTS,
    reasoning=PARTS,
    other=PARTS,
    rate_input=PARTS,
    price_version=st.just("v"),
)


def total(costs):
    return sum(cost.total() or 0 for cost in costs)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**18), st.lists(COSTS, min_size=1, max_size=4))
def test_the_shares_are_the_total_to_the_last_pico_dollar(told, costs):
    shared = share(told, costs)
    assert total(shared) == told
    assert {cost.source for cost in shared} == {CostSource.PROVIDER}
    assert {cost.price_version for cost in shared} == {"provider"}
    whole = total(costs)
    for before, after in zip(costs, shared, strict=True):
        for old, new in zip(before.parts(), after.parts(), strict=True):
            if whole:
                assert (old is None) is (new is None)
                assert abs((new or 0) * whole - (old or 0) * told) < whole
            assert new is None or new >= 0


def test_parts_keep_their_proportions_and_the_largest_remainders_get_what_is_left():
    (shared,) = share(101, [Cost(input=1, output=2, other=1, rate_input=4)])
    assert (shared.input, shared.output, shared.other) == (25, 51, 25)
    assert shared.rate_input == 101


@pytest.mark.parametrize("cost", [Cost(), Cost(input=0, output=0, rate_input=3)])
def test_where_nothing_has_a_price_all_of_it_is_other(cost):
    (shared,) = share(77, [cost])
    assert shared.other == shared.total() == 77
    assert shared.rate_input is None


def test_a_free_answer_is_free_in_all_its_parts():
    (shared,) = share(0, [Cost(input=5, output=6, rate_input=1)])
    assert (shared.input, shared.output, shared.total(), shared.rate_input) == (0, 0, 0, 0)  # fmt: skip
    assert share(0, [Cost()])[0].total() == 0
