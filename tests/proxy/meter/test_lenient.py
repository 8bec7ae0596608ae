from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter import lenient

ANYTHING: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


def test_half_a_surrogate_pair_is_repaired():
    assert lenient.load(ANYTHING, b'["a\\ud83d", 1]') == ["a\ufffd", 1]


@pytest.mark.parametrize(
    "data", [b"", b"{", b'"\xff"', b"[" * 100_000, b"NaN", b'{"a":"\\ud83d"']
)
def test_what_cannot_be_read_is_one_of_the_known_errors(data: bytes):
    with pytest.raises(lenient.UNREADABLE):
        lenient.load(ANYTHING, data)


@pytest.mark.parametrize(
    ("raw", "value"), [(b"", None), (b"null", None), (b"[1]", [1]), (b"{", None)]
)
def test_a_member_is_decoded_later(raw: bytes, value: object):
    assert lenient.value(msgspec.Raw(raw)) == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [(b'{"a":1}', {"a": 1}), (b"[1]", None), (b"null", None), (b"", None)],
)
def test_a_table_is_an_object_or_nothing(raw: bytes, value: object):
    assert lenient.table(msgspec.Raw(raw)) == value


def test_a_member_that_is_no_object_is_empty():
    assert lenient.member({"a": {"b": 1}}, "a") == {"b": 1}
    holders: tuple[object, ...] = ({}, {"a": 1}, None, [])
    assert [lenient.member(holder, "a") for holder in holders] == [{}, {}, {}, {}]


def test_lists_and_texts_of_other_types_are_empty():
    assert (lenient.items([1]), lenient.items(None)) == ([1], [])
    assert (lenient.text("a"), lenient.text(1)) == ("a", "")


@pytest.mark.parametrize(
    ("found", "count"),
    [
        (0, 0),
        (7, 7),
        (7.0, 7),
        (7.5, None),
        (-1, None),
        (True, None),
        ("7", None),
        (None, None),
        (1 << 60, None),
        (1e300, None),
    ],
)
def test_a_count_is_whole_and_believable(found: object, count: int | None):
    assert lenient.count(found) == count


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_escaping_and_back_changes_nothing(texts: list[str]):
    pieces = [lenient.escape(text) for text in texts]
    assert lenient.unescape(pieces) == "".join(texts)
    assert lenient.characters(pieces) == len("".join(texts))


def test_a_surrogate_pair_in_two_pieces_is_one_character():
    assert lenient.unescape([b"\\ud83d", b"\\ude00"]) == "\U0001f600"


def test_broken_escapes_are_left_as_they_are():
    assert lenient.unescape([b"\\x", b"\xff"]) == "\\x\ufffd"


def test_strings_are_summed_but_for_keys_to_skip():
    found = {"a": "12", "b": [{"c": "345", "skip": "xxx"}, 7, None]}
    assert lenient.string_lengths(found, frozenset({"skip"})) == 5


def test_half_a_pair_alone_costs_itself_and_nothing_beside_it():
    assert lenient.unescape([b"\\ud83d\\ude00 \\ud83d."]) == "\U0001f600 \ufffd."
    assert lenient.unescape([b"\\\\ud83d"]) == "\\ud83d"
    assert lenient.unescape([b"\\u00e9", b"\\q"]) == "\u00e9\\q"


def test_strings_come_in_their_order_without_what_is_no_text():
    found = {"type": "t", "a": ["1", {"b": "2", "id": "i"}, 3], "c": "4"}
    assert list(lenient.strings(found, lenient.NOT_TEXT)) == ["1", "2", "4"]
    assert list(lenient.strings("x", lenient.NOT_TEXT)) == ["x"]


def test_what_can_stand_between_quotes_is_a_text():
    assert lenient.is_text(b'a\\"\\n')
    assert not lenient.is_text(b'a"b')
    assert not lenient.is_text(b"a\nb")
