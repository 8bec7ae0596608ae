"""A call is named by what its provider says, where that names one call, and by what it says otherwise."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.identify.call_ids import call_ids, own_id

A, B = "call_FJStsEjxdODw9tBmQRRkm6vY", "toolu_01A09q90qw90lq917835lq9"


def test_a_providers_id_stands():
    assert call_ids(1, [(A, "f"), (B, "g")], [b"{}", b"{}"]) == [A, B]


def test_where_there_is_none_the_id_is_ours():
    ours = call_ids(1, [("", "f"), ("", "f"), ("", "g")], [b"{}", b"{}", b"{}"])
    assert ours == [own_id(1, "f", b"{}", 0), own_id(1, "f", b"{}", 1), own_id(1, "g", b"{}", 2)]  # fmt: skip
    assert len(set(ours)) == 3


def test_an_id_that_is_repeated_or_counted_names_no_call():
    again = call_ids(1, [(A, "f"), (A, "f"), ("call_0", "f"), (B, "f")], [b"{}"] * 4)
    assert again[3] == B
    assert all(each.startswith("tacho_call_") for each in again[:3])
    assert len(set(again)) == 4


CALLS = st.lists(
    st.tuples(st.sampled_from(["", "call_0", A, B]), st.text(max_size=3), st.binary(max_size=5)),
    max_size=6,
)  # fmt: skip


@given(CALLS, st.integers(0, 2**64 - 1))
def test_no_two_calls_of_an_answer_have_the_same_id(
    calls: list[tuple[str, str, bytes]], seed: int
):
    named = [(call_id, name) for call_id, name, _ in calls]
    ids = call_ids(seed, named, [written for _, _, written in calls])
    assert len(set(ids)) == len(calls)
    assert ids == call_ids(seed, named, [written for _, _, written in calls])


def test_ids_of_ours_are_keyed():
    assert own_id(1, "f", b"{}", 0) != own_id(2, "f", b"{}", 0)
