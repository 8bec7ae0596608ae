from proxy.state.shelf import Shelf


def test_what_has_expired_is_not_there():
    shelf: Shelf[str, tuple[int, str]] = Shelf(10)
    shelf.put("a", (5, "x"), 0)
    assert shelf.live("a", 4) == (5, "x")
    assert shelf.live("a", 5) is None
    assert shelf.live("b", 0) is None


def test_within_the_bound_nothing_is_forgotten():
    shelf: Shelf[int, tuple[int]] = Shelf(3)
    for each in (1, 2, 3, 1, 2, 3):
        shelf.put(each, (9,), 0)
    shelf.trim(0)
    assert (list(shelf), shelf.evicted) == ([1, 2, 3], 0)


def test_who_is_touched_survives_a_flood_and_evictions_are_counted():
    shelf: Shelf[str, tuple[int]] = Shelf(1000)
    for now in range(10_000):
        shelf.put("active", (now + 500,), now)
        shelf.put(f"flood-{now}", (now + 500,), now)
        assert len(shelf) <= 1000
    assert "active" in shelf
    assert "flood-9999" in shelf
    assert 0 < shelf.evicted <= 9001


def test_what_had_expired_is_no_eviction():
    shelf: Shelf[int, tuple[int]] = Shelf(2)
    for now in range(100):
        shelf.put(now, (now + 1,), now)
    assert shelf.evicted == 0
