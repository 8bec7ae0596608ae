"""What is stored is found, and bounded."""

from proxy.simulate.store import Store, Stored


def test_what_is_put_is_found_until_it_is_dropped():
    store = Store()
    stored = Stored([], {"id": "a"}, 5)
    store.put("a", stored)
    assert store.get("a") is stored
    assert store.drop("a")
    assert not store.drop("a")
    assert store.get("a") is None


def test_the_oldest_is_forgotten_by_number_and_by_size():
    store = Store(max_entries=2, max_bytes=100)
    for key in "abc":
        store.put(key, Stored([], {}, 10))
    assert store.get("a") is None
    store.put("d", Stored([], {}, 95))
    assert [store.get(key) is None for key in "abcd"] == [True, True, True, False]
    store.put("e", Stored([], {}, 101))
    assert len(store) == 0
    store.put("f", Stored([], {}, 100))
    assert len(store) == 1
