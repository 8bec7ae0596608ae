"""What is written for the scripts is what they do: equal to the memory's keeper, event by event."""

from random import Random
from typing import Any

import fakeredis
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers

from proxy.judge.claims import (
    MOST,
    NONE,
    Age,
    BreakerRule,
    Claim,
    Mode,
    Pass,
    Permit,
    Scope,
    Settle,
    Shut,
    Signal,
    Tail,
    Take,
    owner_of,
)
from proxy.state.accounts import Accounts
from proxy.state.redis_accounts import Writer, written_claims
from tests.helpers.histories import KEYS, History
from tests.helpers.keepers import PREFIX, SEED, RedisKeeper, keeper_of, real_keepers
from tests.helpers.reserving import World

NOW_US = 1_790_000_000_000_000
RUN = owner_of("t", "r")
OWNERS = ("", RUN, RUN, "")


def compare(memory: Accounts, other: RedisKeeper, history: History, events: int) -> None:  # fmt: skip
    for _ in range(events):
        claims, owners = history.claims()
        answer = memory.claim(claims, owners, history.now_us)
        assert other.claim(claims, owners, history.now_us) == answer
        history.learned(answer)
        changes = history.changes()
        turned = memory.apply(changes, history.now_us)
        assert other.apply(changes, history.now_us) == turned
    for key in KEYS:
        for owner in ("", owner_of("t", "a")):
            assert other.used(key, owner, history.now_us) == memory.used(key, owner, history.now_us)  # fmt: skip


@given(seed=integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_the_scripts_say_and_do_what_the_memory_does(seed):
    keeper = keeper_of("redis")
    assert isinstance(keeper, RedisKeeper)
    compare(Accounts(1000), keeper, History(Random(seed)), 12)


@given(seed=integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_reserving_and_settling_lose_and_double_nothing_in_the_scripts(seed):
    world = World(Random(seed), keeper_of("redis"), scale=10 ** (seed % 15))
    for _ in range(20):
        world.step()
    world.finish()


@pytest.mark.big
@pytest.mark.blocking_allowed  # a server of its own
@pytest.mark.timeout(900)
def test_ten_thousand_histories_on_a_real_server(tool, tmp_path):
    with real_keepers(tool("redis-server"), tmp_path, 1) as [keeper]:
        for seed in range(10_000):
            keeper.client.flushdb()
            compare(Accounts(1000), keeper, History(Random(seed)), 6)


@pytest.mark.big
@pytest.mark.blocking_allowed
@pytest.mark.timeout(900)
def test_ten_thousand_interleavings_of_two_replicas_on_a_real_server(tool, tmp_path):
    class Either:
        """Each event goes through any of the connections."""

        def __getattr__(self, name):
            return getattr(dice.choice(keepers), name)

    with real_keepers(tool("redis-server"), tmp_path, 2) as keepers:
        for seed in range(10_000):
            dice = Random(seed)
            keepers[0].client.flushdb()
            world = World(dice, Either(), scale=10 ** (seed % 15))
            for _ in range(15):
                world.step()
            world.finish()


def test_a_call_that_names_a_series_twice_and_is_refused_leaves_it_as_it_was():
    tail = Tail(1, Scope.OWN, (7, 8), 3, 10**9)
    zero = Take(2, Scope.OWN, 1, 0, NONE, Mode.ENFORCE, False, 10**9)
    for keeper in (Accounts(9), keeper_of("redis")):
        keeper.claim([tail], OWNERS, NOW_US)
        assert keeper.claim([tail, tail, zero], OWNERS, NOW_US).tails == ((7, 8), (7, 8))  # fmt: skip
        assert keeper.claim([tail, tail], OWNERS, NOW_US).tails == ((8, 7, 8), (8, 7, 8))  # fmt: skip


def test_arguments_are_written_in_full_whatever_their_size():
    claims: list[Claim] = [
        Take(2**64 - 1, Scope.ROOT, MOST, MOST, NONE, Mode.ENFORCE, True, MOST),
        Age(1, Scope.SESSION, 5, NONE, Mode.OBSERVE, 9),
        Pass(1, Mode.OBSERVE),
        Permit(1, Mode.ENFORCE, BreakerRule()),
        Tail(1, Scope.RUN, (2**64 - 1,), 3, 9),
    ]
    one = b"\0\0\0\0\0\0\0\1"
    assert written_claims(claims) == [
        b"te21" + b"\xff" * 8 + b"9007199254740991 9007199254740991 -1 9007199254740991",
        b"ao30" + one + b"5 -1 9",
        b"po00" + one,
        b"be00" + one + b"5 50 10 60000000 5000000 120000000 20 4 60000000",
        b"so10" + one + b"3 9|" + b"\xff" * 8,
    ]  # fmt: skip


def test_owners_are_hashed_by_the_installations_seed():
    one, two = Writer(1, PREFIX), Writer(2, PREFIX)
    assert len(one.owner(RUN)) == 8
    assert one.owner(RUN) != two.owner(RUN)
    assert one.owner("") == b""


def test_the_names_of_keys_say_nothing_and_every_key_expires():
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    keeper = RedisKeeper(client)
    run = owner_of("secret", "secret")
    claims: list[Claim] = [
        Take(1, Scope.ROOT, 1, NONE, NONE, Mode.ENFORCE, False, 10),
        Age(2, Scope.ROOT, NONE, NONE, Mode.ENFORCE, 10),
        Permit(3, Mode.ENFORCE, BreakerRule()),
        Tail(4, Scope.ROOT, (1,), 3, 10),
    ]
    keeper.claim(claims, ("", run, run, ""), NOW_US)
    keeper.apply([Settle(5, run, 0, 1, 10), Shut(6, NOW_US + 5), Shut(7, 0)], NOW_US)
    names: list[Any] = client.keys("*")
    assert len(names) == 7
    assert all(each.startswith(PREFIX) and b"secret" not in each for each in names)
    assert all(client.ttl(each) > 0 for each in names)


def test_nobody_shares_what_another_prefix_holds():
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    one, two = RedisKeeper(client), RedisKeeper(client)
    two.writer = Writer(SEED, b"tacho:other:")
    claim = Take(1, Scope.OWN, 1, 1, NONE, Mode.ENFORCE, False, 10**9)
    assert [each.claim([claim], OWNERS, NOW_US).admitted for each in (one, one, two)] == [True, False, True]  # fmt: skip


def test_nine_million_dollars_are_counted_to_the_nano_dollar_and_no_further():
    keeper = keeper_of("redis")
    keeper.apply([Settle(1, "", 0, MOST - 2, 10**9)], NOW_US)
    for expected in (MOST - 1, MOST, MOST):
        keeper.apply([Settle(1, "", 0, 1, 10**9)], NOW_US)
        assert keeper.used(1, "", NOW_US) == (expected, 0)


def test_a_breaker_is_kept_in_full():
    memory, keeper = Accounts(10), keeper_of("redis")
    permit = Permit(1, Mode.ENFORCE, BreakerRule(consecutive=1, longest_us=10**9))
    now_us = NOW_US
    for _ in range(12):
        given = [each.claim([permit], OWNERS, now_us) for each in (memory, keeper)]
        assert given[0] == given[1]
        number = given[0].holds[0].permit
        changes = [Signal(1, -1, number, permit.rule, 65_535)]
        turned = [each.apply(changes, now_us) for each in (memory, keeper)]
        assert turned[0] == turned[1]
        now_us = turned[0][0].until_us


def test_a_change_whose_key_is_no_account_costs_none_of_the_others():
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    keeper = RedisKeeper(client)
    client.set(PREFIX + b"t:" + (1).to_bytes(8, "big"), b"no hash")
    told = [Settle(1, "", 0, 5, NOW_US), Settle(2, "", 0, 7, NOW_US)]
    reply = keeper._apply(args=keeper.writer.apply_args(told, 1, [b"", b"0", b"1", b"0"]))  # fmt: skip
    assert reply == [1, []]
    assert keeper.used(2, "", 1) == (7, 0)
