"""What one call did to the accounts survives its bytes."""

import msgspec
import pytest

from proxy.judge.claims import (
    Age,
    BreakerRule,
    Claim,
    Mode,
    Permit,
    Scope,
    Settle,
    Tail,
    Take,
)
from proxy.state import tally
from proxy.state.accounts import Accounts

OWNERS = ("", "t\0r", "t\0r", "")
CLAIMS: list[Claim] = [
    Take(1, Scope.ROOT, 1, 9, -1, Mode.ENFORCE, False, 100),
    Take(2, Scope.ROOT, 70, 900, -1, Mode.ENFORCE, True, 100),
    Age(3, Scope.RUN, 50, -1, Mode.OBSERVE, 100),
    Tail(4, Scope.RUN, (2**64 - 1,), 5, 100),
    Permit(5, Mode.ENFORCE, BreakerRule()),
]


def test_a_successor_has_what_the_worker_had():
    accounts, heir = Accounts(100), Accounts(100)
    answer = accounts.claim(CLAIMS, OWNERS, 5)
    assert answer.admitted
    tally.replay(heir, tally.claimed(CLAIMS, OWNERS, 5))
    assert [dict(each) for each in heir.books.shelves] == [dict(each) for each in accounts.books.shelves]  # fmt: skip
    changes = [Settle(2, "t\0r", 70, 80, 100)]
    accounts.apply(changes, 9)
    tally.replay(heir, tally.changed(changes, 9))
    assert heir.used(2, "t\0r", 9) == accounts.used(2, "t\0r", 9) == (80, 0)


@pytest.mark.parametrize("said", [b"", b"\xff", b"\x91\xa1x"])
def test_what_is_broken_is_refused(said):
    with pytest.raises(msgspec.MsgspecError):
        tally.replay(Accounts(9), said)
