"""All claims of a call, or none; and what is told afterwards."""

from typing import Any

import pytest

from proxy.judge.claims import (
    NONE,
    Age,
    Allow,
    BreakerRule,
    Change,
    Claim,
    Extend,
    Level,
    Mode,
    Pass,
    Permit,
    Phase,
    Scope,
    Settle,
    Shut,
    Signal,
    Tail,
    Take,
    owner_of,
)
from proxy.state.accounts import Accounts

NOW_US = 1_790_000_000_000_000
RUN, SESSION = owner_of("t", "r"), owner_of("t", "s")
OWNERS = ("", RUN, RUN, SESSION)
TTL_US = 1000
RULE = BreakerRule(consecutive=1)
WRONG: Any = None


def count(key: int, limit: int, mode: Mode = Mode.ENFORCE, scope: Scope = Scope.ROOT) -> Take:  # fmt: skip
    return Take(key, scope, 1, limit, NONE, mode, False, TTL_US)


def contents(accounts: Accounts) -> list[dict[Any, Any]]:
    return [dict(each) for each in accounts.books.shelves]


EACH_SORT: list[Claim] = [
    count(1, NONE),
    count(1, NONE, scope=Scope.OWN),
    Take(2, Scope.SESSION, 5, NONE, 1, Mode.ENFORCE, True, TTL_US),
    Age(3, Scope.RUN, NONE, NONE, Mode.ENFORCE, TTL_US),
    Pass(4, Mode.ENFORCE),
    Permit(5, Mode.ENFORCE, RULE),
    Tail(6, Scope.RUN, (7,), 3, TTL_US),
]


def test_where_one_claim_refuses_none_is_applied():
    accounts = Accounts(100)
    answer = accounts.claim([*EACH_SORT, count(9, 0)], OWNERS, NOW_US)
    assert not answer.admitted
    assert [each.level for each in answer.findings] == [
        Level.OVER
    ]  # no warning of what did not happen
    assert (answer.holds, answer.tails, answer.turned) == ((), ((),), ())
    assert len(accounts.books) == 0


@pytest.mark.parametrize("last", [count(9, 0), count(9, NONE)])
def test_a_refused_call_changes_nothing_but_the_times_of_what_it_touched(last):
    accounts = Accounts(100)
    first = accounts.claim(EACH_SORT, OWNERS, NOW_US)
    assert first.admitted
    before = contents(accounts)
    refused = accounts.claim([*EACH_SORT, *EACH_SORT, count(9, 0)], OWNERS, NOW_US + 7)
    assert not refused.admitted
    assert refused.tails == ((7,), (7,))
    after = contents(accounts)
    assert [list(each) for each in after] == [list(each) for each in before]
    for shelf, known in zip(after[:4], before[:4], strict=True):
        assert [each[1:] for each in shelf.values()] == [each[1:] for each in known.values()]  # fmt: skip
        assert {each[0] for each in shelf.values()} == {NOW_US + 7 + TTL_US}
    assert after[4:] == before[4:]
    assert accounts.claim([*EACH_SORT, last], OWNERS, NOW_US).admitted is (last.limit == NONE)  # fmt: skip


@pytest.mark.parametrize("wrong", ["no claim", count(8, WRONG), Tail(8, Scope.OWN, WRONG, 3, TTL_US)])  # fmt: skip
def test_where_one_claim_is_not_understood_none_is_applied(wrong):
    accounts = Accounts(100)
    accounts.claim(EACH_SORT[:3], OWNERS, NOW_US)
    before = contents(accounts)
    with pytest.raises((KeyError, TypeError)):
        accounts.claim([*EACH_SORT, wrong], OWNERS, NOW_US)
    assert contents(accounts) == before


def test_who_is_refused_and_goes_on_does_not_begin_anew():
    accounts = Accounts(100)
    for number in range(50):
        answer = accounts.claim([count(1, 3)], OWNERS, NOW_US + number * TTL_US // 2)
        assert answer.admitted is (number < 3)
    assert accounts.claim([count(1, 3)], OWNERS, NOW_US + 100 * TTL_US).admitted


def test_what_only_observes_never_refuses_and_counts_on():
    accounts = Accounts(100)
    accounts.apply([Shut(4, NOW_US + 9), Signal(5, -1, 0, RULE, 0)], NOW_US)
    claims: list[Claim] = [
        count(1, 0, Mode.OBSERVE),
        Pass(4, Mode.OBSERVE),
        Permit(5, Mode.OBSERVE, RULE),
        Age(3, Scope.RUN, 0, NONE, Mode.OBSERVE, TTL_US),
    ]
    answers = [accounts.claim(claims, OWNERS, NOW_US + each) for each in (0, 1)]
    assert [each.admitted for each in answers] == [True, True]
    assert [[each.claim for each in answer.findings] for answer in answers] == [[0, 1, 2], [0, 1, 2, 3]]  # fmt: skip
    assert answers[1].holds == ()  # an open breaker gives no permit
    assert accounts.used(1, RUN, NOW_US) == (2, 0)


def test_a_run_that_is_allowed_on_passes_its_own_limits_and_no_others():
    accounts = Accounts(100)
    own: list[Claim] = [count(1, 0), count(2, 0, scope=Scope.SESSION), count(3, 0, scope=Scope.RUN)]  # fmt: skip
    accounts.apply([Allow(RUN, NOW_US + 100)], NOW_US)
    answer = accounts.claim(own, OWNERS, NOW_US)
    assert (answer.admitted, answer.allowed, len(answer.findings)) == (True, True, 3)
    assert not accounts.claim([count(4, 0, scope=Scope.OWN)], OWNERS, NOW_US).admitted
    accounts.apply([Shut(5, NOW_US + 9)], NOW_US)
    assert not accounts.claim([Pass(5, Mode.ENFORCE)], OWNERS, NOW_US).admitted
    later = accounts.claim(own, OWNERS, NOW_US + 100)
    assert (later.admitted, later.allowed) == (False, False)
    accounts.apply([Allow(RUN, NOW_US + 999), Allow(RUN, 0)], NOW_US)
    assert not accounts.claim(own, OWNERS, NOW_US).admitted


def test_no_flood_of_runs_drives_a_budget_out():
    accounts = Accounts(500)
    budget = Take(1, Scope.OWN, 1, NONE, NONE, Mode.ENFORCE, False, 10**9)
    accounts.claim([budget], OWNERS, NOW_US)
    for number in range(5000):
        run = owner_of("t", f"r{number}")
        accounts.claim([count(2, NONE)], ("", run, run, ""), NOW_US)
    assert accounts.used(1, "", NOW_US) == (1, 0)
    assert len(accounts.books) <= 501
    assert accounts.books.evicted >= 4500


def test_what_is_settled_after_it_was_forgotten_is_counted_and_no_reservation_is_below_nothing():
    accounts = Accounts(100)
    accounts.apply([Settle(1, RUN, 5, 3, TTL_US), Settle(1, "", 5, 2**53, TTL_US)], NOW_US)  # fmt: skip
    assert accounts.used(1, RUN, NOW_US) == (3, 0)
    assert accounts.used(1, "", NOW_US) == (2**53 - 1, 0)
    assert accounts.used(1, RUN, NOW_US + TTL_US) == (0, 0)


def test_a_series_can_be_added_to_after_the_answer():
    accounts = Accounts(100)
    changes: list[Change] = [Extend(6, RUN, (1, 2), 3, TTL_US), Extend(6, RUN, (3, 4), 3, TTL_US)]  # fmt: skip
    accounts.apply(changes, NOW_US)
    assert accounts.claim([Tail(6, Scope.RUN, (), 9, TTL_US)], OWNERS, NOW_US).tails == ((2, 3, 4),)  # fmt: skip


def test_the_phase_of_a_breaker_can_be_read():
    accounts = Accounts(100)
    assert accounts.phase(5, NOW_US) is Phase.CLOSED
    assert accounts.apply([Signal(5, 0, 0, RULE, 0)], NOW_US) == ()
    accounts.apply([Signal(5, -1, 0, RULE, 0)], NOW_US)
    assert accounts.phase(5, NOW_US) is Phase.OPEN
