from msgspec.structs import replace

from proxy.identify.changes import Change, Keep, Lead, Push, Shelf, Wait
from proxy.identify.facts import Asked, Calls, Link, Run, Session, Waiting, Waits
from proxy.state import memo
from proxy.state.memory import MemoryState
from tests.helpers.runs.tracking import DAY_US, drive

RUN = Run("t", "r1", "r1", step_seq=3, began_us=1, seen_us=5)
ASKED = Asked("r1", "s3", 3, 1, 5, 9, keys=(11, 12))
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
