"""What series of hashes look like when an agent runs in circles; each pattern beside the plainest way to say it."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.judge.loops import cycled, repeated, same_errors, unchanged

SERIES = st.lists(st.integers(1, 3), max_size=24)
A, B, C, D = 11, 12, 13, 14


def plainly_cycled(series: Sequence[int], max_period: int) -> tuple[int, int]:
    best = (1, 0)
    for period in range(2, max_period + 1):
        pattern = list(series[-period:])
        if len(pattern) < period or len(set(pattern)) == 1:
            continue
        times = 1
        while list(series[len(series) - (times + 1) * period :][:period]) == pattern and (times + 1) * period <= len(series):  # fmt: skip
            times += 1
        if times > best[0]:
            best = (times, period)
    return best


@pytest.mark.parametrize(
    ("series", "times"), [([], 0), ([A], 1), ([A, A], 2), ([B, A, A], 2), ([A, B, A], 1), ([A] * 9, 9)]
)  # fmt: skip
def test_a_repetition_is_what_stands_at_the_end_in_a_row(series: list[int], times: int):
    assert repeated(series) == times


@pytest.mark.parametrize(
    ("series", "times", "period"),
    [
        ([], 1, 0),
        ([A, B], 1, 0),
        ([A, A, A, A], 1, 0),
        ([A, B, A, B], 2, 2),
        ([B, A, B, A, B], 2, 2),
        ([A, B, A, B, A, B], 3, 2),
        ([A, A, B, A, A, B], 2, 3),
        ([A, B, B, A, B, B], 2, 3),
        ([A, B, C, A, B, C, A, B, C], 3, 3),
        ([C, A, B, A, B, C], 1, 0),
    ],
)
def test_a_cycle_is_told_with_its_times_and_its_length(series: list[int], times: int, period: int):  # fmt: skip
    assert cycled(series, 4) == (times, period)


def test_cycles_longer_than_the_period_are_not_looked_for():
    series = [A, B, C, D] * 3
    assert cycled(series, 3) == (1, 0)
    assert cycled(series, 4) == (3, 4)


@given(SERIES, st.integers(2, 6))
def test_cycles_are_found_as_plain_comparison_finds_them(series: list[int], longest: int):  # fmt: skip
    assert cycled(series, longest) == plainly_cycled(series, longest)


@pytest.mark.parametrize(
    ("series", "errors", "times"),
    [
        ([], (), 0),
        ([A, A, 0], (), 0),
        ([A, A, A], (A,), 3),
        ([A, A, 0, A], (A,), 1),
        ([A, B, A, B], (A, B), 2),
        ([A, B, A], (A,), 2),
        ([0, A], (A,), 1),
    ],
)
def test_errors_count_since_the_newest_step_without_one(series: list[int], errors: tuple[int, ...], times: int):  # fmt: skip
    assert same_errors(series, errors) == times


@pytest.mark.parametrize(
    ("series", "times"),
    [([], 0), ([A], 0), ([A, A], 1), ([A, B, A, B], 2), ([A, B, C], 0), ([A, A, A, B], 0), ([A, B, A, A], 2)],
)  # fmt: skip
def test_no_progress_is_a_row_of_steps_that_brought_nothing_new(series: list[int], times: int):  # fmt: skip
    assert unchanged(series) == times


@given(SERIES)
def test_a_step_that_brings_something_new_ends_every_pattern(series: list[int]):
    new = [*series, 99]
    assert (repeated(new), cycled(new, 6), unchanged(new)) == (1, (1, 0), 0)


@given(SERIES, st.integers(1, 3))
def test_another_equal_step_never_looks_better(series: list[int], entry: int):
    before, after = [*series, entry], [*series, entry, entry]
    assert repeated(after) == repeated(before) + 1
    assert unchanged(after) == unchanged(before) + 1
