import msgspec
import pytest

from proxy.judge.breaker import fresh
from proxy.judge.claims import (
    Allow,
    BreakerRule,
    Extend,
    Mode,
    Permit,
    Scope,
    Settle,
    Shut,
    Take,
)
from proxy.state import books as module
from proxy.state.accounts import ALLOWED_US, Accounts
from proxy.state.books import Books

MANY = 100_000
HOUR_US = 3_600_000_000


def full() -> Accounts:
    accounts = Accounts(MANY)
    accounts.claim([Permit(7, Mode.ENFORCE, BreakerRule())], ("", "", "", ""), 5)
    accounts.apply(
        [
            Settle(1, "", 0, 5, HOUR_US),
            Settle(1, "t\0r", 0, 6, HOUR_US),
            Extend(2, "t\0r", (2**64 - 1, 1), 5, HOUR_US),
            Shut(3, 9),
            Allow("t\0r", 77),
        ],
        5,
    )
    accounts.books.ages[(4, "")] = (10, 5)
    return accounts


def test_a_snapshot_holds_everything_and_is_of_one_moment():
    accounts = full()
    before = [dict(each) for each in accounts.books.shelves]
    pieces = accounts.books.snapshot()
    accounts.apply([Settle(1, "", 0, 1, HOUR_US), Shut(99, 99)], 6)
    again = Books(MANY)
    for piece in pieces:
        again.restore(piece, 6)
    assert [dict(each) for each in again.shelves] == before
    assert len(again) == 7
    assert again.breakers[7][1] == fresh(5)
    assert again.evicted == 0


@pytest.mark.parametrize("piece", [b"", b"\x90\x90", b"\x91\xa1x", b"\xff"])
def test_a_broken_piece_is_refused(piece):
    with pytest.raises(msgspec.MsgspecError):
        Books(10).restore(piece, 0)


def test_a_sweep_takes_parts_and_in_the_end_all_that_expired(monkeypatch):
    monkeypatch.setattr(module, "A_SWEEP", 10)
    accounts = Accounts(1000)
    accounts.apply([Settle(each, "", 0, 1, 100 * (each % 2 + 1)) for each in range(50)], 0)  # fmt: skip
    accounts.books.sweep(150)  # it begins a round
    accounts.apply([Settle(0, "", 0, 1, 1000)], 0)  # touched meanwhile
    sizes = []
    for _ in range(7):
        accounts.books.sweep(150)
        sizes.append(len(accounts.books))
    assert sizes == [46, 41, 36, 31, 26, 26, 26]
    accounts.books.shelves[0].clear()
    for _ in range(9):
        accounts.books.sweep(150)
    assert len(accounts.books) == 0


def test_what_is_reserved_for_the_dead_is_settled_at_what_was_reserved():
    books = Books(10)
    books.own[(1, "")] = (9, 5, 0)
    books.owned[(1, "t\0r")] = (9, 5, 7)
    books.owned[(2, "t\0r")] = (9, 2**53 - 2, 7)
    books.abandon()
    assert dict(books.own) == {(1, ""): (9, 5, 0)}
    assert dict(books.owned) == {(1, "t\0r"): (9, 12, 0), (2, "t\0r"): (9, 2**53 - 1, 0)}  # fmt: skip


def test_a_hundred_thousand_accounts_are_written_in_pieces_of_bounded_size():
    """What a piece takes is measured by bench/judging.py."""
    accounts = Accounts(MANY)
    for each in range(MANY):
        accounts.books.owned[(each, f"t\0run-{each}")] = (10**15, each, 0)
    sizes = [len(piece) for piece in accounts.books.snapshot()]
    assert len(sizes) == MANY // module.A_PIECE
    assert max(sizes) < 64 * module.A_PIECE


def test_what_two_lives_kept_adds_up():
    late, early = full(), full()
    early.books.abandon()
    early.books.gates[3] = (20,)
    early.books.gates[30] = (8,)
    early.books.own[(100, "")] = (HOUR_US, 7, 0)
    early.books.breakers[70] = early.books.breakers[7]
    early.books.ages[(4, "")] = (12, 3)
    early.apply([Allow("t\0r", 78)], 9)
    early.books.allowed["t\0s"] = (5, 1)
    late.books.take_over(early.books, 6)
    assert late.used(1, "", 6) == (10, 0)
    assert late.used(1, "t\0r", 6) == (12, 0)
    assert late.used(100, "", 6) == (7, 0)
    assert late.books.ages[(4, "")] == (12, 3)
    assert late.books.series[(2, "t\0r")][1] == (2**64 - 1, 1) * 2
    assert dict(late.books.gates) == {3: (20,), 30: (8,)}
    assert set(late.books.breakers) == {7, 70}
    assert late.books.allowed == {"t\0r": (9 + ALLOWED_US, 78), "t\0s": (5, 1)}


def test_what_is_held_now_stays_held_when_a_predecessor_s_is_added():
    accounts, early = Accounts(MANY), full()
    accounts.claim([Take(1, Scope.OWN, 3, -1, -1, Mode.OBSERVE, True, HOUR_US)], ("", "", "", ""), 5)  # fmt: skip
    accounts.books.take_over(early.books, 6)
    assert accounts.used(1, "", 6) == (5, 3)
