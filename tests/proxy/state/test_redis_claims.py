"""One worker's claims on a connection that is slow, breaks or is not there: nothing stays reserved that nobody knows of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import fakeredis
import pytest

from proxy.identify.facts import Run
from proxy.judge.claims import (
    NONE,
    Allow,
    Answer,
    BreakerRule,
    Claim,
    Mode,
    Permit,
    Scope,
    Settle,
    Shut,
    Signal,
    Take,
    Turned,
    again,
    owner_of,
)
from proxy.state import redis_claims
from proxy.state.circuit import Circuit, Pauses
from proxy.state.redis_asked import Patience
from proxy.state.redis_line import Line
from proxy.state.redis_state import SCRIPTS, RedisState
from tests.helpers.redis import Pleading

pytestmark = pytest.mark.blocking_allowed  # the Redis is in this process
HOUR_US = 3_600_000_000
OWNERS = ("", "", "", "")
NOW_US = 1_790_000_000_000_000


class Redis:
    """A connection to a Redis in this process. `is_deaf` runs what is sent and keeps the replies; `breaks` then loses them."""

    def __init__(self) -> None:
        self.client: Any = fakeredis.FakeRedis(server=fakeredis.FakeServer())
        self.is_deaf = False
        self.loses = False
        self.kept: list[Any] = []
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        self.ran: list[tuple[Any, ...]] = []

    async def connect(self) -> None:
        self.inbox = asyncio.Queue()

    async def disconnect(self, nowait: bool = False) -> None:
        self.inbox = asyncio.Queue()

    def pack_commands(self, commands: Any) -> Any:
        return list(commands)

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # fmt: skip
        for each in command:
            if self.loses:
                continue
            self.ran.append(each)
            reply = self.client.execute_command(*each)
            (self.kept.append if self.is_deaf else self.inbox.put_nowait)(reply)

    async def read_response(self, disable_decoding: bool = False) -> Any:
        reply = await self.inbox.get()
        if isinstance(reply, Exception):
            raise reply
        return reply

    def answers(self) -> None:
        """Give the replies that were kept."""
        self.is_deaf = False
        for each in self.kept:
            self.inbox.put_nowait(each)
        self.kept.clear()

    def breaks(self) -> None:
        """Lose the connection, and the replies that were kept."""
        self.is_deaf = self.loses = False
        self.kept.clear()
        self.inbox.put_nowait(ConnectionResetError())


@asynccontextmanager
async def joined(redis: Redis, wait_seconds: float = 5.0, turned: Any = lambda turned: None) -> AsyncIterator[RedisState]:  # fmt: skip
    loop = asyncio.get_running_loop()
    circuit = Circuit(Pauses(0.001, 0.001), loop.time, lambda: 0.5)
    scripts = (*SCRIPTS, *redis_claims.SCRIPTS)
    line = Line(redis, circuit, scripts, "somewhere", Patience(wait_seconds))
    state = RedisState(7, line, 100, HOUR_US, turned=turned)
    await state.open()
    try:
        await drained(state)
        yield state
    finally:
        await state.close()


async def drained(state: RedisState) -> None:
    """Wait until all that was told has been taken, however often the connection breaks."""
    while not await state.drained(5):  # noqa: ASYNC110 - that a pause is over is no event
        await asyncio.sleep(0)


def reserve(amount: int, key: int = 1) -> Take:
    return Take(key, Scope.OWN, amount, NONE, NONE, Mode.ENFORCE, True, HOUR_US)


def count(limit: int, key: int = 2) -> Take:
    return Take(key, Scope.OWN, 1, limit, NONE, Mode.ENFORCE, False, HOUR_US)


def used(redis: Redis, state: RedisState, key: int = 1) -> tuple[int, int]:
    name = state.claims.prefix + b"t:" + key.to_bytes(8, "big")
    settled, reserved = redis.client.hmget(name, "v", "w")
    return int(settled or 0), int(reserved or 0)


async def claim(state: RedisState, *claims: Claim) -> Answer | None:
    return await state.claim(claims, OWNERS, NOW_US)


async def begun(redis: Redis, asking: Any) -> asyncio.Task[Any]:
    """Have something asked whose reply is kept back."""
    redis.is_deaf = True
    task = asyncio.get_running_loop().create_task(asking)
    while not redis.kept:  # noqa: ASYNC110 - what a connection has got is no event
        await asyncio.sleep(0)
    return task


def admission(state: RedisState, plea: Pleading) -> Any:
    run = Run("t", "a", "a", seen_us=NOW_US)
    return state.admit(run, [], is_step=True, plea=plea)


@pytest.mark.parametrize("kind", ["claim", "admit"])
async def test_what_is_admitted_too_late_is_taken_back(kind):
    redis = Redis()
    claims: list[Claim] = [reserve(5), count(9), Permit(3, Mode.ENFORCE, BreakerRule())]
    async with joined(redis, wait_seconds=0.01) as state:
        plea = Pleading(claims, NOW_US)
        asking = claim(state, *claims) if kind == "claim" else admission(state, plea)
        task = await begun(redis, asking)
        answer = await task
        assert plea.answer is None
        assert answer == (None if kind == "claim" else Run("t", "a", "a", seen_us=NOW_US))  # fmt: skip
        assert used(redis, state) == (0, 5)
        redis.answers()
        await drained(state)
        await drained(state)  # it has been read, and what followed has been taken
        assert (used(redis, state), used(redis, state, 2)) == ((0, 0), (0, 0))
        assert state.claims.held == {}
        assert state.kept.taken_back == 1
        assert redis.client.hlen(state.claims.prefix + b"h:" + state.claims.holder) == 0


@pytest.mark.parametrize("kind", ["claim", "admit"])
async def test_whoever_is_cancelled_after_asking_holds_nothing(kind):
    redis = Redis()
    async with joined(redis) as state:
        plea = Pleading([reserve(5)], NOW_US)
        asking = claim(state, reserve(5)) if kind == "claim" else admission(state, plea)
        task = await begun(redis, asking)
        task.cancel()
        await asyncio.wait([task])
        redis.answers()
        await drained(state)
        await drained(state)
        assert used(redis, state) == (0, 0)


async def test_who_is_cancelled_when_the_answer_is_there_holds_nothing():
    redis = Redis()
    async with joined(redis) as state:
        task = await begun(redis, claim(state, reserve(5)))
        (asked,) = state.line._sent
        redis.answers()
        while not asked.is_moot():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await drained(state)
        assert used(redis, state) == (0, 0)
        assert state.kept.taken_back == 1


async def test_a_refusal_that_comes_too_late_is_nothing():
    redis = Redis()
    async with joined(redis, wait_seconds=0.01) as state:
        task = await begun(redis, claim(state, count(0)))
        assert await task is None
        redis.answers()
        await drained(state)
        assert (state.kept.unjudged, state.kept.taken_back) == (1, 0)


async def test_a_late_answer_that_another_call_came_first_is_nothing():
    redis = Redis()
    async with joined(redis) as state:
        plea = Pleading([reserve(5)], NOW_US)
        state._late(Run("t", "a", "a"), plea.claims, NOW_US, None)
        assert state.claims.held == {}


async def test_an_answer_that_is_lost_with_its_connection_leaves_nothing():
    redis = Redis()
    async with joined(redis) as state:
        assert await claim(state, reserve(3))
        task = await begun(redis, claim(state, reserve(5)))
        redis.breaks()
        assert await task is None
        assert used(redis, state) == (0, 8)
        await drained(state)
        assert used(redis, state) == (0, 3)
        assert state.kept.unjudged == 1


async def test_what_is_held_under_an_allowance_is_still_held_on_the_next_connection():
    redis, run = Redis(), owner_of("t", "r")
    owners = ("", run, run, "")
    mine, lost = (Take(1, Scope.ROOT, amount, NONE, NONE, Mode.ENFORCE, True, HOUR_US) for amount in (3, 5))  # fmt: skip
    async with joined(redis) as state:
        state.tell([Allow(run, 9)], NOW_US)
        assert await state.claim([mine], owners, NOW_US)
        assert state.claims.held == {(1, again(run, 9)): 3}
        task = await begun(redis, state.claim([lost], owners, NOW_US))
        redis.breaks()
        assert await task is None
        await drained(state)
        name = state.claims.prefix + b"t:" + (1).to_bytes(8, "big") + state.claims.writer.owner(again(run, 9))  # fmt: skip
        assert redis.client.hget(name, "w") == b"3"


@pytest.mark.parametrize("was_taken", [True, False])
async def test_what_was_told_when_the_connection_broke_counts_once(was_taken):
    redis = Redis()
    async with joined(redis) as state:
        assert await claim(state, reserve(3))
        redis.is_deaf, redis.loses = True, not was_taken
        state.tell([Settle(1, "", 3, 4, HOUR_US)], NOW_US)
        sent = state.line._sent
        while not sent:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        assert used(redis, state) == ((4, 0) if was_taken else (0, 3))
        redis.breaks()
        await drained(state)
        assert used(redis, state) == (4, 0)
        assert state.line.counts.connects == 2
        assert state.losses()["state_note"] == 0


async def test_what_is_told_without_a_connection_waits_for_one_in_bounds(monkeypatch):
    monkeypatch.setattr(redis_claims, "MAX_TOLD", 3)
    monkeypatch.setattr(redis_claims, "A_NOTE", 2)
    redis = Redis()
    async with joined(redis) as state:
        redis.breaks()
        while state.line.is_connected:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        for key in (5, 6):
            state.tell([Shut(key, NOW_US + 1), Settle(key, "", 0, key, HOUR_US)], NOW_US)  # fmt: skip
            state.tell([Settle(key, "", 0, 1, HOUR_US)], NOW_US)
        assert await claim(state, count(1)) is None
        assert state.losses()["state_note"] == 3
        before = len(redis.ran)
        assert await state.line.connected(5)
        await drained(state)
        assert (used(redis, state, 5), used(redis, state, 6)) == ((6, 0), (0, 0))
        told = [each for each in redis.ran[before:] if each[0] == "EVALSHA"]
        assert len(told) == 4  # two notes, what it holds, and that all was taken


async def test_a_breaker_that_turns_by_what_was_told_is_told_of():
    redis, turned = Redis(), list[Turned]()
    rule = BreakerRule(consecutive=1)
    async with joined(redis, turned=turned.append) as state:
        state.tell([Signal(3, -1, 0, rule, 0)], NOW_US)
        await drained(state)
        assert [each.after for each in turned] == [1]


async def test_a_reservation_is_known_until_it_is_settled_in_parts():
    redis = Redis()
    async with joined(redis) as state:
        for amount in (3, 4, 0):
            assert await claim(state, reserve(amount), count(NONE))
        assert state.claims.held == {(1, ""): 7}
        state.tell([Settle(1, "", 3, 3, HOUR_US), Settle(1, "", 0, 3, HOUR_US)], NOW_US)
        assert state.claims.held == {(1, ""): 4}
        state.tell([Settle(1, "", 9, 9, HOUR_US)], NOW_US)
        assert state.claims.held == {}


async def test_nobody_beats_without_a_connection():
    redis = Redis()
    async with joined(redis) as state:
        await state.expired(NOW_US)
        assert redis.client.exists(state.claims.prefix + b"l:" + state.claims.holder)
        redis.breaks()
        while state.line.is_connected:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        state.claims._beat_at = 0.0
        await state.expired(NOW_US)
        assert state.claims._beat_at == 0.0
        state.sweep(NOW_US)


async def test_a_call_of_no_run_is_not_told():
    redis = Redis()
    async with joined(redis) as state:
        before = len(redis.ran)
        state.note("t", "", [], NOW_US)
        await drained(state)
        assert len(redis.ran) == before + 1
