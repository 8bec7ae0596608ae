from hypothesis import given
from hypothesis import strategies as st

from proxy.identify.known import SHARE, Known


def test_the_oldest_is_forgotten_first():
    known: Known[str, int] = Known(2, 1000)
    for number, key in enumerate("abc"):
        known.add(key, number, 1)
    assert [known.get(key) for key in "abc"] == [None, 1, 2]
    assert (len(known), known.weight) == (2, 2)


def test_what_is_known_is_not_weighed_twice():
    known: Known[str, int] = Known(2, 1000)
    known.add("a", 1, 5)
    known.add("a", 2, 7)
    assert (known.get("a"), known.weight) == (1, 5)


def test_what_is_too_heavy_is_not_remembered():
    known: Known[str, int] = Known(9, SHARE * 10)
    known.add("a", 1, 11)
    assert known.get("a") is None


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 12))))
def test_neither_number_nor_weight_exceeds_its_bound(added):
    known: Known[int, int] = Known(5, 100)
    weights: dict[int, int] = {}
    for key, weight in added:
        known.add(key, key, weight)
        weights.setdefault(key, weight)
        if known.get(key) is None:
            del weights[key]
        weights = {
            each: w for each, w in weights.items() if known.get(each) is not None
        }
        assert len(known) == len(weights) <= 5
        assert known.weight == sum(weights.values()) <= 100
