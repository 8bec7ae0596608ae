"""A bell wakes the one who waits, or tells it that its time is over."""

import asyncio
from time import monotonic

import pytest

from proxy.forward.bell import NEVER_SECONDS, Bell


@pytest.mark.parametrize("patience", [60.0, NEVER_SECONDS], ids=["a while", "for ever"])
async def test_a_ring_wakes_who_waits(patience: float):
    bell = Bell()
    asyncio.get_running_loop().call_soon(bell.ring)
    assert await bell.wait(monotonic() + patience)


async def test_without_a_ring_the_wait_ends_at_its_deadline():
    assert not await Bell().wait(monotonic() + 0.001)


async def test_a_deadline_that_is_past_ends_the_wait_at_once():
    assert not await Bell().wait(monotonic() - 5)


async def test_two_rings_in_one_turn_are_one():
    bell, loop = Bell(), asyncio.get_running_loop()
    loop.call_soon(bell.ring)
    loop.call_soon(bell.ring)
    assert await bell.wait(NEVER_SECONDS)
    assert not await bell.wait(monotonic() + 0.001)


async def test_a_ring_in_the_turn_of_the_deadline_wins():
    bell, loop = Bell(), asyncio.get_running_loop()
    loop.call_soon(bell.ring)
    assert await bell.wait(monotonic())


async def test_a_cancelled_wait_leaves_a_bell_that_can_be_waited_for_again():
    bell = Bell()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(bell.wait(NEVER_SECONDS))
        await asyncio.sleep(0)
        first.cancel()
    bell.ring()
    asyncio.get_running_loop().call_soon(bell.ring)
    assert await bell.wait(NEVER_SECONDS)


async def test_whether_it_was_rung_is_remembered_until_it_is_reset():
    bell = Bell()
    assert not bell.rung.is_set()
    bell.ring()
    assert bell.rung.is_set()
    bell.reset()
    assert not bell.rung.is_set()
