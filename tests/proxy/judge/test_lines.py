"""Units, warnings and lifetimes of lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.judge.claims import MOST, NONE, Mode, Scope, Take
from proxy.judge.lines import Amount, Rule, micro, nano, take, warn_at
from proxy.judge.verdict import Reason
from tests.helpers.judging import TERMS

RULE = Rule("caps", Reason.STEPS, "run", "caps.steps")


def test_dollars_and_seconds_become_whole_numbers_and_no_larger_ones_than_keepers_can_count():
    assert (nano(0.1), nano(1e-9), nano(1e300)) == (100_000_000, 1, MOST)
    assert (micro(0.5), micro(1e300)) == (500_000, MOST)


@pytest.mark.parametrize(
    ("limit", "share", "expected"),
    [(10, 0.8, 8), (1, 0.8, 1), (3, 0.5, 2), (100, 1.0, 100), (0, 0.8, NONE), (10, None, NONE)],
)  # fmt: skip
def test_a_limit_is_near_from_its_share_on(limit: int, share: float | None, expected: int):  # fmt: skip
    assert warn_at(limit, share) == expected


@given(st.integers(1, MOST), st.floats(0.001, 1))
def test_a_warning_is_never_beyond_its_limit(limit: int, share: float):
    assert 0 < warn_at(limit, share) <= limit


def test_a_line_reserves_what_is_known_afterwards_only():
    line = take(RULE, 5, Scope.ROOT, 10, "enforce", 99)
    assert line.claim == Take(5, Scope.ROOT, 1, 10, NONE, Mode.ENFORCE, False, 99)
    held = take(Rule("caps", Reason.COST, "run", "caps.cost_usd", (4, 8)), 5, Scope.ROOT, 10, "observe", 99, Amount.COST)  # fmt: skip
    assert held.claim == Take(5, Scope.ROOT, 1, 10, 4, Mode.OBSERVE, True, 99)


def test_accounts_of_sessions_live_as_long_as_sessions():
    assert TERMS.ttl_us(Scope.SESSION) == TERMS.session_ttl_us
    assert TERMS.ttl_us(Scope.RUN) == TERMS.ttl_us(Scope.ROOT) == TERMS.run_ttl_us
