from random import Random

import fakeredis
from msgspec.structs import astuple, replace

from proxy.judge.breaker import Breaker, fresh, lasting_us, taken, told, wait_us
from proxy.judge.claims import Phase
from proxy.state.redis_breaker import LUA
from tests.helpers.breakers import World, rule_of

ONE_STEP = (
    LUA
    + """
local state, rule = parsed(ARGV[1]), rule_of(numbers(ARGV[2]), 1)
local now, health, permit, random = unpack(numbers(ARGV[3]))
local wait = wait_us(state, now)
local after, number = state, 0
if wait == 0 then after, number = taken(state, rule, now) end
return {wait, written(after), number, written(told(state, rule, health, permit, now, random)), lasting_us(rule)}
"""
)


def text_of(state: Breaker) -> bytes:
    *numbers, probes = astuple(state)
    numbers += [each for probe in probes for each in probe]
    return b" ".join(b"%d" % each for each in numbers)


def test_each_rule_in_lua_gives_what_it_gives_in_python():
    script = fakeredis.FakeRedis(server=fakeredis.FakeServer()).register_script(ONE_STEP)  # fmt: skip
    phases = set()
    for seed in range(40):
        dice = Random(seed)
        world = World(dice, rule_of(dice))
        for _ in range(20):
            world.step()
            state, rule, now_us = world.breaker, world.rule, world.now_us
            phases.add(state.phase)
            health, random = dice.choice([-1, 0, 1]), dice.getrandbits(16)
            permit = dice.choice([0, *world.open_calls, *world.over])
            wait = wait_us(state, now_us)
            after, number = (state, 0) if wait else taken(state, rule, now_us)
            later = told(state, rule, health, permit, now_us, random)
            numbers = b"%d %d %d %d" % (now_us, health, permit, random)
            settings = b" ".join(b"%d" % each for each in astuple(rule))
            reply = script(args=[text_of(state), settings, numbers])
            assert reply == [wait, text_of(after), number, text_of(later), lasting_us(rule)]  # fmt: skip
    assert phases == set(Phase)


def test_a_state_is_written_with_every_field_it_has():
    script = fakeredis.FakeRedis(server=fakeredis.FakeServer()).register_script(LUA + "return written(parsed(ARGV[1]))")  # fmt: skip
    numbers = range(2**53 - 12, 2**53)
    probes = ((2**53 - 1, 1), (5, 2))
    state = replace(Breaker(Phase.HALF_OPEN, *numbers), probes=probes)
    assert script(args=[text_of(state)]) == text_of(state)
    assert script(args=[text_of(fresh(7))]) == text_of(fresh(7))
