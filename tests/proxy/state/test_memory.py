import sys
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.strategies import integers, sampled_from

from proxy.identify.changes import Change, Keep, Lead, Push, Shelf, Wait
from proxy.identify.facts import (
    Asked,
    Calls,
    Link,
    Run,
    Session,
    Waiting,
    Waits,
)
from proxy.judge.claims import Answer, Mode, Scope, Take
from proxy.state.memory import ENDS_AT_ONCE, ROOM, MemoryState
from tests.helpers.runs.generated import interleaved
from tests.helpers.runs.tracking import DAY_US, Tracker, drive, report

MAX_BYTES_OF_RUN = 20 << 10


def run_of(run_id: str, now_us: int = 1, **more: Any) -> Run:
    return Run("t", run_id, run_id, began_us=now_us, seen_us=now_us, **more)


def asked(run_id: str, step: str, key: int) -> Asked:
    return Asked(run_id, step, 0, 1, 1, keys=(key,))


def push(run_id: str, step: str, key: int, shelf: Shelf = Shelf.CHAIN) -> Push:
    return Push(key, shelf, asked(run_id, step, key))


def look(state: MemoryState, *keys: int) -> Any:
    return drive(state.look(keys))


def admit(state: MemoryState, run: Run, *changes: Any, is_step: bool = True) -> Run:
    return drive(state.admit(run, changes, is_step=is_step))


def test_steps_are_counted_and_written_into_their_calls():
    state = MemoryState(10, DAY_US)
    assert admit(state, run_of("a"), push("a", "s1", 1)).step_seq == 1
    assert admit(state, run_of("a"), is_step=False).step_seq == 1
    assert admit(state, run_of("a"), push("a", "s2", 2)).step_seq == 2
    assert [look(state, key)[key].asked[0].step_seq for key in (1, 2)] == [1, 2]
    assert look(state, 3) == {}


def test_what_is_known_of_a_run_stays_and_a_branch_takes_its_parents_root():
    state = MemoryState(10, DAY_US)
    admit(state, run_of("a", agent="x", session_id="s"))
    known = admit(state, run_of("a", 5, agent="y", session_id="r", turn_seq=3))
    assert (known.agent, known.session_id, known.turn_seq, known.seen_us, known.began_us) == ("x", "s", 3, 5, 1)  # fmt: skip
    child = admit(state, run_of("b", 6, parent_run_id="a"))
    assert admit(state, run_of("c", 7, parent_run_id="b")).root_run_id == "a"
    assert child.root_run_id == "a"
    assert admit(state, run_of("d", 8, parent_run_id="gone")).root_run_id == "d"


def test_a_run_that_is_forgotten_takes_only_its_own_share_along():
    ended: list[str] = []
    state = MemoryState(10, 100, lambda run: ended.append(run.run_id))
    link = Link("a")
    admit(state, run_of("a"), push("a", "s1", 1), Lead(2, Shelf.LINK, link), push("a", "s1", 4))  # fmt: skip
    admit(state, run_of("b", 50), push("b", "s2", 1), Lead(2, Shelf.LINK, Link("b")))
    assert look(state, 2)[2].is_ambiguous
    state.expire(120)
    assert ended == ["a"]
    assert [each.run_id for each in look(state, 1)[1].asked] == ["b"]
    assert look(state, 2, 4) == {}
    state.note("t", "a", [push("a", "s1", 4)], 130)
    assert look(state, 4) == {}
    state.expire(1 << 60)
    assert (ended, len(state)) == (["a", "b"], 0)


def test_the_longest_idle_run_makes_room():
    ended: list[str] = []
    state = MemoryState(2, DAY_US, lambda run: ended.append(run.run_id))
    for now, run_id in enumerate("abac"):
        admit(state, run_of(run_id, now))
    assert ended == ["b"]
    assert (state.evicted, [run.run_id for run in state.runs()]) == (1, ["a", "c"])


def test_each_shelf_keeps_the_newest_facts_of_a_run():
    state = MemoryState(10, DAY_US)
    for number in range(100):
        admit(state, run_of("a"), *(push("a", f"s{number}", 1000 * shelf + number, shelf) for shelf in Shelf))  # fmt: skip
    admit(state, run_of("a"), push("a", "s99", 1099))
    assert len(state._facts) == sum(ROOM.values())


def test_a_branch_writes_into_its_parent_but_not_into_one_that_has_ended():
    state = MemoryState(10, DAY_US)
    admit(state, run_of("a"), push("a", "s1", 1))
    admit(state, run_of("b"), push("a", "s1", 1), push("b", "s2", 2), push("gone", "s0", 3))  # fmt: skip
    assert sorted(look(state, 1, 2, 3)) == [1, 2]


def test_sessions_and_waiting_runs_belong_to_nobody_and_are_bounded():
    state = MemoryState(2, DAY_US)
    admit(state, run_of("a"), Wait(1, Waits("a", 1, 1, ("f",))), Keep(2, Session("s", 1)), Keep(3, Session("r", 1)))  # fmt: skip
    assert look(state, 1, 2, 3) == {2: Session("s", 1), 3: Session("r", 1)}
    assert state.common.evicted == 1
    admit(state, run_of("a"), Wait(4, Waits("a", 1, 1, ("f",))))
    assert isinstance(look(state, 4)[4], Waiting)


def test_observing_twice_is_observing_once():
    state = MemoryState(10, DAY_US)
    changes: list[Change] = [push("a", "s1", 1), Lead(2, Shelf.LINK, Link("a"))]
    for _ in range(2):
        state.observe(run_of("a", 5, step_seq=7), changes)
    assert [run.step_seq for run in state.runs()] == [7]
    assert len(look(state, 1)[1].asked) == 1
    assert admit(state, run_of("a", 6)).step_seq == 8


def test_the_clock_of_another_host_may_be_behind():
    state = MemoryState(10, DAY_US)
    admit(state, run_of("a", 100))
    state.note("t", "a", [], 50)
    assert [run.seen_us for run in state.runs()] == [100]


def test_a_run_of_two_hundred_steps_takes_less_than_twenty_kilobytes():
    runs = 8
    tracker = Tracker()
    for now, made in enumerate(interleaved("chat", 4, runs, 200, ("plain", "react", "window", "compacted"))):  # fmt: skip
        begun = tracker.begin(made.body, now)
        tracker.end(begun, now, "done", made.text, made.calls, made.response_id)
        tracker.log.clear()
    assert len(tracker.state) == runs
    # Object by object: what the interpreter says is another thing while coverage is measured.
    held = _held(vars(tracker.state), set())
    report(f"{len(tracker.state._facts) / runs} facts, {held / runs:.0f} bytes a run")
    assert held / runs < MAX_BYTES_OF_RUN


def _held(value: Any, seen: set[int]) -> int:
    """Add up the sizes of an object and of all that it leads to."""
    if id(value) in seen or isinstance(value, type | Shelf) or callable(value):
        return 0
    seen.add(id(value))
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple):
        inner = list(value)
    elif isinstance(value, msgspec.Struct):
        inner = [getattr(value, name) for name in value.__struct_fields__]
    elif hasattr(value, "__slots__"):
        inner = [getattr(value, name) for name in value.__slots__]
    return sys.getsizeof(value) + sum(_held(each, seen) for each in inner)


class Memory(RuleBasedStateMachine):
    """Whatever comes in whatever order: bounds hold, each run ends once, nothing of an ended run stays."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[str] = []
        self.state = MemoryState(3, 1000, self._note_end)
        self.steps: dict[str, int] = {}
        self.now = 0

    def _note_end(self, run: Run) -> None:
        if not run.has_ended:
            self.ended.append(run.run_id)

    @rule(run_id=sampled_from("abcdef"), key=integers(1, 9), shelf=sampled_from(Shelf), parent=sampled_from(["", "a"]))  # fmt: skip
    def admit(self, run_id: str, key: int, shelf: Shelf, parent: str) -> None:
        self.now += 1
        changes = push(run_id, f"s{key}", key, shelf), Lead(key + 100, shelf, Link(run_id))  # fmt: skip
        run = admit(self.state, run_of(run_id, self.now, parent_run_id=parent), *changes)  # fmt: skip
        self.steps[run_id] = self.steps.get(run_id, 0) + 1
        assert run.step_seq == self.steps[run_id]

    @rule(run_id=sampled_from("abcdef"), key=integers(1, 9))
    def note(self, run_id: str, key: int) -> None:
        self.now += 1
        self.state.note("t", run_id, [push(run_id, f"s{key}", key), push("a", "s", key)], self.now)  # fmt: skip

    @rule(gap=integers(1, 900))
    def wait(self, gap: int) -> None:
        self.now += gap
        self.state.expire(self.now)

    @invariant()
    def bounds_hold_and_nothing_is_left_over(self) -> None:
        live = {run.run_id for run in self.state.runs()}
        assert len(live) <= 3
        assert len(self.ended) == len(set(self.ended))
        for fact in self.state._facts.values():
            found = {each.run_id for each in fact.asked} if isinstance(fact, Calls) else {fact.run_id}  # fmt: skip
            assert found <= live


Memory.TestCase.settings = settings(max_examples=50, deadline=None)
TestMemory = Memory.TestCase


def test_one_run_can_be_ended_and_is_then_gone():
    ended: list[str] = []
    state = MemoryState(10, DAY_US, lambda run: ended.append(run.run_id))
    for run_id in "ab":
        admit(state, run_of(run_id), push(run_id, "s", 1))
    for _ in range(2):
        state.end(("t", "a"))
    assert (ended, [run.run_id for run in state.runs()]) == (["a"], ["b"])
    assert look(state, 1) == {1: Calls((msgspec.structs.replace(asked("b", "s", 1), step_seq=1),))}  # fmt: skip


def test_a_run_that_comes_back_after_its_end_goes_on_where_it_was():
    ended: list[tuple[str, bool]] = []
    state = MemoryState(10, 100, lambda run: ended.append((run.run_id, run.has_ended)))
    for now in (1, 2, 1000):
        admit(state, run_of("b", now, parent_run_id="a", session_id="s"), push("b", "s1", 1))  # fmt: skip
    again = admit(state, run_of("b", 5000, agent="x", turn_seq=4))
    assert (again.step_seq, again.began_us, again.seen_us, again.has_ended) == (4, 1, 5000, True)  # fmt: skip
    assert (again.parent_run_id, again.session_id, again.agent, again.turn_seq) == ("a", "s", "x", 4)  # fmt: skip
    assert look(state, 1) == {}
    state.expire(1 << 60)
    assert ended == [("b", False), ("b", True), ("b", True)]


def test_a_clock_that_goes_back_keeps_no_run_alive_for_ever():
    ended: list[str] = []
    state = MemoryState(10, 100, lambda run: ended.append(run.run_id))
    for run_id, now in (("a", 10_000), ("b", 10_001), ("c", 50)):
        admit(state, run_of(run_id, now))
    state.expire(60)
    assert [run.seen_us for run in state.runs()] == [50, 50, 50]
    state.expire(170)
    assert ended == ["a", "b", "c"]


def test_a_clock_that_goes_back_leaves_runs_of_its_present_as_they_are():
    state = MemoryState(10, 100)
    admit(state, run_of("a", 10_000))
    state.observe(run_of("c", 50), [])
    state.expire(60)
    assert [run.seen_us for run in state.runs()] == [60, 50]


def test_of_very_many_runs_that_are_over_some_end_at_a_time():
    ended: list[str] = []
    state = MemoryState(1000, 100, lambda run: ended.append(run.run_id))
    for n in range(2 * ENDS_AT_ONCE + 1):
        state.observe(run_of(f"{n}", 1), [])
    counts = []
    for _ in range(4):
        state.expire(1000)
        counts.append(len(ended))
    assert counts == [ENDS_AT_ONCE, 2 * ENDS_AT_ONCE, *(2 * [2 * ENDS_AT_ONCE + 1])]


class Pleading:
    """A plea that lets so many calls through."""

    def __init__(self, limit: int, goes_on: bool = True) -> None:
        self.claims = [Take(1, Scope.ROOT, 1, limit, -1, Mode.ENFORCE, False, DAY_US)]
        self.now_us = 5
        self.goes_on = goes_on
        self.answers: list[Answer] = []

    def hear(self, answer: Answer) -> bool:
        self.answers.append(answer)
        return answer.admitted and self.goes_on


def test_a_refused_call_is_not_remembered_and_counts_no_step():
    state = MemoryState(9, DAY_US)
    begun = drive(state.admit(run_of("a"), [push("a", "s1", 1)], is_step=True, plea=Pleading(1)))  # fmt: skip
    assert begun.step_seq == 1
    for plea in (Pleading(1), Pleading(5, goes_on=False)):
        refused = drive(state.admit(run_of("a", 7), [push("a", "s2", 2)], is_step=True, plea=plea))  # fmt: skip
        assert refused.step_seq == 1
        assert 2 not in drive(state.look([2]))
    assert [each.step_seq for each in state.runs()] == [1]


def test_a_refused_run_is_none_and_subagents_count_for_their_root():
    state = MemoryState(9, DAY_US)
    drive(state.admit(run_of("b"), [], is_step=True, plea=Pleading(0)))
    assert list(state.runs()) == []
    drive(state.admit(run_of("a"), [], is_step=True, plea=Pleading(2)))
    for child, admitted in (("c", True), ("d", False)):
        plea = Pleading(2)
        drive(state.admit(run_of(child, parent_run_id="a"), [], is_step=True, plea=plea))  # fmt: skip
        assert plea.answers[0].admitted is admitted
        assert plea.answers[0].owners[Scope.ROOT] == "t\0a"


def test_a_run_that_has_ended_is_refused_as_what_it_was_and_stays_past():
    state = MemoryState(9, 10)
    drive(state.admit(run_of("a", 1), [], is_step=True))
    state.expire(100)
    refused = drive(state.admit(run_of("a", 200), [], is_step=True, plea=Pleading(0)))
    assert (refused.step_seq, refused.has_ended) == (1, True)
    assert drive(state.admit(run_of("a", 300), [], is_step=True)).step_seq == 2
