import time

import msgspec
import pytest

from proxy.identify.changes import Lead, Push, Shelf
from proxy.identify.facts import Asked, Link, Run
from proxy.state.memory import MemoryState
from proxy.state.snapshot import pieces, restore
from tests.helpers.runs.generated import interleaved
from tests.helpers.runs.tracking import DAY_US, Tracker, content, drive


def tracked(runs: int, steps: int) -> Tracker:
    tracker = Tracker()
    for now, made in enumerate(interleaved("chat", 4, runs, steps)):
        begun = tracker.begin(made.body, now)
        tracker.end(begun, now, made.state, made.text, made.calls, made.response_id)
    return tracker


def test_a_snapshot_holds_all_and_taking_it_over_twice_changes_nothing():
    state = tracked(15, 12).state
    for key in (1, 2):
        calls = [Asked("", f"s{key}", 0, 0, 5), Asked("", "s", 0, 0, key)]
        state.note("t", "", [Push(key, Shelf.BRIEF, each) for each in calls], 5)
    assert len(state.strays.all()) == 2
    written = list(pieces(state))
    other = MemoryState(100_000, DAY_US)
    for _ in range(2):
        for piece in written:
            restore(other, piece)
    assert content(other) == content(state)


def test_runs_may_end_and_begin_while_a_snapshot_is_written():
    """What lived at the beginning lives again, so that its end is told if nobody has; what began since is told by the records behind it."""
    state = MemoryState(1000, DAY_US)
    for number in range(100):
        drive(state.admit(Run("t", str(number), str(number), seen_us=1), [], is_step=True))  # fmt: skip
    writing = pieces(state)
    written = [next(writing)]
    state.expire(1 << 60)
    drive(state.admit(Run("t", "new", "new", seen_us=1), [], is_step=True))
    written += writing
    other = MemoryState(1000, DAY_US)
    for piece in written:
        restore(other, piece)
    assert {run.run_id for run in other.runs()} == {
        str(number) for number in range(100)
    }
    assert other.past.all() == []


def test_what_ended_runs_were_is_kept_unless_they_have_come_back():
    state, other = MemoryState(1000, 100), MemoryState(1000, 100)
    for run_id, now in (("a", 1), ("b", 2), ("c", 500)):
        drive(state.admit(Run("t", run_id, run_id, seen_us=now), [], is_step=True))
    drive(other.admit(Run("t", "b", "b", seen_us=2), [], is_step=True))
    for piece in pieces(state):
        restore(other, piece)
    assert [run.run_id for run in other.past.all()] == ["a"]
    assert (
        drive(other.admit(Run("t", "a", "a", seen_us=9), [], is_step=True)).step_seq
        == 2
    )


def test_a_link_that_went_with_another_run_is_not_written():
    state = MemoryState(10, DAY_US)
    for run_id in "ab":
        lead = Lead(1, Shelf.LINK, Link(run_id))
        drive(state.admit(Run("t", run_id, run_id, seen_us=1 + (run_id == "b")), [lead], is_step=True))  # fmt: skip
    state.expire(DAY_US + 1)
    written = list(pieces(state))
    other = MemoryState(10, DAY_US)
    for piece in written:
        restore(other, piece)
    assert content(other) == content(state) == ([*state.runs()], {}, {}, [])


def test_a_broken_piece_is_refused():
    with pytest.raises(msgspec.MsgspecError):
        restore(MemoryState(10, DAY_US), b"\x93")


def test_a_piece_of_ten_thousand_live_runs_holds_the_loop_up_for_less_than_25_ms():
    state = tracked(30, 30).state
    full = [(live[0].run, [*live[1]]) for each in state.runs() if (live := state.live((each.tenant, each.run_id)))]  # fmt: skip
    for number in range(10_000):
        run = msgspec.structs.replace(full[number % len(full)][0], run_id=str(number))
        state.observe(run, [])
    worst, started = 0.0, time.thread_time()
    for _ in pieces(state):
        worst, started = max(worst, time.thread_time() - started), time.thread_time()
    assert worst < 0.025
