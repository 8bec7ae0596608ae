"""Memory and Redis remember the same: each behaviour is shown of both, of Redis by the same scripts in a server of Python.

What needs a real server is in `test_redis_state_server.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import (
    SearchStrategy,
    builds,
    integers,
    just,
    lists,
    one_of,
    sampled_from,
    tuples,
)

from proxy.identify.changes import Change, Keep, Lead, Push, Shelf, Wait
from proxy.identify.facts import (
    MAX_RECENT,
    MAX_WAITING,
    WINDOW_US,
    Asked,
    Calls,
    Fact,
    Link,
    Run,
    Session,
    Waiting,
    Waits,
)
from proxy.model import RunOutcome
from proxy.state import State
from proxy.state.memory import MemoryState
from proxy.state.redis_place import place_of
from proxy.state.redis_state import RedisState, redis_state
from proxy.state.totals import NOTHING, Totals
from tests.helpers.redis import Ends, fake_redis, joined

pytestmark = pytest.mark.blocking_allowed  # the server of Python shares this process
IDLE_US = 1000


@pytest.fixture(scope="module")
def server():
    with fake_redis() as url:
        yield url


SEEDS = iter(range(1_000_000))


def alone(state: RedisState) -> RedisState:
    """Let each test have keys of its own on the one server."""
    return RedisState(next(SEEDS), state.line, state._max_runs, state._idle_us, state._ended)  # fmt: skip


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture(params=["memory", "redis"])
async def state(request: pytest.FixtureRequest, server: str, ends: Ends) -> AsyncIterator[State]:  # fmt: skip
    if request.param == "memory":
        yield MemoryState(100, IDLE_US, ends)
        return
    async with joined(server, 100, IDLE_US, ended=ends) as made:
        yield alone(made)


def run_of(run_id: str, now_us: int = 1, **more: Any) -> Run:
    return Run("t", run_id, run_id, began_us=now_us, seen_us=now_us, **more)


def asked(run_id: str, step: str, **more: Any) -> Asked:
    return Asked(run_id, step, **{"step_seq": 0, "turn_seq": 1, "seen_us": 1} | more)  # fmt: skip


def push(run_id: str, step: str, key: int, shelf: Shelf = Shelf.CHAIN, **more: Any) -> Push:  # fmt: skip
    return Push(key, shelf, asked(run_id, step, **more))


def lead(run_id: str, key: int, turn_seq: int = 1) -> Lead:
    return Lead(key, Shelf.LINK, Link(run_id, turn_seq))


async def admit(state: State, run: Run, *changes: Change, is_step: bool = True, step_id: str = "") -> Run:  # fmt: skip
    admitted = await state.admit(run, changes, is_step=is_step, step_id=step_id)
    assert admitted is not None
    return admitted


async def look(state: State, *keys: int) -> Any:
    return await state.look(keys)


async def test_steps_are_counted_and_written_into_their_calls(state):
    assert (await admit(state, run_of("a"), push("a", "s1", 1))).step_seq == 1
    assert (await admit(state, run_of("a"), is_step=False)).step_seq == 1
    assert (await admit(state, run_of("a"), push("a", "s2", 2))).step_seq == 2
    found = await look(state, 1, 2, 3)
    assert [found[key].asked[0].step_seq for key in (1, 2)] == [1, 2]
    assert 3 not in found


async def test_what_is_known_of_a_run_stays_and_a_branch_takes_its_parents_root(state):
    await admit(state, run_of("a", agent="x", session_id="s"))
    known = await admit(state, run_of("a", 5, agent="y", session_id="r", turn_seq=3))
    assert (known.agent, known.session_id, known.turn_seq, known.seen_us, known.began_us) == ("x", "s", 3, 5, 1)  # fmt: skip
    assert (await admit(state, run_of("a", 4))).turn_seq == 3
    child = await admit(state, run_of("b", 6, parent_run_id="a"))
    assert child.root_run_id == "a"
    assert (await admit(state, run_of("c", 7, parent_run_id="b"))).root_run_id == "a"
    assert (await admit(state, run_of("d", 8, parent_run_id="?"))).root_run_id == "d"
    await admit(state, run_of("e", 8))
    later = await admit(state, run_of("e", 9, agent="z", session_id="q"))
    assert (later.agent, later.session_id) == ("z", "q")


async def test_a_clock_that_was_ahead_crowds_nobody_out_and_its_runs_end(state, ends):
    for n in range(100):
        await admit(state, run_of(f"ahead-{n}", 10**12))
    for _ in range(12):  # some at a time
        await ends.of(state, 5)
    await admit(state, run_of("a", 6))
    told = {run.run_id for run, _ in await ends.of(state, 6)}
    assert "a" not in told
    for _ in range(12):
        told |= {run.run_id for run, _ in await ends.of(state, 7 + IDLE_US)}
    assert told == {"a", *(f"ahead-{n}" for n in range(100))}


async def test_a_run_that_ends_takes_only_its_own_share_along(state, ends):
    await admit(state, run_of("a"), push("a", "s1", 1), lead("a", 2), push("a", "s1", 4))  # fmt: skip
    await admit(state, run_of("b", 500), push("b", "s2", 1), lead("b", 2), lead("b", 5))
    assert (await look(state, 2))[2] == Link("a", is_ambiguous=True)
    assert [run.run_id for run, _ in await ends.of(state, 1 + IDLE_US)] == ["a"]
    found = await look(state, 1, 2, 4, 5)
    assert [each.run_id for each in found[1].asked] == ["b"]
    assert found.keys() == {1, 5}
    state.note("t", "a", [push("a", "s1", 4)], 600)
    assert await look(state, 4) == {}
    assert [run.run_id for run, _ in await ends.of(state, 500 + IDLE_US)] == ["b"]
    assert await look(state, 1, 2, 4, 5) == {}


async def test_an_end_has_the_totals_and_is_given_once(server, ends):
    async with joined(server, 100, IDLE_US, ended=ends) as made:
        state = alone(made)
        await admit(state, run_of("a"))
        state.add(("t", "a"), Totals(2, 1, 20, 300, RunOutcome.FAILURE), 7)
        state.add(("t", "a"), Totals(1, 0, 2, 3, RunOutcome.ABANDONED), 5)
        state.add(("t", "a"), Totals(inferred=RunOutcome.CAPPED), 6)
        state.add(("t", "a"), Totals(reported="success"), 6)
        state.add(("t", "unknown"), Totals(1, 2, 3), 5)
        spent = Totals(3, 1, 22, 303, RunOutcome.CAPPED, "success")
        assert state.known(("t", "a")) == spent
        given = [*await ends.of(state, 2 * IDLE_US), *await ends.of(state, 2 * IDLE_US)]
        assert given == [(Run("t", "a", "a", step_seq=1, began_us=1, seen_us=7), spent)]
        assert state.known(("t", "a")) == NOTHING


async def test_a_sum_that_is_too_large_stays_as_it_was(server, ends):
    async with joined(server, 100, IDLE_US, ended=ends) as made:
        state = alone(made)
        await admit(state, run_of("a"))
        for _ in range(2):
            state.add(("t", "a"), Totals(1, 0, 2**62, 5), 1)
        state.note("t", "a", [lead("a", 1)], 1)
        assert (await look(state, 1))[1] == Link("a")
        ((_, totals),) = await ends.of(state, 2 * IDLE_US)
        assert totals == Totals(2, 0, 2**62, 10)


async def test_what_a_run_came_to_is_known_where_its_calls_pass(server):
    async with joined(server, 2, IDLE_US) as made:
        one = alone(made)
        other = RedisState(one._names._seed, made.line, 2, IDLE_US)
        await admit(one, run_of("a", 5))
        other.add(("t", "a"), Totals(1, 0, 7), 5)
        assert await other.drained(5)
        assert list(other.runs()) == []
        assert one.known(("t", "a")) == NOTHING
        again = await admit(one, run_of("a", 6))
        assert list(one.runs()) == [again]
        assert one.known(("t", "a")).cost == 7
        for run_id in "bc":  # more than may live are not listed
            await admit(one, run_of(run_id, 6))
        assert [run.run_id for run in one.runs()] == ["b", "c"]
        await one.expired(6 + IDLE_US)
        assert list(one.runs()) == []


async def test_a_run_with_a_call_under_way_is_said_to_live_now_and_then(server, ends):
    async with joined(server, 100, IDLE_US, ended=ends) as made:
        state = alone(made)
        await admit(state, run_of("a"))
        state.note("t", "a", (), IDLE_US // 5)
        assert [run.seen_us for run in state.runs()] == [1]
        state.note("t", "a", (), IDLE_US // 2)
        assert [run.seen_us for run in state.runs()] == [IDLE_US // 2]
        assert await state.drained(5)
        assert await ends.of(state, IDLE_US + 2) == []


async def test_a_call_that_died_with_its_worker_has_failed(state):
    await admit(state, run_of("a"), push("a", "s1", 1), push("a", "s1", 2, Shelf.BRIEF), lead("a", 3))  # fmt: skip
    await admit(state, run_of("a"), push("a", "s2", 1), push("a", "s3", 4, state="done"))  # fmt: skip
    for step in ("s1", "s3", "s9"):
        await state.forsake("t", "a", step)
    await state.forsake("t", "unknown", "s1")
    found = await look(state, 1, 2, 4)
    states = {(key, each.step_id): each.state for key, fact in found.items() for each in fact.asked}  # fmt: skip
    assert states == {(1, "s1"): "failed", (1, "s2"): "open", (2, "s1"): "failed", (4, "s3"): "done"}  # fmt: skip
    assert sorted(each.step_seq for each in found[1].asked) == [1, 2]


async def test_who_keeps_the_state_answers_and_has_lost_nothing(state):
    assert state.trouble == ""
    assert await look(state, 1) == {}
    assert set(state.losses().values()) == {0}


async def test_a_memory_of_ones_own_needs_no_beginning_and_no_end(ends):
    memory = MemoryState(1, IDLE_US, ends)
    await memory.open()
    assert not memory.is_shared
    await admit(memory, run_of("a"))
    await admit(memory, run_of("b", 2))
    await memory.close()
    assert memory.losses()["state_evicted"] == 1
    assert [run.run_id for run, _ in await ends.of(memory, 2)] == ["a"]


async def test_many_runs_end_at_once(state, ends):
    for number in range(35):
        await admit(state, run_of(f"run-{number}"))
    assert len(await ends.of(state, 2 * IDLE_US)) == 35


async def test_the_longest_idle_runs_make_room(server, ends):
    async with joined(server, 3, IDLE_US, ended=ends) as made:
        kept = alone(made)
        for now, run_id in enumerate("abacd"):
            await admit(kept, run_of(run_id, now))
        await admit(kept, run_of("e", 9))
        assert [run.run_id for run, _ in await ends.of(kept, 10)] == ["b", "a"]


async def test_a_run_that_another_version_wrote_is_counted_and_not_told(server, ends):
    async with joined(server, 100, IDLE_US, ended=ends) as made:
        state = alone(made)
        await admit(state, run_of("a"))
        state.add(("t", "a"), Totals(1, inferred="odd"), 1)  # type: ignore[arg-type]
        assert await ends.of(state, 2 * IDLE_US) == []
        assert state.losses()["state_unwritable"] == 1


async def test_each_shelf_keeps_the_newest_facts_of_a_run(state):
    for number in range(25):
        await admit(state, run_of("a"), *(push("a", f"s{number}", 1000 * shelf + number, shelf) for shelf in Shelf))  # fmt: skip
    await admit(state, run_of("a"), push("a", "s24", 1024))
    found = await look(state, *(1000 * shelf + n for shelf in Shelf for n in range(25)))
    assert {shelf: sum(key // 1000 == shelf for key in found) for shelf in Shelf} == {0: 3, 1: 16, 2: 18, 3: 20}  # fmt: skip


async def test_a_branch_writes_into_its_parent_but_not_into_one_that_has_ended(state):
    await admit(state, run_of("a"), push("a", "s1", 1))
    changes = (push("a", "s1", 1, continued_by="s2", step_seq=1), push("b", "s2", 2), push("gone", "s0", 3))  # fmt: skip
    await admit(state, run_of("b"), *changes)
    found = await look(state, 1, 2, 3)
    assert sorted(found) == [1, 2]
    assert found[1].asked[0].continued_by == "s2"


async def test_a_later_word_on_a_step_replaces_an_earlier_one(state):
    await admit(state, run_of("a"), push("a", "s1", 1, attempt=1, step_seq=4))
    state.note("t", "a", [push("a", "s1", 1, attempt=0, state="done")], 2)
    state.note("t", "a", [push("a", "s1", 1, attempt=1, step_seq=4, state="failed")], 2)
    (found,) = (await look(state, 1))[1].asked
    assert (found.attempt, found.state, found.step_seq) == (1, "failed", 4)


async def test_only_the_newest_of_those_that_said_the_same_are_kept(state):
    runs = [run_of(f"r{number}", number) for number in range(MAX_RECENT + 3)]
    for run in runs:
        await admit(state, run, push(run.run_id, f"s{run.seen_us}", 1, seen_us=run.seen_us))  # fmt: skip
    found = (await look(state, 1))[1].asked
    assert [each.run_id for each in found] == [run.run_id for run in runs[3:]]


async def test_a_link_may_learn_more_but_of_two_runs_it_leads_nowhere(state):
    await admit(state, run_of("a"), lead("a", 1), lead("a", 1, 2))
    assert (await look(state, 1))[1] == Link("a", 2)
    await admit(state, run_of("b"), lead("b", 1))
    state.note("t", "a", [lead("a", 1, 3)], 2)
    assert (await look(state, 1))[1] == Link("a", is_ambiguous=True)


async def test_runs_wait_and_wait_no_more(state):
    def waits(run_id: str, since: int, *tools: str) -> Wait:
        return Wait(1, Waits(run_id, 1, since, tools))

    await admit(state, run_of("a"), waits("a", 1, "f"), waits("b", 2, "g", "h"))
    assert (await look(state, 1))[1] == Waiting((Waits("a", 1, 1, ("f",)), Waits("b", 1, 2, ("g", "h"))))  # fmt: skip
    state.note("t", "a", [waits("a", 3)], 3)
    assert [each.run_id for each in (await look(state, 1))[1].runs] == ["b"]
    state.note("t", "a", [waits("c", WINDOW_US + 3, "f")], 3)
    assert [each.run_id for each in (await look(state, 1))[1].runs] == ["c"]
    many = [waits(f"r{n}", WINDOW_US + 4 + n, "f") for n in range(MAX_WAITING + 1)]
    state.note("t", "a", many, 4)
    found = (await look(state, 1))[1]
    assert len(found.runs) == MAX_WAITING
    assert found.crowded_us == WINDOW_US + 4


async def test_a_session_is_prolonged_by_what_is_later(state):
    await admit(state, run_of("a"), Keep(2, Session("s", 5)))
    state.note("t", "a", [Keep(2, Session("late", 4)), Keep(3, Session("r", 1))], 2)
    state.note("t", "a", [Keep(3, Session("r", 9))], 2)
    assert await look(state, 2, 3) == {2: Session("s", 5), 3: Session("r", 9)}


async def test_of_two_that_go_on_from_one_call_the_second_looks_again(server):
    async with joined(server) as made:
        state = alone(made)
        await admit(state, run_of("a"), push("a", "s1", 1), step_id="s1")
        first = [push("a", "s2", 2), push("a", "s1", 1, step_seq=1, continued_by="s2")]
        other = [push("a", "s3", 3), push("a", "s1", 1, step_seq=1, continued_by="s3")]
        assert await state.admit(run_of("a"), first, is_step=True, step_id="s2")
        assert await state.admit(run_of("a"), other, is_step=True, step_id="s3") is None
        assert (await look(state, 1, 3))[1].asked[0].continued_by == "s2"
        assert (await admit(state, run_of("a"), is_step=False)).step_seq == 2
        assert await state.admit(run_of("a"), other, is_step=True)  # it insists
        assert state.kept.raced == 1


async def test_of_two_same_retries_the_second_looks_again(server):
    async with joined(server) as made:
        state = alone(made)
        await admit(state, run_of("a"), push("a", "s1", 1, state="failed"), step_id="s1")  # fmt: skip
        again = push("a", "s1", 1, step_seq=1, attempt=1)
        assert await state.admit(run_of("a"), [again], is_step=False, step_id="s1")
        assert await state.admit(run_of("a"), [again], is_step=False, step_id="s1") is None  # fmt: skip


async def test_what_cannot_be_written_is_counted(server):
    async with joined(server) as made:
        state = alone(made)
        run = run_of("a", agent="\ud800")
        assert (await admit(state, run)).agent == "\ud800"
        assert await state.admit(run_of("a"), [push("\ud800", "s", 1)], is_step=True) == run_of("a")  # fmt: skip
        state.note("t", "a", [push("\ud800", "s", 1)], 1)
        assert state.kept.unwritable == 2


async def test_installations_with_other_secrets_share_nothing(server, ends):
    async with joined(server, ended=ends) as made:
        one, other = alone(made), alone(made)
        await admit(one, run_of("a"), push("a", "s", 1))
        assert await look(other, 1) == {}
        assert await ends.of(other, 2 * IDLE_US) == []
        assert (await admit(other, run_of("a"))).step_seq == 1


async def test_a_thousand_parallel_steps_have_each_its_number(server):
    async with joined(server) as one, joined(server) as two:
        seed = next(SEEDS)
        states = [RedisState(seed, each.line, 100, IDLE_US) for each in (one, two)]
        numbered = await asyncio.gather(*(admit(states[n % 2], run_of("a")) for n in range(200)))  # fmt: skip
    assert sorted(run.step_seq for run in numbered) == list(range(1, 201))


async def test_without_redis_nothing_is_known_and_nothing_is_raised():
    state = redis_state(1, place_of("redis://:secret@nowhere/0"), 10, IDLE_US, Ends())
    run = run_of("a")
    assert await state.look([1]) is None
    assert await state.admit(run, [push("a", "s", 1)], is_step=True, step_id="s") is run
    state.note("t", "a", [], 1)
    await state.expired(1)
    await state.forsake("t", "a", "s")
    assert not await state.drained(1)
    assert state.losses() == {"state_unknown": 1, "state_uncounted": 1, "state_unwritable": 0, "state_unjudged": 0, "state_note": 0}  # fmt: skip
    assert state.line.counts.refused == 6
    assert state.trouble == "redis at nowhere:6379/0 is not connected"
    await state.close()  # it was never opened
    assert repr(state) == "RedisState(Line('nowhere:6379/0'))"


async def test_what_was_told_before_has_been_taken_when_it_is_drained(server):
    async with joined(server) as made:
        state = alone(made)
        await admit(state, run_of("a"))
        state.note("t", "a", [lead("a", 1)], 1)
        assert await state.drained(5)
        assert not state.line.counts.dropped
        assert state.is_shared


RUNS = sampled_from("abcd")
CHANGES: SearchStrategy[Any] = one_of(
    builds(lambda run, step, key, attempt, word: push(run, f"{run}{step}", key, attempt=attempt, state=word, seen_us=step),
           RUNS, integers(1, 4), integers(1, 6), integers(0, 2), sampled_from(["open", "done", "failed"])),
    # As an id, or a context, leads to the calls that were answered so: of the shelf of links, some gone on from and without keys.
    builds(lambda run, step, key, by, keys: push(run, f"{run}{step}", key, Shelf.LINK, continued_by=by, keys=keys, lasting=1, seen_us=step),
           RUNS, integers(1, 4), integers(41, 44), sampled_from(["", "next"]), sampled_from([(), (7, 2**64 - 1)])),
    builds(lead, RUNS, integers(11, 16), integers(1, 3)),
    builds(lambda run, since, tools: Wait(21, Waits(run, 1, since, tools)), RUNS, integers(1, 9), sampled_from([(), ("f",)])),
    builds(lambda name, seen: Keep(31, Session(name, seen)), RUNS, integers(1, 9)),
)  # fmt: skip
ACTS: SearchStrategy[Any] = lists(
    one_of(
        tuples(just("admit"), RUNS, lists(CHANGES, max_size=4), sampled_from(["", "a"])),
        # Without changes a note only says that a run lives, which is not told each time.
        tuples(just("note"), RUNS, lists(CHANGES, min_size=1, max_size=4), just("")),
        tuples(just("wait"), just(""), just([]), just("")),
    ),
    max_size=25,
)  # fmt: skip


def plain(found: Any) -> dict[int, object]:
    """Give facts without the order of what came at the same time, and without empty lists."""
    result: dict[int, object] = {}
    facts: list[tuple[int, Fact]] = sorted(found.items())
    for key, fact in facts:
        if isinstance(fact, Calls):
            result[key] = frozenset(fact.asked)
        elif isinstance(fact, Waiting):
            result[key] = frozenset(fact.runs)
        elif isinstance(fact, Link) and fact.is_ambiguous:
            result[key] = fact.run_id
        else:
            result[key] = fact
    return {key: fact for key, fact in result.items() if fact}


@given(acts=ACTS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
def test_whatever_comes_memory_and_redis_know_the_same(server, acts):
    asyncio.run(compare(server, acts))


async def compare(server: str, acts: list[tuple[str, str, list[Change], str]]) -> None:
    now = 1
    ends = (Ends(), Ends())
    async with joined(server, 100, IDLE_US, ended=ends[1]) as made:
        memory, shared = MemoryState(100, IDLE_US, ends[0]), alone(made)
        keepers: tuple[State, State] = (memory, shared)
        for act, run_id, changes, parent in acts:
            now += 350 if act == "wait" else 1
            if act == "admit":
                run = run_of(run_id, now, parent_run_id=parent)
                assert await admit(memory, run, *changes) == await admit(shared, run, *changes)  # fmt: skip
            elif act == "note":
                memory.note("t", run_id, changes, now)
                shared.note("t", run_id, changes, now)
            keys = [*range(1, 7), *range(11, 17), 21, 31, *range(41, 45)]
            both = [sorted(await told.of(each, now), key=str) for told, each in zip(ends, keepers, strict=True)]  # fmt: skip
            assert both[0] == both[1]
            assert plain(await memory.look(keys)) == plain(await shared.look(keys))


async def test_a_call_of_no_run_is_known_to_its_next_attempt_until_it_is_done(state):
    def stray(step: str, seen_us: int, **more: Any) -> list[Change]:
        return [Push(7, Shelf.BRIEF, Asked("", step, 0, 0, seen_us, **more))]

    async def known() -> list[tuple[str, int, str]]:
        if isinstance(state, RedisState):
            assert await state.drained(5)
        fact = (await state.look([7]) or {}).get(7)
        return [(each.step_id, each.attempt, each.state) for each in fact.asked] if isinstance(fact, Calls) else []  # fmt: skip

    state.note("t", "", stray("s1", 1), 1)
    assert await known() == [("s1", 0, "open")]
    state.note("t", "", stray("s1", 2, state="failed"), 2)
    state.note("t", "", stray("s2", 3), 3)
    assert await known() == [("s1", 0, "failed"), ("s2", 0, "open")]
    state.note("t", "", stray("s1", 4, attempt=1), 4)
    state.note("t", "", stray("s1", 2, state="failed"), 5)  # comes late
    assert ("s1", 1, "open") in await known()
    state.note("t", "", stray("s1", 6, attempt=1, state="done"), 6)
    assert await known() == [("s2", 0, "open")]
    for number in range(3 * MAX_RECENT):
        state.note("t", "", stray(f"n{number}", 10 + number), 10 + number)
    assert [step for step, _, _ in await known()] == [f"n{number}" for number in range(2 * MAX_RECENT, 3 * MAX_RECENT)]  # fmt: skip
