import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.json_array import JsonArray

STREAM = (
    b'[{\n  "a": "}]{[\\"\\\\"\n}\n,\r\n'
    b'{"b":{"c":[1,{"d":"\xc3\xa4"}]}}, 7, "no\\"ne", null,[{}],{}\n]\n'
)
EXPECTED = [
    b'{\n  "a": "}]{[\\"\\\\"\n}',
    b'{"b":{"c":[1,{"d":"\xc3\xa4"}]}}',
    b"[{}]",
    b"{}",
]


class Listener:
    def __init__(self, cap: int = 1000) -> None:
        self.elements: list[bytes] = []
        self.array = JsonArray(self.elements.append, cap)

    def feed(self, *chunks: bytes) -> "Listener":
        for chunk in chunks:
            self.array.feed(chunk)
        return self


def test_elements_are_the_same_whole_and_byte_by_byte():
    assert Listener().feed(STREAM).elements == EXPECTED
    bytewise = Listener().feed(*(STREAM[i : i + 1] for i in range(len(STREAM))))
    assert bytewise.elements == EXPECTED


def test_a_cut_at_any_place_changes_nothing():
    for at in range(len(STREAM) + 1):
        assert Listener().feed(STREAM[:at], b"", STREAM[at:]).elements == EXPECTED


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_garbage_gives_the_same_elements_however_it_is_cut(
    body: bytes, cuts: list[int]
):
    whole, sliced, last = Listener(40).feed(body), Listener(40), 0
    for cut in [*sorted(cuts), len(body)]:
        sliced.feed(body[last:cut])
        last = max(last, cut)
    assert sliced.elements == whole.elements
    assert sliced.array.truncated == whole.array.truncated


@given(
    st.lists(
        st.sampled_from([b"[", b"]", b"{", b"}", b'"', b"\\", b"a", b",", b"0123456"])
    ),
    st.randoms(),
)
def test_pieces_of_arrays_give_the_same_however_they_are_cut(
    pieces: list[bytes], dice: random.Random
):
    body = b"".join(pieces)
    cut = dice.randrange(len(body) + 1)
    whole, cut_once = (
        Listener(20).feed(body),
        Listener(20).feed(body[:cut], body[cut:]),
    )
    assert cut_once.elements == whole.elements
    assert cut_once.array.truncated == whole.array.truncated


def test_an_element_is_known_with_the_bracket_that_completes_it():
    listener = Listener().feed(b'[{"a":1')
    assert listener.elements == []
    assert listener.feed(b"}").elements == [b'{"a":1}']


@pytest.mark.parametrize("pieces", [1, 7, 100_000])
def test_an_element_beyond_the_cap_is_skipped_and_flagged_and_the_next_is_read(
    pieces: int,
):
    body = b'[{"a":"' + b"x" * 5000 + b'"},{"b":1}]'
    listener = Listener().feed(
        *(body[i : i + pieces] for i in range(0, len(body), pieces))
    )
    assert listener.elements == [b'{"b":1}']
    assert listener.array.truncated


def test_an_element_without_end_is_not_held_beyond_the_cap():
    listener = Listener().feed(b'[{"a":"')
    for _ in range(1000):
        listener.feed(b"x" * 100)
    assert listener.array.truncated
    assert sum(map(len, listener.array._waiting)) <= 1000


def test_an_ordinary_array_is_not_flagged():
    assert not Listener().feed(STREAM).array.truncated
