"""Claims that are judged while a call is admitted: memory and Redis do the same, and in Redis it is one question."""

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers

from proxy.identify.changes import Lead, Push, Shelf
from proxy.identify.facts import Asked, Link, Run
from proxy.judge.claims import (
    NONE,
    Answer,
    BreakerRule,
    Claim,
    Finding,
    Hold,
    Level,
    Mode,
    Permit,
    Phase,
    Scope,
    Settle,
    Signal,
    Tail,
    Take,
    Turned,
    owner_of,
    taken_back,
)
from proxy.state import State
from proxy.state.memory import MemoryState
from proxy.state.redis_state import RedisState
from proxy.state.totals import Totals
from tests.helpers.redis import Ends, Pleading, fake_redis, joined, used

pytestmark = pytest.mark.blocking_allowed  # the server of Python shares this process
IDLE_US, HOUR_US = 1000, 3_600_000_000
SEEDS = iter(range(1_000_000))
ROOT = owner_of("t", "root")


@pytest.fixture(scope="module")
def server():
    with fake_redis() as url:
        yield url


def alone(state: RedisState, turned: Any = lambda turned: None) -> RedisState:
    """Let each test have keys of its own on the one server."""
    return RedisState(next(SEEDS), state.line, 100, IDLE_US, state._ended, turned)


@pytest.fixture(params=["memory", "redis"])
async def state(request: pytest.FixtureRequest, server: str) -> AsyncIterator[State]:
    if request.param == "memory":
        yield MemoryState(100, IDLE_US)
        return
    async with joined(server, 100, IDLE_US) as made:
        yield alone(made)


def run_of(run_id: str, now_us: int = 1, **more: Any) -> Run:
    return Run("t", run_id, run_id, began_us=now_us, seen_us=now_us, **more)


def count(limit: int, key: int = 1, scope: Scope = Scope.RUN, amount: int = 1) -> Take:
    return Take(key, scope, amount, limit, NONE, Mode.ENFORCE, False, HOUR_US)


def reserve(limit: int, amount: int, key: int = 2, scope: Scope = Scope.ROOT) -> Take:
    return Take(key, scope, amount, limit, NONE, Mode.ENFORCE, True, HOUR_US)


def push(run_id: str, step: str, key: int) -> Push:
    return Push(key, Shelf.CHAIN, Asked(run_id, step, 0, 1, 1, 9))


async def admit(state: State, run: Run, *claims: Claim, changes: Any = (), says_no: bool = False, **more: Any) -> tuple[Run, Answer]:  # fmt: skip
    plea = Pleading(claims, run.seen_us, says_no)
    admitted = await state.admit(run, changes, is_step=True, plea=plea, **more)
    assert admitted is not None
    assert plea.answer is not None
    return admitted, plea.answer


async def test_of_a_hundred_calls_at_once_ten_are_admitted_and_ninety_leave_nothing(state):  # fmt: skip
    calls = [admit(state, run_of("a"), count(10), changes=[push("a", f"s{n}", n + 1)]) for n in range(100)]  # fmt: skip
    found = await asyncio.gather(*calls)
    admitted = [run.step_seq for run, answer in found if answer.admitted]
    assert sorted(admitted) == list(range(1, 11))
    assert {answer.findings for _, answer in found if not answer.admitted} == {(Finding(0, Level.OVER, 10, 10),)}  # fmt: skip
    assert len(await state.look(list(range(1, 101)))) == 10
    assert (await admit(state, run_of("a")))[0].step_seq == 11


async def test_a_run_that_is_refused_at_its_first_call_does_not_begin(state):
    await admit(state, run_of("root", session_id="s"))
    run, answer = await admit(state, run_of("a", 5, parent_run_id="root", session_id="s", turn_seq=2), count(0))  # fmt: skip
    assert not answer.admitted
    assert (run.run_id, run.root_run_id, run.step_seq, run.turn_seq) == ("a", "root", 0, 2)  # fmt: skip
    assert answer.owners == ("", owner_of("t", "a"), ROOT, owner_of("t", "s"))
    assert [each.run_id for each in state.runs()] == ["root"]
    run, answer = await admit(state, run_of("b", 5, parent_run_id="unknown"), count(0))
    assert (run.root_run_id, answer.owners[2]) == ("b", owner_of("t", "b"))


async def test_a_refused_call_has_its_runs_place(state):
    await admit(state, run_of("root", session_id="s", agent="x"))
    run, answer = await admit(state, run_of("root", 7, session_id="other", turn_seq=3), count(0))  # fmt: skip
    assert not answer.admitted
    assert (run.session_id, run.agent, run.turn_seq, run.seen_us, run.step_seq) == ("s", "x", 3, 7, 1)  # fmt: skip
    assert answer.owners[3] == owner_of("t", "s")


async def test_who_is_refused_and_goes_on_keeps_the_run_alive(state):
    await admit(state, run_of("a"))
    for now in range(1, 3 * IDLE_US, IDLE_US // 2):
        await admit(state, run_of("a", now), count(0))
        await state.expired(now)
    assert (await admit(state, run_of("a", now + 1)))[0].step_seq == 2


async def test_branches_are_charged_to_the_root_and_the_session_that_are_known(state):
    claims = (count(2, 1, Scope.ROOT), count(3, 2, Scope.SESSION))
    await admit(state, run_of("root", session_id="s"), *claims)
    _, answer = await admit(state, run_of("child", parent_run_id="root"), *claims)
    assert answer.owners[2:] == (ROOT, "")
    _, answer = await admit(state, run_of("grandchild", parent_run_id="child", session_id="s"), *claims)  # fmt: skip
    assert answer.owners[2] == ROOT
    assert [(each.claim, each.value) for each in answer.findings] == [(0, 2)]
    _, answer = await admit(state, run_of("other", session_id="s"), *claims)
    assert answer.admitted
    # Where a session is learned later, that is whose the run's calls are from then on.
    await admit(state, run_of("late"))
    await admit(state, run_of("late", session_id="s"), claims[1])
    _, answer = await admit(state, run_of("late", session_id="r"), claims[1])
    assert answer.owners[3] == owner_of("t", "s")
    assert not answer.admitted


async def test_a_run_that_comes_back_has_its_root_and_its_session_again(state):
    await admit(state, run_of("root", session_id="s"))
    await admit(state, run_of("a", parent_run_id="root", session_id="s"))
    await state.expired(2 * IDLE_US)
    refused, answer = await admit(state, run_of("a", 2 * IDLE_US), count(0))
    assert (refused.root_run_id, refused.session_id) == ("root", "s")
    run, answer = await admit(state, run_of("a", 2 * IDLE_US), count(9))
    assert (run.root_run_id, run.step_seq) == ("root", 2)
    assert answer.owners[2:] == (ROOT, owner_of("t", "s"))


async def test_what_is_reserved_is_held_until_it_is_settled(state):
    _, answer = await admit(state, run_of("a"), reserve(10, 6, scope=Scope.OWN))
    assert answer.holds == (Hold(2, "", 6, 0, 0),)
    _, busy = await admit(state, run_of("a"), reserve(10, 5, scope=Scope.OWN))
    assert busy.findings == (Finding(0, Level.BUSY, 6, 10),)
    state.tell([Settle(2, "", 6, 1, HOUR_US)], 2)
    _, answer = await admit(state, run_of("a", 3), reserve(10, 9, scope=Scope.OWN))
    assert answer.admitted
    state.tell(taken_back([reserve(10, 9, scope=Scope.OWN)], answer), 4)
    _, answer = await admit(state, run_of("a", 5), reserve(1, 1, scope=Scope.OWN))
    assert answer.findings == (Finding(0, Level.OVER, 1, 1),)


async def test_a_plea_may_say_no_to_what_the_accounts_admitted(state):
    changes = [push("a", "s1", 1), Lead(2, Shelf.LINK, Link("a"))]
    plea = (Tail(3, Scope.RUN, (7,), 5, HOUR_US), count(5))
    _, answer = await admit(state, run_of("a"), *plea, changes=changes, says_no=True)
    assert (answer.admitted, answer.tails) == (True, ((7,),))
    found = await state.look([1])
    states = [each.state for fact in found.values() for each in fact.asked]
    assert states in (
        [],
        ["failed"],
    )  # memory does not remember it; in Redis it has failed
    state.tell(taken_back(plea, answer), 2)
    _, answer = await admit(state, run_of("a", 3), *plea)
    assert answer.tails == ((7, 7),)


async def test_calls_of_no_run_claim_for_whom_they_are_told(state):
    owners = ("", "", "", owner_of("t", "s"))
    for expected in (True, True, False):
        answer = await state.claim([count(2, 1, Scope.SESSION), count(0)], owners, 5)
        assert answer.admitted is expected
        assert answer.owners == owners
    assert await state.claim([], owners, 5) == Answer(True, owners=owners)


@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_who_asks_is_told_of_breakers_whoever_turned_them(server, kind):
    turned: list[Turned] = []
    rule = BreakerRule(consecutive=1, open_us=100, jitter_percent=0)
    permit = Permit(5, Mode.ENFORCE, rule)
    async with joined(server) as made:
        state = MemoryState(9, IDLE_US, turned=turned.append) if kind == "memory" else alone(made, turned.append)  # fmt: skip
        _, answer = await admit(state, run_of("a"), permit)
        state.tell([Signal(5, -1, answer.holds[0].permit, rule, 0)], 10)
        _, answer = await admit(state, run_of("a", 20), permit)
        assert answer.findings == (Finding(0, Level.OVER, 0, 0, 90),)
        await admit(state, run_of("a", 110), permit)
    phases = [(each.before, each.after) for each in turned]
    assert phases == [(Phase.CLOSED, Phase.OPEN), (Phase.OPEN, Phase.HALF_OPEN)]


async def test_an_admission_with_claims_is_one_question_and_what_is_told_in_a_turn_one_note(server):  # fmt: skip
    async with joined(server) as made:
        state = alone(made)
        asked: list[Any] = []
        put = state.line._put

        def putting(each: Any) -> None:
            asked.append(each)
            put(each)

        state.line._put = putting  # type: ignore[method-assign,assignment]
        _, answer = await admit(state, run_of("a"), count(9), reserve(99, 5), changes=[push("a", "s", 1)])  # fmt: skip
        assert len(asked) == 1
        state.tell(taken_back([count(9), reserve(99, 5)], answer), 2)
        state.tell([Settle(2, "", 0, 3, HOUR_US)], 2)
        state.tell([], 2)
        await admit(state, run_of("a", 3), count(9))
        assert len(asked) == 3
        assert await used(state, 2) == (3, 0)


async def test_a_call_that_another_one_forestalled_claims_nothing(server):
    async with joined(server) as made:
        state = alone(made)
        await admit(state, run_of("a"), changes=[push("a", "s1", 1)], step_id="s1")
        plea = Pleading([count(9, scope=Scope.OWN)])
        assert await state.admit(run_of("a"), [push("a", "s1", 1)], is_step=True, step_id="s1", plea=plea) is None  # fmt: skip
        assert plea.answer is None
        assert await used(state, 1) == (0, 0)


async def test_a_run_that_another_version_wrote_holds_what_it_claims(server):
    async with joined(server) as made:
        state = alone(made)
        await admit(state, run_of("a"))
        state._names.run = lambda tenant, run_id: b"12345678"  # type: ignore[method-assign]  # fmt: skip
        await admit(state, run_of("a"))
        state.add(("t", "a"), Totals(1, inferred="odd"), 1)  # type: ignore[arg-type]
        run, answer = await admit(state, run_of("a"), reserve(9, 5, scope=Scope.OWN))
        assert run == run_of("a")
        assert answer.holds == (Hold(2, "", 5, 0, 0),)
        assert state.kept.unwritable == 1


@given(seed=integers(0, 2**32))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
def test_whatever_comes_memory_and_redis_admit_and_refuse_the_same(server, seed):
    asyncio.run(compare(server, Random(seed)))


async def compare(server: str, dice: Random) -> None:
    async with joined(server, 100, IDLE_US, ended=Ends()) as made:
        keepers: list[State] = [MemoryState(100, IDLE_US), alone(made)]
        flying: list[tuple[list[Claim], Answer]] = []
        for now in range(1, 16):
            parent = dice.choice(["", "a"])
            run = run_of(dice.choice("abc"), now, parent_run_id=parent, session_id=dice.choice(["", "s", "r"]))  # fmt: skip
            claims = [some_claim(dice) for _ in range(dice.randrange(5))]
            changes = [push(run.run_id, f"s{now}", dice.randrange(1, 5))]
            both = [await admit(each, run, *claims, changes=changes) for each in keepers]  # fmt: skip
            assert both[0] == both[1]
            if both[0][1].admitted:
                flying.append((claims, both[0][1]))
            if flying and dice.random() < 0.5:
                ended = settled(*flying.pop(dice.randrange(len(flying))), dice)
                for each in keepers:
                    each.tell(ended, now)
        found = [await each.look([1, 2, 3, 4]) for each in keepers]
        assert found[0] is not None
        assert found[1] is not None
        assert found[0].keys() == found[1].keys()


def some_claim(dice: Random) -> Claim:
    scope, key = dice.choice(list(Scope)), dice.randrange(1, 3)
    if dice.random() < 0.2:
        return Tail(key, scope, (dice.getrandbits(64),), 3, HOUR_US)
    if dice.random() < 0.5:
        return count(dice.randrange(1, 9), key, scope)
    return reserve(dice.randrange(5, 30), dice.randrange(6), key + 2, scope)


def settled(claims: list[Claim], answer: Answer, dice: Random) -> list[Any]:
    if dice.random() < 0.3:
        return list(taken_back(claims, answer))
    return [Settle(each.key, each.owner, each.amount, dice.randrange(8), HOUR_US) for each in answer.holds]  # fmt: skip


async def test_a_refused_call_shows_its_worker_the_run_as_it_is(server: str):
    """Else a worker that only gets a run's tools would refuse them by a turn that is over, for ever."""
    place = ("t", "r1")
    full = Take(7, Scope.RUN, 1, 0, NONE, Mode.ENFORCE, False, 3_600_000_000)
    async with joined(server) as one, joined(server) as other:
        await one.admit(Run(*place, "r1", began_us=1, seen_us=1, turn_seq=1), [], is_step=True)  # fmt: skip
        await other.admit(Run(*place, "r1", began_us=1, seen_us=2, turn_seq=1), [], is_step=True)  # fmt: skip
        await one.admit(Run(*place, "r1", began_us=1, seen_us=3, turn_seq=2), [], is_step=True)  # fmt: skip
        known = other.seen(place)
        assert known is not None
        assert known.turn_seq == 1
        plea = Pleading([full], now_us=4)
        await other.admit(Run(*place, "r1", began_us=1, seen_us=4, turn_seq=1), [], is_step=True, plea=plea)  # fmt: skip
        assert plea.answer is not None
        assert not plea.answer.admitted
        known = other.seen(place)
        assert known is not None
        assert known.turn_seq == 2
