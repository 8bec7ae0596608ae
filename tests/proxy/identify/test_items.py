import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.identify.items import (
    _without_thoughts,
    answer_item,
    head,
    is_telling,
    joined,
    tool_item,
    user_item,
)

SEED = 3


@pytest.mark.parametrize(
    ("issued", "tells"),
    [
        ("call_0", False), ("functions.search:3", False), ("call_00_", False), ("tooluse_search", False), ("a1b2", False),
        ("D681PevKs", True), ("toolu_01T1x1fJ34qAmk2tNTrN7Up6", True), ("0123456789", True),
        ("call_kQwVtRZyAbCDeFgHiJKLmnOP", True), ("call_kQwVtRZyAbCDeFgHiJKLmn17", True),
        ("call_searchInAllTheDocuments_1", False), ("SEARCH_THE_WEB_AGAIN_2", False),
    ],
)  # fmt: skip
def test_only_ids_that_no_other_call_has_are_telling(issued, tells):
    assert is_telling(issued) is tells


def test_an_answer_is_the_same_with_thoughts_as_text_and_without():
    plain = answer_item(SEED, "Hello")
    assert answer_item(SEED, "<think>well</think>\nHello ") == plain
    assert answer_item(SEED, "well</think>Hello") == plain
    assert answer_item(SEED, " ") is None


THOUGHT = re.compile(
    r"<(think|thinking)>.*?</\1>|\A.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE
)
"""What is left out, in the words of an expression that costs the square of a text's length."""
TAGS = st.sampled_from(["<think>", "</think>", "<thinking>", "</thinking>", "<THINK>", "</Think>", "a", "\n"])  # fmt: skip


@given(st.lists(TAGS, max_size=9).map("".join))
def test_thoughts_are_left_out_wherever_they_stand(text):
    assert _without_thoughts(text) == THOUGHT.sub("", text)


@pytest.mark.parametrize("end", ["</think", "</thinking>"])
def test_thoughts_that_never_end_cost_no_more_than_the_length_of_the_text(end):
    """Else this test would take an hour."""
    assert answer_item(SEED, "a" + "<think>" * 200_000 + end + "b") is not None


def test_text_and_calls_of_one_answer_may_stand_apart():
    first, second = ("call_a1b2c3d4e5", "f", b"{}"), ("call_f6g7h8i9j0", "g", b"{}")
    whole = answer_item(SEED, "Look", [first, second])
    parts = [answer_item(SEED, "Look"), answer_item(SEED, "", [first]), answer_item(SEED, "", [second])]  # fmt: skip
    assert whole
    assert all(parts)
    text, one, two = parts
    assert text
    assert one
    assert two
    assert joined(joined(text, one), two) == whole
    assert joined(text, text).text not in (text.text, whole.text)


def test_a_digit_makes_the_full_form_another_but_not_the_loose_one():
    one, two = user_item(SEED, "It is 10:01"), user_item(SEED, "It is 10:02")
    assert one
    assert two
    assert one.full != two.full
    assert one.loose == two.loose
    long = user_item(SEED, "1" * 40_000)
    later = user_item(SEED, "at 5", is_later=True)
    assert long
    assert long.full == long.loose
    assert later
    assert later.full == later.loose


def test_blanks_do_not_count_in_the_beginning():
    assert head(SEED, "a b\n c") == head(SEED, "abc")
    assert head(SEED, " ") == 0
    assert user_item(SEED, " ") is None
    assert user_item(SEED, "", [b"png"]) is not None


def test_calls_that_are_written_into_the_text_have_their_ids_and_names():
    text = "Calling tools:\n[{'id': 'call_a1B2c3', 'type': 'function', 'function': {'name': 'search', 'arguments': {'q': 'tea'}}}]"  # fmt: skip
    written = answer_item(3, text)
    assert written
    assert (written.ids, written.names) == (("call_a1B2c3",), ("search",))
    other = answer_item(3, text.replace("Calling", "calling"))
    assert other
    assert (other.ids, other.names) == ((), ())


def test_long_ids_and_names_are_kept_short_and_still_lead_to_their_calls():
    issued = "call_" + "thought" * 10_000
    made = answer_item(SEED, "", [(issued, "f" * 10_000, b"{}")] * 100)
    assert made is not None
    assert len(made.telling) == len(made.ids) < 100
    assert set(tool_item(SEED, issued, "f", ()).telling) == set(made.telling)
    assert sum(map(len, made.ids + made.names)) < 64 * 300
