"""What has arrived is given out whole and in order; gaps are measured between arrivals."""

import pytest

from proxy.forward.inbox import HIGH_WATER_BYTES, Inbox


def test_an_inbox_begins_empty():
    inbox = Inbox(5.0)
    assert inbox.is_empty()
    assert inbox.take() == b""
    assert (inbox.chunks, inbox.max_gap, inbox.last_at) == (0, 0.0, 5.0)


@pytest.mark.parametrize(
    "arrivals",
    [[[b"abc"]], [[b"a", b"bc"]], [[b"a"], [b"b"], [b"c"]]],
    ids=["one", "two at once", "three times"],
)
def test_taking_gives_all_that_is_there_in_order_and_empties_it(arrivals):
    inbox = Inbox(0.0)
    for pieces in arrivals:
        inbox.put(pieces, 1.0)
    assert inbox.take() == b"abc"
    assert inbox.is_empty()
    assert inbox.take() == b""


def test_a_piece_that_came_alone_is_given_without_a_copy():
    inbox, piece = Inbox(0.0), b"x" * 100
    inbox.put([piece], 1.0)
    assert inbox.take() is piece


def test_arrivals_are_counted_and_not_their_pieces():
    inbox = Inbox(0.0)
    inbox.put([b"a", b"b"], 1.0)
    inbox.put([b"c"], 2.0)
    assert inbox.chunks == 2


def test_the_longest_gap_is_one_between_arrivals_and_not_the_wait_for_the_first():
    inbox = Inbox(0.0)
    for now in (100.0, 101.0, 104.0, 104.5):
        inbox.put([b"x"], now)
    assert inbox.max_gap == 3.0
    assert inbox.last_at == 104.5


def test_an_inbox_is_full_beyond_the_high_water_mark_until_it_is_taken():
    inbox = Inbox(0.0)
    states = []
    for piece in (b"x" * HIGH_WATER_BYTES, b"x"):
        inbox.put([piece], 1.0)
        states.append(inbox.full)
    inbox.take()
    assert [*states, inbox.full] == [False, True, False]
