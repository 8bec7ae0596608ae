from proxy.identify.facts import Session
from proxy.state.common import Common


def test_beyond_the_cap_what_was_touched_the_longest_ago_is_forgotten_and_counted():
    common = Common(2)
    for where in (1, 2, 1, 3):
        common.keep(where, Session(str(where), 5))
    assert [where for where, _ in common.all()] == [1, 3]
    assert common.get(2) is None
    assert common.get(3) == Session("3", 5)
    assert common.evicted == 1
