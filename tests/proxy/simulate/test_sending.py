"""Waiting adds up to what the pace says, whatever writing costs."""

import asyncio
from random import Random

import pytest

from proxy.simulate.pace import Pace
from proxy.simulate.question import Bill
from proxy.simulate.sending import HANG_SECONDS, Pacer, hang

STEADY = Pace(speed=20.0, jitter=0.0, first_token_seconds=1.0)


async def test_tokens_come_at_their_time():
    pacer = Pacer(STEADY, Random(1))
    begun = asyncio.get_running_loop().time()
    await pacer.begin(Bill(0))
    for _ in range(16):
        await pacer.make(1)
    took = asyncio.get_running_loop().time() - begun
    assert 0.055 <= took < 0.5


async def test_a_provider_without_speed_does_not_wait():
    pacer = Pacer(Pace(speed=0), Random(1))
    begun = asyncio.get_running_loop().time()
    await pacer.begin(Bill(10**9, reasoning=10**9))
    await pacer.make(10**9)
    assert asyncio.get_running_loop().time() - begun < 0.5


async def test_what_a_plan_slows_down_is_slow_at_any_speed():
    pacer = Pacer(Pace(speed=0), Random(1))
    begun = asyncio.get_running_loop().time()
    await pacer.begin(Bill(0), 0.05)
    assert asyncio.get_running_loop().time() - begun >= 0.045


async def test_a_provider_that_hangs_does_so_for_long():
    assert HANG_SECONDS >= 600
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await hang()
