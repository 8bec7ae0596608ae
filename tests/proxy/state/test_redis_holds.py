"""Nothing that a worker has reserved stays for ever: whoever dies, is cut off or comes back late, sums are exact in the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers

from proxy.judge.claims import (  # fmt: skip
    NONE,
    Allow,
    BreakerRule,
    Mode,
    Permit,
    Phase,
    Scope,
    Settle,
    Signal,
    Take,
    again,
    owner_of,
)
from proxy.state.redis_state import RedisState
from tests.helpers.keepers import RedisKeeper, keeper_of
from tests.helpers.redis import fake_redis, joined, leases_run_out, names, used
from tests.helpers.reserving import World

pytestmark = pytest.mark.blocking_allowed  # the server of Python shares this process
HOUR_US = 3_600_000_000
OWNERS = ("", owner_of("t", "r"), owner_of("t", "r"), "")
SEEDS = iter(range(1_000_000))


@pytest.fixture(scope="module")
def server():
    with fake_redis() as url:
        yield url


@asynccontextmanager
async def workers(server: str, count: int = 2) -> AsyncIterator[list[RedisState]]:
    """Give workers of one installation, each with its own holder."""
    seed = next(SEEDS)
    async with joined(server) as one:
        made = [RedisState(seed, one.line, 100, HOUR_US) for _ in range(count)]
        for each in made:
            each.claims._greet()
        yield made


def reserve(amount: int, limit: int = NONE, key: int = 1, scope: Scope = Scope.OWN) -> Take:  # fmt: skip
    return Take(key, scope, amount, limit, NONE, Mode.ENFORCE, True, HOUR_US)


async def claim(state: RedisState, *claims: Take, now_us: int = 1) -> None:
    answer = await state.claim(claims, OWNERS, now_us)
    assert answer is not None
    assert answer.admitted


async def beat(state: RedisState) -> int:
    """Have a worker say that it lives, and say what it settled for others."""
    before, state.claims._beat_at = state.kept.freed, 0.0
    await state.claims.beat(2)
    return state.kept.freed - before


async def die(dead: RedisState, alive: RedisState) -> int:
    """Let so much time pass that a worker is taken for dead."""
    assert dead is not alive
    found = 0
    for _ in range(2):
        await leases_run_out(alive)
        found += await beat(alive)
    return found


async def test_what_a_dead_worker_held_is_settled_at_what_it_reserved(server):
    async with workers(server) as (dead, alive):
        await claim(dead, reserve(3), reserve(4), reserve(5, key=2, scope=Scope.ROOT))
        await claim(alive, reserve(2))
        await beat(dead)
        assert await beat(alive) == 0
        assert await leases_run_out(alive) == 2
        assert await beat(alive) == 0  # it is marked, and has as much time again
        assert await beat(alive) == 0
        assert await used(alive, 1) == (0, 9)
        await leases_run_out(alive)
        assert await beat(alive) == 2
        assert await used(alive, 1) == (7, 2)
        assert await used(alive, 2, OWNERS[2]) == (5, 0)
        assert await die(dead, alive) == 0
        assert await used(alive, 1) == (7, 2)


async def test_what_a_dead_worker_held_under_an_allowance_is_settled_there(server):
    async with workers(server) as (dead, alive):
        await claim(dead, reserve(5, key=2, scope=Scope.ROOT))
        alive.tell([Allow(OWNERS[2], 2**64 - 1)], 1)
        assert await alive.drained(5)
        await claim(dead, reserve(6, key=2, scope=Scope.ROOT))
        later = again(OWNERS[2], 2**64 - 1)
        assert await used(alive, 2, OWNERS[2]) == (0, 5)
        assert await used(alive, 2, later) == (0, 6)
        await beat(dead)
        await beat(alive)
        assert await die(dead, alive) == 2
        assert await used(alive, 2, OWNERS[2]) == (5, 0)
        assert await used(alive, 2, later) == (6, 0)


async def test_who_was_cut_off_for_a_while_loses_nothing(server):
    async with workers(server) as (slow, alive):
        await claim(slow, reserve(3))
        await leases_run_out(alive)
        await beat(alive)
        await beat(slow)  # takes the mark away
        await leases_run_out(alive)
        assert await beat(alive) == 0
        assert await used(alive, 1) == (0, 3)


@pytest.mark.parametrize("actual", [0, 2, 3, 9])
async def test_who_lives_after_all_puts_right_what_was_settled_for_it(server, actual):
    async with workers(server) as (slow, alive):
        await claim(slow, reserve(3), reserve(4))
        await claim(alive, reserve(10))
        await die(slow, alive)
        assert await used(alive, 1) == (7, 10)
        slow.tell([Settle(1, "", 3, actual, HOUR_US)], 5)
        assert await slow.drained(5)
        assert await used(alive, 1) == (4 + actual, 10)
        await claim(slow, reserve(6))  # it goes on
        slow.tell([Settle(1, "", 4, 4, HOUR_US), Settle(1, "", 6, 0, HOUR_US)], 5)
        assert await slow.drained(5)
        assert await used(alive, 1) == (4 + actual, 10)


async def test_of_many_accounts_a_part_is_settled_in_one_go(server):
    async with workers(server) as (dead, alive):
        for key in range(0, 1200, 300):
            await claim(dead, *(reserve(1, key=key + n) for n in range(300)))
        found = [await die(dead, alive)]
        while found[-1]:
            found.append(await beat(alive))
        assert sum(found) == 1200
        assert {await used(alive, key) for key in (0, 599, 600, 1199)} == {(1, 0)}
        assert not any(name.startswith(b"h:") for name in await names(alive))


async def test_an_account_that_is_forgotten_is_not_made_anew_by_the_dead(server):
    async with workers(server) as (dead, alive):
        short = Take(1, Scope.OWN, 3, NONE, NONE, Mode.ENFORCE, True, 1)
        await claim(dead, short)
        await claim(dead, reserve(4, key=2))
        assert await die(dead, alive) == 2
        assert await used(alive, 1) == (0, 3)  # past its time, and nobody's
        assert await used(alive, 2) == (4, 0)


async def test_a_new_connection_frees_what_was_reserved_unknown_to_the_worker(server):
    async with workers(server) as (one, other):
        await claim(one, reserve(3), reserve(4, key=2), reserve(5, key=3, scope=Scope.RUN))  # fmt: skip
        await claim(other, reserve(10))
        one.claims.held = {
            (1, ""): 1,
            (3, OWNERS[1]): 5,
        }  # the answer to the rest was lost
        one.claims._greet()
        assert await one.drained(5)
        assert await used(one, 1) == (0, 11)
        assert await used(one, 2) == (0, 0)
        assert await used(one, 3, OWNERS[1]) == (0, 5)


async def test_what_redis_finds_of_an_older_connection_is_not_done(server):
    async with workers(server, 1) as (state,):
        old = state.claims._own()
        state.claims._greet()
        await claim(state, reserve(3))
        state.claims._own = lambda: old  # type: ignore[method-assign]
        state.tell([Settle(1, "", 3, 3, HOUR_US)], 5)
        assert await state.drained(5)
        assert await used(state, 1) == (0, 3)


async def test_a_note_that_comes_again_counts_once(server):
    async with workers(server, 1) as (state,):
        notes: list[Any] = []
        tell = state.line.tell

        def noting(*note: Any) -> None:
            notes.append(note)
            tell(*note)

        state.line.tell = noting  # type: ignore[method-assign,assignment]
        for amount in (5, 7):
            state.tell([Settle(1, "", 0, amount, HOUR_US)], 5)
            state.claims.flush()
        for script, _, taken, again in notes[::-1]:  # in whatever order
            tell(script, again, taken)
        assert await state.drained(5)
        assert await used(state, 1) == (12, 0)
        script, _, taken, again = notes[-1]
        tell(script, [*again[:4], b"3", *again[5:]], taken)  # never came before
        assert await state.drained(5)
        assert await used(state, 1) == (19, 0)


async def test_every_key_expires_and_says_nothing(server):
    async with workers(server) as (one, other):
        for each in (one, other):
            await claim(each, reserve(3))
            await beat(each)
        await leases_run_out(one)
        await beat(one)
        found = await names(one)
        assert {name[:2] for name in found} == {b"t:", b"h:", b"x:", b"l:", b"ho"}
        assert min(found.values()) > 0


async def test_a_beat_is_said_now_and_then_and_waits_for_redis(server):
    async with workers(server, 1) as (state,):
        asked: list[int] = []
        state.line.ask = lambda *_: counted(asked)  # type: ignore[method-assign]
        for _ in range(3):
            await state.claims.beat(2)
        assert len(asked) == 1


async def counted(asked: list[int]) -> list[int]:
    asked.append(1)
    return [0, 0, 0]


@given(seed=integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_a_holder_makes_no_difference_to_what_is_admitted_and_settled(seed):
    keeper = keeper_of("redis")
    assert isinstance(keeper, RedisKeeper)
    keeper.holder = b"somebody"
    world = World(Random(seed), keeper, scale=10 ** (seed % 15))
    for _ in range(20):
        world.step()
    world.finish()
    assert keeper.client.hlen(b"tacho:test:h:somebody") == 0


async def test_each_life_of_a_worker_has_a_name_of_its_own(server):
    async with workers(server) as made:
        assert {len(each.claims.holder) for each in made} == {8}
        assert made[0].claims.holder != made[1].claims.holder


async def test_a_breaker_that_another_worker_turned_is_shown_when_it_is_met_and_with_each_beat(server):  # fmt: skip
    async with workers(server) as (one, other):
        turned: list[Phase] = []
        shown: dict[str, list[Phase]] = {"one": [], "other": []}
        one.claims._turned = lambda turn: turned.append(turn.after)
        one.claims._met = lambda _, phase: shown["one"].append(phase)
        other.claims._met = lambda _, phase: shown["other"].append(phase)
        rule = BreakerRule(consecutive=1, jitter_percent=0, probes=1)
        permit = Permit(9, Mode.ENFORCE, rule)
        one.tell([Signal(9, -1, 0, rule, 0)], 1)
        assert await one.drained(5)
        answer = await other.claim([permit], OWNERS, 2)
        assert answer is not None
        assert not answer.admitted
        assert shown == {"one": [Phase.OPEN], "other": [Phase.OPEN]}
        probe = await one.claim([permit], OWNERS, 10_000_000)
        assert probe is not None
        one.tell([Signal(9, 1, probe.holds[0].permit, rule, 0)], 10_000_000)
        assert await one.drained(5)
        assert turned == [Phase.OPEN, Phase.HALF_OPEN, Phase.CLOSED]
        assert shown["one"] == turned
        await beat(other)
        await beat(other)
        assert shown["other"] == [Phase.OPEN, Phase.CLOSED]
        assert not other.claims._shown
