"""Where the calls of a store are cut into pieces, and that together they are all of them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli.questions import NoAnswerError
from proxy.cli.store import Store
from proxy.cli.whatif_calls import MINUTE_US, Minute, pieces, read_calls
from proxy.errors import TachoError
from proxy.replay.rows import Call, call_of
from tests.helpers.fake_store import fake_store
from tests.helpers.replayed import row

MINUTES = st.dictionaries(st.integers(0, 50), st.integers(1, 9), max_size=20).map(
    lambda found: [Minute(minute * MINUTE_US, found[minute]) for minute in sorted(found)]
)  # fmt: skip


@given(MINUTES, st.integers(1, 20))
def test_each_minute_is_in_one_piece_and_no_piece_is_too_large(
    minutes: list[Minute], most: int
):
    found = list(pieces(minutes, most))
    assert [cut for pair in found for cut in pair] == sorted(cut for pair in found for cut in pair)  # fmt: skip
    inside = [[each for each in minutes if begin <= each.minute_us < end] for begin, end in found]  # fmt: skip
    assert [each for piece in inside for each in piece] == minutes
    assert all(len(piece) == 1 or sum(each.calls for each in piece) <= most for piece in inside)  # fmt: skip


def test_pieces_are_as_large_as_they_may_be():
    minutes = [Minute(n * MINUTE_US, 2) for n in (1, 2, 5, 6)]
    assert list(pieces(minutes, 4)) == [(MINUTE_US, 3 * MINUTE_US), (5 * MINUTE_US, 7 * MINUTE_US)]  # fmt: skip
    assert list(pieces([])) == []


def told(status: int = 200, before: bytes = b"") -> list[Call]:
    """Ask a store that gives the same line for each piece."""
    with fake_store() as server:
        minutes = b"".join(b'{"minute_us": %d, "calls": 50000}\n' % (n * MINUTE_US) for n in range(3))  # fmt: skip
        line = msgspec.json.Encoder(decimal_format="number").encode(row()) + b"\n"
        server.answers = {"-- How many lines": (200, minutes), "-- Which calls": (status, before + line)}  # fmt: skip
        store = Store(server.url, "u", "p", "tacho")
        found: list[Call] = []
        read_calls(store, found.append, tenant="", since_us=1, history_us=0)
    assert len(server.asked) == 4
    return found


def test_all_pieces_are_asked_for_and_the_last_call_is_told_of():
    assert told() == [call_of([row()])] * 3


def test_a_piece_that_is_refused_ends_it():
    with pytest.raises(NoAnswerError):
        told(500)


def test_lines_that_nobody_understands_are_said():
    with pytest.raises(TachoError, match=r"cannot be read: .*; were they written by a newer version"):  # fmt: skip
        told(before=b'[1, "x"]\n')
