"""What each sort of claim finds and comes to."""

import pytest

from proxy.judge.claims import (
    MOST,
    NONE,
    Age,
    BreakerRule,
    Claim,
    Finding,
    Hold,
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
    Turned,
    owner_of,
)
from proxy.state.accounts import Accounts
from proxy.state.claiming import Taken, claimed

NOW_US = 1_790_000_000_000_000
RUN = owner_of("t", "r")
OWNERS = ("", RUN, RUN, "")
TTL_US = 1000


def take(amount: int, limit: int, warn: int, *, reserve: bool) -> Take:
    return Take(1, Scope.RUN, amount, limit, warn, Mode.ENFORCE, reserve, TTL_US)


def come_to(accounts: Accounts, claims: list[Claim], now_us: int) -> Taken:
    taken = Taken()
    claimed(accounts.books, claims, OWNERS, now_us, taken)
    return taken


def found(accounts: Accounts, claim: Claim, now_us: int = NOW_US) -> list[tuple[Level, int, int, int]]:  # fmt: skip
    findings = come_to(accounts, [claim], now_us).findings
    assert all(each.claim == 0 for each in findings)
    return [(each.level, each.value, each.limit, each.wait_us) for each in findings]


@pytest.mark.parametrize(
    ("settled", "reserved", "claim", "expected"),
    [
        (4, 0, take(1, 5, NONE, reserve=False), []),
        (5, 0, take(1, 5, NONE, reserve=False), [(Level.OVER, 5, 5, 0)]),
        (3, 0, take(1, 5, 5, reserve=False), []),
        (4, 0, take(1, 5, 5, reserve=False), [(Level.WARN, 5, 5, 0)]),
        (4, 9, take(1, 5, NONE, reserve=False), []),
        (5, 0, take(1, NONE, NONE, reserve=False), []),
        (4, 0, take(99, 5, NONE, reserve=True), []),
        (5, 0, take(0, 5, 1, reserve=True), [(Level.OVER, 5, 5, 0)]),
        (1, 2, take(2, 5, NONE, reserve=True), []),
        (1, 2, take(3, 5, 1, reserve=True), [(Level.BUSY, 3, 5, 0)]),
        (1, 2, take(2, 5, 5, reserve=True), [(Level.WARN, 5, 5, 0)]),
        (1, 2, take(2, 5, 6, reserve=True), []),
        (1, 2, take(2, NONE, 0, reserve=True), [(Level.WARN, 5, 0, 0)]),
        (MOST, 0, take(MOST, NONE, 1, reserve=False), [(Level.WARN, MOST, 1, 0)]),
        (MOST - 1, MOST, take(MOST, MOST, 1, reserve=True), [(Level.BUSY, MOST, MOST, 0)]),
    ],
)  # fmt: skip
def test_a_take_is_held_against_what_is_settled_and_reserved(settled, reserved, claim, expected):  # fmt: skip
    accounts = Accounts(10)
    accounts.books.owned[(1, RUN)] = (NOW_US + 1, settled, reserved)
    assert found(accounts, claim) == expected
    added = min((reserved if claim.reserve else settled) + claim.amount, MOST)
    after = (settled, added) if claim.reserve else (added, reserved)
    assert accounts.used(1, RUN, NOW_US) == after


def test_an_account_that_has_expired_begins_anew():
    accounts = Accounts(10)
    accounts.apply([Settle(1, RUN, 0, 9, TTL_US)], NOW_US)
    assert found(accounts, take(1, 5, NONE, reserve=False), NOW_US + TTL_US - 1) != []
    assert found(accounts, take(1, 5, NONE, reserve=False), NOW_US + 2 * TTL_US - 1) == []  # fmt: skip
    assert accounts.used(1, RUN, NOW_US + 2 * TTL_US) == (1, 0)


def test_an_age_counts_from_the_first_touch_as_long_as_it_is_touched():
    accounts, claim = Accounts(10), Age(1, Scope.RUN, 1500, 1000, Mode.ENFORCE, TTL_US)
    assert found(accounts, claim, NOW_US) == []
    assert found(accounts, claim, NOW_US + 900) == []
    assert found(accounts, claim, NOW_US + 1500) == [(Level.WARN, 1500, 1000, 0)]
    assert found(accounts, claim, NOW_US + 1501) == [(Level.OVER, 1501, 1500, 0)]
    assert found(accounts, claim, NOW_US + 1501 + TTL_US) == []  # a new one
    unlimited = Age(1, Scope.RUN, NONE, NONE, Mode.ENFORCE, TTL_US)
    assert found(accounts, unlimited, NOW_US + 3000) == []


def test_a_gate_is_shut_until_its_time():
    accounts, claim = Accounts(10), Pass(1, Mode.ENFORCE)
    assert found(accounts, claim) == []
    accounts.apply([Shut(1, NOW_US + 9), Shut(1, NOW_US + 5)], NOW_US)
    assert found(accounts, claim) == [(Level.OVER, 0, 0, 9)]
    assert found(accounts, claim, NOW_US + 9) == []


def test_a_permit_has_a_number_and_says_whether_it_is_for_a_probe():
    accounts, rule = Accounts(10), BreakerRule(consecutive=1)
    claim = Permit(1, Mode.OBSERVE, rule)
    first = come_to(accounts, [claim], NOW_US)
    assert first.holds == [Hold(1, "", Phase.CLOSED, NOW_US, 0)]
    again = come_to(accounts, [claim], NOW_US + 1)
    assert (again.holds, again.before) == (first.holds, [])  # hardly older: not written
    accounts.apply([Signal(1, -1, NOW_US, rule, 0)], NOW_US)
    assert found(accounts, claim) == [(Level.OVER, 0, 0, rule.open_us)]
    now_us = NOW_US + rule.open_us
    probe = come_to(accounts, [claim, claim], now_us)
    assert probe.turned == [Turned(1, Phase.OPEN, Phase.HALF_OPEN)]
    assert [each.amount for each in probe.holds] == [Phase.HALF_OPEN]
    assert [each.claim for each in probe.findings] == [1]  # the second sees the first


def test_a_breaker_that_is_asked_again_and_again_is_not_forgotten():
    accounts, rule = Accounts(10), BreakerRule()
    claim, now_us = Permit(1, Mode.ENFORCE, rule), NOW_US
    for _ in range(10):
        [hold] = come_to(accounts, [claim], now_us).holds
        assert hold.permit == NOW_US
        now_us += rule.longest_us
    now_us += 10 * rule.longest_us
    [hold] = come_to(accounts, [claim], now_us).holds
    assert hold.permit == now_us


def test_a_series_keeps_its_newest():
    accounts = Accounts(10)
    for push, expected in [((1, 2), (1, 2)), ((), (1, 2)), ((3, 4), (2, 3, 4))]:
        claim = Tail(1, Scope.RUN, push, 3, TTL_US)
        assert come_to(accounts, [claim], NOW_US).tails == [expected]
    late = come_to(accounts, [Tail(1, Scope.RUN, (9,), 3, TTL_US)], NOW_US + TTL_US)  # fmt: skip
    assert late.tails == [(9,)]


def test_claims_of_a_scope_that_a_call_has_not_are_passed_over():
    accounts = Accounts(10)
    nobody: list[Claim] = [
        Take(1, Scope.SESSION, 9, 0, 0, Mode.ENFORCE, False, TTL_US),
        Age(1, Scope.SESSION, 0, 0, Mode.ENFORCE, TTL_US),
        Tail(1, Scope.SESSION, (1,), 3, TTL_US),
    ]
    nothing = come_to(accounts, nobody, NOW_US)
    assert (nothing.findings, nothing.holds, nothing.tails) == ([], [], [()])
    assert len(accounts.books) == 0


def test_two_claims_of_a_call_cannot_both_have_the_last_unit():
    accounts, claim = Accounts(10), take(1, 1, NONE, reserve=False)
    assert come_to(accounts, [claim, claim], NOW_US).findings == [Finding(1, Level.OVER, 1, 1)]  # fmt: skip
