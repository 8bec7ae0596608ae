"""Which failures are tried again, how long that waits, and what a budget lets through."""

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.judge.retries import (
    NOT_DONE,
    UNKNOWN,
    Budgets,
    RetrySettings,
    may_repeat,
    wait_seconds,
)
from proxy.model import Kind

PLAIN = RetrySettings()
SECOND = 1_000_000


@pytest.mark.parametrize(
    ("status", "kind", "method", "may"),
    [
        (429, Kind.LLM, b"POST", True),
        (503, Kind.TOOL, b"POST", True),
        (529, Kind.MCP, b"POST", True),
        (500, Kind.LLM, b"POST", True),
        (502, Kind.EMBEDDING, b"POST", True),
        (504, Kind.TOOL, b"GET", True),
        (500, Kind.TOOL, b"POST", False),
        (502, Kind.MCP, b"POST", False),
        (504, Kind.TOOL, b"DELETE", False),
        (501, Kind.LLM, b"POST", False),
        (400, Kind.LLM, b"POST", False),
        (408, Kind.LLM, b"POST", False),
        (409, Kind.LLM, b"POST", False),
        (200, Kind.LLM, b"POST", False),
    ],
)
def test_what_may_have_been_done_is_not_done_twice(status, kind, method, may):
    assert may_repeat(status, kind, method, ()) is may


def test_who_says_that_it_does_not_help_is_believed():
    headers = [(b"X-Should-Retry", b" False ")]
    assert not may_repeat(429, Kind.LLM, b"POST", headers)
    assert may_repeat(429, Kind.LLM, b"POST", [(b"x-should-retry", b"true")])
    assert not may_repeat(400, Kind.LLM, b"POST", [(b"x-should-retry", b"true")])


def test_what_is_asked_for_is_waited_but_no_longer_than_the_settings_allow():
    assert wait_seconds(PLAIN, 0, 3.0, 0.0) == pytest.approx(3.01)
    assert wait_seconds(PLAIN, 0, 3.0, 0.5) == pytest.approx(3.16)
    assert wait_seconds(PLAIN, 0, 10.1, 0.0) is None
    assert wait_seconds(PLAIN, 4, 0.0, 0.9) == pytest.approx(0.01)


def test_waits_grow_up_to_a_bound():
    assert [wait_seconds(PLAIN, n, None, 0.0) for n in range(6)] == [0.25, 0.5, 1, 2, 4, 4]  # fmt: skip
    short = RetrySettings(max_wait_seconds=0.3)
    assert wait_seconds(short, 3, None, 0.9) == 0.3


@given(st.integers(0, 5), st.none() | st.floats(0, 1000), st.floats(0, 1, exclude_max=True))  # fmt: skip
def test_no_wait_is_longer_than_the_settings_allow_or_shorter_than_asked(made, asked, random):  # fmt: skip
    wait = wait_seconds(PLAIN, made, asked, random)
    if wait is not None:
        assert (asked or 0) <= wait <= PLAIN.max_wait_seconds * 1.1 + 0.01


class Clock:
    us = 0

    def __call__(self) -> int:
        return self.us


def test_a_lone_call_is_tried_again_and_time_gives_more():
    clock = Clock()
    budgets = Budgets(clock)
    assert [budgets.take("a", PLAIN) for _ in range(11)] == [True] * 10 + [False]
    clock.us += 2 * SECOND
    assert [budgets.take("a", PLAIN) for _ in range(3)] == [True, True, False]
    assert budgets.take("b", PLAIN)  # another upstream has a budget of its own


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 2 * SECOND)), max_size=60)
)
def test_retries_never_exceed_their_share_however_calls_come(story):
    clock = Clock()
    budgets = Budgets(clock)
    calls = taken = 0
    for count, pause in story:
        clock.us += pause
        for _ in range(count):
            budgets.called("a", PLAIN)
            calls += 1
            taken += budgets.take("a", PLAIN)
        allowed = 10 + calls * PLAIN.budget_percent / 100 + clock.us / SECOND * PLAIN.budget_per_second  # fmt: skip
        assert taken <= allowed + 1e-6


PAGE = (Path(__file__).parents[3] / "docs" / "fallback.md").read_text(encoding="utf-8")


def test_the_page_has_each_setting_with_its_default():
    told = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", PAGE, re.MULTILINE))
    defaults = msgspec.structs.asdict(RetrySettings())
    assert {name: float(value) for name, value in told.items()} == defaults
    for status in NOT_DONE | UNKNOWN:
        assert str(status) in PAGE
