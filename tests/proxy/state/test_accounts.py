"""All claims of a call, or none; and what is told afterwards."""

from collections.abc import Sequence
from itertools import takewhile
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
    Owners,
    Pass,
    Permit,
    Phase,
    Scope,
    Settle,
    Shut,
    Signal,
    Tail,
    Take,
    again,
    owner_of,
    taken_back,
)
from proxy.state.accounts import ALLOWED_US, Accounts

NOW_US = 1_790_000_000_000_000
RUN, SESSION = owner_of("t", "r"), owner_of("t", "s")
OWNERS: Owners = ("", RUN, RUN, SESSION)
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


def tries(accounts: Accounts, claims: Sequence[Claim], owners: Owners = OWNERS) -> int:
    """Ask until the call is refused; say how many times it was not."""
    found = (accounts.claim(claims, owners, NOW_US).admitted for _ in range(99))
    return len(list(takewhile(bool, found)))


def test_a_run_that_is_allowed_on_gets_the_same_again_and_no_more():
    accounts, child = Accounts(100), ("", owner_of("t", "child"), RUN, "")
    of_root, of_run = count(1, 3), count(2, 5, scope=Scope.RUN)
    others = [count(3, 0, scope=Scope.OWN), count(4, 1, scope=Scope.SESSION)]
    assert [tries(accounts, [of_root, of_run]), tries(accounts, [of_run], child)] == [3, 5]  # fmt: skip
    assert tries(accounts, others[1:]) == 1
    accounts.apply([Allow(RUN, 7)], NOW_US)
    assert [tries(accounts, [of_root, of_run]), tries(accounts, [of_run], child)] == [3, 5]  # fmt: skip
    assert [tries(accounts, [each]) for each in others] == [0, 0]
    accounts.apply([Allow(RUN, 7)], NOW_US)  # the same request, sent again
    assert tries(accounts, [of_root]) == 0
    accounts.apply([Allow(RUN, 2**64 - 1), Allow(SESSION, 0)], NOW_US)
    assert [tries(accounts, [of_root]), tries(accounts, others[1:])] == [3, 1]


def test_ages_and_series_begin_anew_where_a_run_is_allowed_on():
    accounts = Accounts(100)
    claims: list[Claim] = [Age(3, Scope.ROOT, 5, NONE, Mode.ENFORCE, TTL_US), Tail(6, Scope.RUN, (7,), 3, TTL_US)]  # fmt: skip
    assert accounts.claim(claims, OWNERS, NOW_US).admitted
    assert not accounts.claim(claims, OWNERS, NOW_US + 6).admitted
    accounts.apply([Allow(RUN, 7)], NOW_US + 6)
    answer = accounts.claim(claims, OWNERS, NOW_US + 7)
    assert (answer.admitted, answer.tails) == (True, ((7,),))
    assert not accounts.claim(claims, OWNERS, NOW_US + 13).admitted


def test_what_is_held_when_a_run_is_allowed_on_is_settled_where_it_is_held():
    accounts = Accounts(100)
    claims: list[Claim] = [Take(1, Scope.ROOT, 4, 10, NONE, Mode.ENFORCE, True, TTL_US), count(2, NONE)]  # fmt: skip
    before = accounts.claim(claims, OWNERS, NOW_US)
    accounts.apply([Allow(RUN, 7)], NOW_US)
    after = accounts.claim(claims, OWNERS, NOW_US)
    ((held_before,), (held_after,)) = before.holds, after.holds
    assert (held_before.owner, held_after.owner) == (RUN, again(RUN, 7))
    for hold, actual in ((held_before, 9), (held_after, 3)):
        accounts.apply([Settle(hold.key, hold.owner, hold.amount, actual, TTL_US)], NOW_US)  # fmt: skip
    assert accounts.used(1, RUN, NOW_US) == (9, 0)
    assert accounts.used(1, again(RUN, 7), NOW_US) == (3, 0)
    accounts.apply(taken_back(claims, after), NOW_US)
    assert accounts.used(2, again(RUN, 7), NOW_US) == (0, 0)


def test_who_goes_on_asking_stays_allowed_on_and_others_are_forgotten():
    accounts, times = Accounts(100), (0, ALLOWED_US - 1, ALLOWED_US + 99, 2 * ALLOWED_US + 99)  # fmt: skip
    accounts.apply([Allow(RUN, 7), Allow(SESSION, 8)], NOW_US)
    found = [accounts.claim([count(1, NONE)], OWNERS, NOW_US + each).owners[2:] for each in times]  # fmt: skip
    assert found == [(again(RUN, 7), again(SESSION, 8))] * 3 + [(RUN, SESSION)]


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
