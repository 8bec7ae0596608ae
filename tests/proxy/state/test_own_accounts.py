"""Accounts in a keeper's own memory: asked, told, swept, and breakers that turn are told of."""

from proxy.judge.claims import (  # fmt: skip
    BreakerRule,
    Mode,
    Permit,
    Phase,
    Scope,
    Settle,
    Signal,
    Take,
)
from proxy.state.own_accounts import OwnAccounts
from tests.helpers.runs.tracking import drive

NOBODY = ("", "", "", "")
RULE = BreakerRule(consecutive=1, open_us=10, jitter_percent=0)


def test_a_breaker_that_turns_is_told_of_however_it_turned():
    turned: list[Phase] = []
    keeper = OwnAccounts(turned=lambda each: turned.append(each.after))
    claims = [Permit(7, Mode.ENFORCE, RULE)]
    answer = drive(keeper.claim(claims, NOBODY, 1))
    assert answer is not None
    keeper.tell([Signal(7, -1, answer.holds[0].permit, RULE, 0)], 2)
    assert turned == [Phase.OPEN]
    again = drive(keeper.claim(claims, NOBODY, 50))
    assert again is not None
    assert again.admitted
    assert turned == [Phase.OPEN, Phase.HALF_OPEN]


def test_what_has_expired_is_swept():
    keeper = OwnAccounts(10)
    drive(keeper.claim([Take(1, Scope.OWN, 1, 5, -1, Mode.ENFORCE, False, 10)], NOBODY, 0))  # fmt: skip
    for _ in range(2):
        keeper.sweep(100)
    assert len(keeper.accounts.books) == 0


def test_what_is_spent_is_what_was_settled():
    keeper = OwnAccounts(10)
    held = Take(1, Scope.OWN, 3, 9, -1, Mode.ENFORCE, True, 100)
    drive(keeper.claim([held], NOBODY, 0))
    assert drive(keeper.spent([1, 2], 0)) == {1: 0, 2: 0}
    keeper.tell([Settle(1, "", 3, 5, 100)], 0)
    assert drive(keeper.spent([1, 2], 0)) == {1: 5, 2: 0}
