from msgspec.structs import replace

from proxy.identify.changes import (
    Change,
    Keep,
    Lead,
    Push,
    Shelf,
    Wait,
    continued,
    pushes,
)
from proxy.identify.facts import Asked, Calls, Link, Run, Session, Waiting, Waits
from proxy.state import memo
from proxy.state.joining import numbered
from proxy.state.memory import MemoryState
from tests.helpers.runs.generated import interleaved
from tests.helpers.runs.tracking import DAY_US, Tracker, content, drive

RUN = Run("t", "r1", "r1", step_seq=3, began_us=1, seen_us=5)
ASKED = Asked("r1", "s3", 3, 1, 5, keys=(11, 12))
CHANGES: list[Change] = [
    Push(11, Shelf.CHAIN, ASKED),
    Push(12, Shelf.BRIEF, ASKED),
    Lead(13, Shelf.LINK, Link("r1", 1)),
    Wait(14, Waits("r1", 1, 5, ("search",))),
    Keep(15, Session("session-1", 5)),
]


def looked(state: MemoryState) -> object:
    return drive(state.look([11, 12, 13, 14, 15]))


def test_what_was_learned_at_an_admission_is_learned_again_once():
    state = MemoryState(10, DAY_US)
    said = memo.written(RUN, CHANGES, begins=True)
    for _ in range(2):
        memo.replay(state, said)
        assert looked(state) == {
            11: Calls((ASKED,)),
            12: Calls((ASKED,)),
            13: Link("r1", 1),
            14: Waiting((Waits("r1", 1, 5, ("search",)),)),
            15: Session("session-1", 5),
        }
    assert [run.step_seq for run in state.runs()] == [3]


def test_an_answer_does_not_bring_a_run_back_that_has_ended():
    state = MemoryState(10, DAY_US)
    memo.replay(state, memo.written(RUN, CHANGES, begins=False))
    assert (len(state), looked(state)) == (0, {})


def test_a_call_under_several_keys_is_written_once():
    one = memo.written(RUN, CHANGES[:1], begins=True)
    two = memo.written(RUN, CHANGES[:2], begins=True)
    assert len(two) - len(one) < 12
    equal = [CHANGES[0], Push(12, Shelf.BRIEF, replace(ASKED, state="done"))]
    assert len(memo.written(RUN, equal, begins=True)) > len(two) + 20


def test_all_memos_of_long_runs_teach_what_was_learned_and_take_little_room():
    tracker = Tracker()
    for now, made in enumerate(interleaved("chat", 3, 15, 40), 1):
        begun = tracker.begin(made.body, now)
        tracker.end(begun, now, made.state, made.text, made.calls, made.response_id)
    heir, size = MemoryState(100_000, DAY_US), 0
    for number, (run, noted) in enumerate(tracker.log):
        counted = [numbered(each, run.run_id, run.step_seq) for each in noted]
        said = memo.written(run, counted, begins=number % 2 == 0)
        memo.replay(heir, said)
        size += len(said)
    assert content(heir) == content(tracker.state)
    assert size / len(tracker.log) < 350


def test_a_step_before_that_is_not_known_is_not_made_up():
    before = replace(ASKED, step_id="s2", step_seq=2, keys=(7,))
    asked = replace(ASKED, keys=(8,))
    said = memo.written(RUN, [*pushes(asked), *continued(before, "s3")], begins=True)
    state, other = MemoryState(10, DAY_US), MemoryState(10, DAY_US)
    memo.replay(state, said)
    assert drive(state.look([7, 8])) == {8: Calls((asked,))}
    drive(other.admit(RUN, pushes(before), is_step=True))
    for _ in range(2):
        memo.replay(other, said)
        gone = replace(before, continued_by="s3", keys=())
        assert drive(other.look([7])) == {7: Calls((gone,))}


def test_a_call_of_another_run_that_was_gone_on_from_is_written_under_its_keys():
    before = replace(ASKED, run_id="r0", step_id="s2", keys=(7, 8))
    said = memo.written(RUN, [*pushes(ASKED), *continued(before, "s3")], begins=True)
    state = MemoryState(10, DAY_US)
    drive(state.admit(Run("t", "r0", "r0", seen_us=5), pushes(before), is_step=True))
    memo.replay(state, said)
    gone = Calls((replace(before, continued_by="s3", keys=()),))
    assert drive(state.look([7, 8])) == {7: gone, 8: gone}


def test_what_is_of_another_run_or_session_is_written_whole():
    run = replace(RUN, root_run_id="r0", session_id="own")
    changes: list[Change] = [
        *pushes(replace(ASKED, run_id="r0", keys=(7,))),
        Lead(13, Shelf.LINK, Link("r0")),
        Wait(14, Waits("r0", 1, 5, ("search",))),
        Keep(15, Session("other", 5)),
        Keep(16, Session("own", 5)),
    ]
    state = MemoryState(10, DAY_US)
    drive(state.admit(Run("t", "r0", "r0", seen_us=5), [], is_step=True))
    memo.replay(state, memo.written(run, changes, begins=True))
    assert drive(state.look([7, 13, 14, 15, 16])) == {
        7: Calls((replace(ASKED, run_id="r0", keys=(7,)),)),
        13: Link("r0"),
        14: Waiting((Waits("r0", 1, 5, ("search",)),)),
        15: Session("other", 5),
        16: Session("own", 5),
    }
    assert {each.run_id: each.root_run_id for each in state.runs()} == {"r0": "r0", "r1": "r0"}  # fmt: skip
