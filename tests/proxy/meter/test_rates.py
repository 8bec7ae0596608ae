"""Whole numbers, one rounding a part, and the right rate at each moment."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.meter.rates import (
    DETAIL_UNITS,
    FEE_UNITS,
    Billed,
    PriceLine,
    Rates,
    Schedule,
    cost_of,
    half_even,
)
from proxy.model import Cost, CostSource, Usage
from proxy.units import KNOWN

DAY = 86_400_000_000


def cost(usage, usd, uses=(), details=()):
    billed = Billed(usage, details, uses)
    return cost_of(billed, Rates.read(usd), CostSource.COMPUTED, "v")


def line(usd, start="", daily=None, when=None):
    return PriceLine(usd={"input": usd}, start=start, daily=daily, when=when or {})


def input_rate(schedule, at_us, context=None):
    return schedule.rates(at_us, context or {}).buckets[0].base // 10**18


@pytest.mark.parametrize(
    ("amount", "whole"),
    [(0, 0), (4, 0), (5, 0), (6, 1), (14, 1), (15, 2), (16, 2), (25, 2), (26, 3)],
)
def test_halves_go_to_the_even_neighbour(amount, whole):
    assert half_even(amount, 10) == whole


def test_each_bucket_has_its_own_rate():
    usd = {
        "input": "1",
        "cache_read": "2",
        "cache_write": "3",
        "cache_write_1h": "4",
        "output": "5",
        "output_reasoning": "6",
        "input_audio": "7",
        "output_audio": "8",
        "input_image": "9",
    }
    usage = Usage(*(10**index for index in range(9)))
    found = cost_of(Billed(usage), Rates.read(usd), CostSource.COMPUTED, "v")
    assert found == Cost(
        source=CostSource.COMPUTED,
        input=(1 + 7 * 10**6 + 9 * 10**8) * 10**6,
        cache_read=2 * 10**7,
        cache_write=(3 * 10**2 + 4 * 10**3) * 10**6,
        output=(5 * 10**4 + 8 * 10**7) * 10**6,
        reasoning=6 * 10**5 * 10**6,
        rate_input=10**6,
        price_version="v",
    )


def test_a_bucket_without_a_rate_takes_the_more_general_one():
    usage = Usage(1, 1, 1, 1, 1, 1, 1, 1, 1)
    assert cost(usage, {"input": "1", "output": "2"}).parts() == (
        3_000_000,
        1_000_000,
        2_000_000,
        4_000_000,
        2_000_000,
        None,
    )


def test_what_has_no_rate_at_all_costs_nothing():
    free = cost(Usage(input=5, output=5), {})
    assert (free.input, free.output, free.total()) == (0, 0, 0)


def test_unknown_buckets_have_no_cost():
    nothing = cost(Usage(), {"input": "1", "requests_kcount": "5"})
    assert nothing.parts() == (None,) * 6
    assert nothing.total() is None


def test_each_part_is_rounded_once_and_the_total_is_their_sum():
    usd = {"input": "0.0000005", "input_audio": "0.0000005", "output": "0.0000015"}
    found = cost(Usage(input=1, audio_in=2, output=1), usd)
    assert (found.input, found.output, found.total(), found.rate_input) == (2, 2, 4, 0)


def test_eighteen_decimals_are_exact():
    usd = {"input": "0.100000000000000001"}
    assert Rates.read(usd).buckets[0].base == 100_000_000_000_000_001
    assert cost(Usage(input=10**12), usd).input == 10**17 + 1


@pytest.mark.parametrize(
    ("cached", "rate"), [(0, 1), (100, 1), (101, 2), (1000, 2), (1001, 4)]
)
def test_the_step_passed_by_all_input_counts_for_every_token(cached, rate):
    usd = {"input": ("1", [(200, "2"), (1100, "4")]), "output": "3"}
    found = cost(Usage(input=100, cache_read=cached, output=7), usd)
    assert found.input == 100 * rate * 10**6
    assert found.output == 21 * 10**6
    assert found.rate_input == rate * 10**6


def test_fees_are_the_request_and_the_tools_that_have_a_price():
    usd = {"input": "1", "requests_kcount": "5", "web_searches_kcount": "10"}
    uses = (("web_search_call", 3), ("code_execution", 2))
    assert cost(Usage(input=1), usd, uses).other == 5 * 10**9 + 3 * 10**10


def test_a_request_that_is_billed_by_use_alone_is_a_request_too():
    usd = {"requests_kcount": "5", "rerank_searches_kcount": "2"}
    assert cost(Usage(), usd, (("search_units", 2),)).other == 9 * 10**9


def test_an_hour_is_divided_exactly_and_rounded_once():
    usd = {"audio_hours": "0.111", "input_document_kpages": "1"}
    uses = (("input_audio_seconds", 7), ("pages", 1))
    exact = Fraction(111, 1000) * 7 / 3600 * 10**12 + 10**9
    assert cost(Usage(), usd, uses).other == round(exact)


def test_the_more_special_fee_is_asked_first():
    usd = {"audio_hours": "3.6", "input_audio_hours": "7.2"}
    uses = [("audio_seconds", 10**9), ("input_audio_seconds", 2 * 10**9)]
    found = [cost(Usage(), usd, (use,)).other for use in uses]
    assert found == [10**18, 4 * 10**18]


def test_tokens_with_a_price_of_their_own_pay_that_instead_of_their_buckets():
    usd = {"input": "1", "cache_read": "2", "cache_audio_read": "5", "input_video": "3"}
    usage = Usage(input=100, cache_read=50, output=10)
    details = (("cache_audio_read", 20), ("input_video", 30), ("output_image", 4))
    found = cost(usage, usd, details=details)
    assert found.input == (70 * 1 + 30 * 3) * 10**6
    assert found.cache_read == (30 * 2 + 20 * 5) * 10**6
    assert found.output == 0


def test_details_never_exceed_their_bucket_and_never_make_one():
    usd = {"input": "1", "input_video": "3", "input_text": "2", "cache_audio_read": "9"}
    details = (("input_video", 70), ("input_text", 70), ("cache_audio_read", 5))
    found = cost(Usage(input=100), usd, details=details)
    assert found.input == (70 * 3 + 30 * 2) * 10**6
    assert found.cache_read is None


def test_a_detail_reaches_the_same_steps_as_its_bucket():
    usd = {"output": ("1", [(10, "2")]), "output_image": ("10", [(10, "20")])}
    usage = Usage(input=11, output=5)
    assert cost(usage, usd, details=(("output_image", 2),)).output == 46 * 10**6


COUNTS = st.none() | st.integers(0, 10**9)
PRICES = st.decimals(0, 1000, places=9).map(lambda usd: format(usd, "f"))
UNITS = st.sampled_from(sorted(KNOWN))


@settings(max_examples=50, deadline=None)  # the machine is shared
@given(
    st.tuples(*[COUNTS] * 9),
    st.dictionaries(UNITS, PRICES),
    st.lists(st.tuples(st.sampled_from(sorted(DETAIL_UNITS)), st.integers(0, 10**9))),
    st.lists(st.tuples(st.sampled_from(sorted(FEE_UNITS)), st.integers(0, 10**6))),
)
def test_parts_are_never_negative_and_known_where_their_tokens_are(
    counts, usd, details, uses
):
    usage = Usage(*counts)
    found = cost(usage, usd, tuple(uses), tuple(details))
    assert all(part is None or part >= 0 for part in found.parts())
    assert found.total() == (
        sum(part or 0 for part in found.parts()) if any(p is not None for p in found.parts()) else None
    )  # fmt: skip
    for name in ("cache_read", "reasoning"):
        assert (getattr(found, name) is None) is (getattr(usage, name) is None)


@settings(max_examples=50, deadline=None)  # the machine is shared
@given(st.tuples(*[COUNTS] * 9), st.dictionaries(UNITS, PRICES))
def test_more_tokens_never_cost_less(counts, usd):
    more = Usage(*(None if count is None else count + 1 for count in counts))
    assert (cost(more, usd).total() or 0) >= (cost(Usage(*counts), usd).total() or 0)


def test_of_the_lines_that_hold_the_last_counts_and_else_the_first():
    schedule = Schedule(
        [line("1", "1970-01-05"), line("2", "1970-01-10"), line("3", "1970-01-20")], []
    )
    days = [(0, 1), (4 * DAY, 1), (9 * DAY - 1, 1), (9 * DAY, 2), (19 * DAY, 3)]
    assert [input_rate(schedule, at) for at, _ in days] == [rate for _, rate in days]


@pytest.mark.parametrize(
    ("daily", "hours"),
    [
        (("16:30:00", "18:00:00"), [17]),
        (("22:00:00", "02:00:00"), [0, 1, 22, 23]),
        (("00:00:00", "01:00:00"), [0]),
    ],
)
def test_a_daily_window_may_pass_midnight(daily, hours):
    schedule = Schedule([line("1"), line("2", daily=daily)], [])
    assert [
        hour
        for hour in range(24)
        if input_rate(schedule, 5 * DAY + hour * DAY // 24) == 2
    ] == hours


def test_a_variant_needs_all_its_words_and_its_time():
    schedule = Schedule(
        [line("1")],
        [
            line("2", when={"service_tier": "flex"}),
            line("3", "1970-01-10", when={"service_tier": "flex"}),
        ],
    )
    assert input_rate(schedule, 20 * DAY) == 1
    assert input_rate(schedule, 20 * DAY, {"service_tier": "auto"}) == 1
    assert input_rate(schedule, 0, {"service_tier": "flex"}) == 2
    assert input_rate(schedule, 20 * DAY, {"service_tier": "flex"}) == 2


def test_the_first_variant_wins_for_each_unit_and_the_rest_stays_standard():
    schedule = Schedule(
        [PriceLine(usd={"input": "1", "output": "2", "cache_read": "3"})],
        [
            PriceLine(usd={"input": "10"}, when={"a": "b"}),
            PriceLine(usd={"input": "20", "output": "30"}, when={"a": "b"}),
        ],
    )
    buckets = schedule.rates(0, {"a": "b"}).buckets
    assert [buckets[index].base // 10**18 for index in (0, 1, 4)] == [10, 3, 30]


def test_a_schedule_without_lines_is_free():
    assert Schedule([], []).rates(0, {}).buckets[0].base == 0


def test_the_same_moment_reads_its_rates_once():
    schedule = Schedule([line("1")], [])
    assert schedule.rates(0, {}) is schedule.rates(DAY, {})
