"""What memory keeps beside runs that live."""

from typing import Any

from proxy.identify.changes import Lead, Push, Shelf
from proxy.identify.facts import RETRY_US, Asked, Calls, Link, Run
from proxy.state.memory import MemoryState
from proxy.state.strays import Past
from tests.helpers.runs.tracking import DAY_US, drive


def look(state: MemoryState, *keys: int) -> Any:
    return drive(state.look(keys))


def stray(step_id: str, key: int, now: int, state: str = "open", **more: Any) -> Push:
    return Push(key, Shelf.BRIEF, Asked("", step_id, 0, 0, now, state=state, **more))


def test_a_call_of_no_run_is_known_until_it_is_done():
    state = MemoryState(10, DAY_US)
    state.note("t", "", [stray("a", 1, 5), stray("b", 1, 6)], 6)
    state.note("t", "", [stray("a", 1, 7, "failed")], 7)
    known = look(state, 1)[1]
    assert isinstance(known, Calls)
    assert [(each.step_id, each.state) for each in known.asked] == [("b", "open"), ("a", "failed")]  # fmt: skip
    state.note("t", "", [stray("a", 1, 8, attempt=1), stray("a", 1, 9, "done")], 9)
    state.note("t", "", [stray("b", 1, 9, "done")], 9)
    known = look(state, 1)[1]
    assert isinstance(known, Calls)
    assert [each.attempt for each in known.asked] == [1]
    state.note("t", "", [stray("a", 1, 9, "done", attempt=1)], 9)
    assert (look(state, 1), state.strays.all()) == ({}, [])
    state.note("t", "", [stray("z", 1, 9, "done"), Lead(2, Shelf.LINK, Link("r"))], 9)
    assert look(state, 1, 2) == {}


def test_calls_of_no_run_are_forgotten_in_time_and_beyond_the_cap():
    state = MemoryState(2, DAY_US)
    state.note("t", "", [stray(str(key), key, key) for key in (1, 2, 3)], 3)
    assert ([where for where, _ in state.strays.all()], state.strays.evicted) == (
        [2, 3],
        1,
    )
    state.expire(2 + RETRY_US)
    assert list(look(state, 1, 2, 3)) == [3]
    state.note("t", "", [], 3 + RETRY_US)
    assert look(state, 3) == {}


def test_of_runs_that_have_ended_the_newest_are_kept_and_each_is_given_once():
    past = Past(2)
    for run_id in "abac":
        past.keep(Run("t", run_id, run_id))
    assert [(run.run_id, run.has_ended) for run in past.all()] == [("a", True), ("c", True)]  # fmt: skip
    assert [past.take(("t", run_id)) is None for run_id in "ba"] == [True, False]
    assert past.take(("t", "a")) is None
