"""What was counted and held outlives a worker that is killed."""

import asyncio
import json
import os
import signal
from collections import Counter
from pathlib import Path

from msgspec.structs import replace

from proxy.config import SpoolSettings
from tests.end_to_end.test_governors import COST_NANO, answer, ask, governed
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import process
from tests.helpers.records import until


async def test_c06_counters_stand_after_kill_9_and_what_was_under_way_is_settled_at_its_estimate(
    origin: RawOrigin, data_dir: Path
):
    """Four steps are answered and two are under way when the worker dies: six of eight steps, and six calls' dollars, are gone."""
    held: list[Exchange] = []
    never = asyncio.Event()

    async def some(exchange: Exchange) -> None:
        number = int(json.loads(exchange.request.body)["messages"][0]["content"].partition(":")[0])  # fmt: skip
        if number >= 100:
            held.append(exchange)
            await never.wait()
        await exchange.send(answer())

    origin.handler = some
    dollars = 7.5 * COST_NANO / 1e9
    settings = governed(data_dir, origin, caps={"mode": "enforce", "steps": 8, "cost_usd": dollars})  # fmt: skip
    async with process(settings) as proxy:
        assert [(await proxy.call(ask("r1", n))).status for n in range(4)] == [200] * 4
        dying = [asyncio.create_task(proxy.call(ask("r1", n))) for n in (100, 101)]
        await until(lambda: len(held) == 2, "two calls are under way")
        os.kill(proxy.pid, signal.SIGKILL)
        await asyncio.gather(*dying, return_exceptions=True)
    never.set()
    origin.handler = always(answer())
    async with process(settings) as proxy:
        found = [(await proxy.call(ask("r2", n))).status for n in range(1)]
        found += [(await proxy.call(ask("r1", n))).status for n in range(4)]
    assert found == [200, 200, 200, 400, 400]


async def test_c01_a_hundred_at_once_and_a_kill_in_the_middle_are_ten_all_the_same(
    origin: RawOrigin, data_dir: Path
):
    """Ten are under way when the worker dies: they have used up the ten steps, and the dollars that were held for them."""
    held: list[Exchange] = []
    never = asyncio.Event()

    async def holding(exchange: Exchange) -> None:
        held.append(exchange)
        await never.wait()

    origin.handler = holding
    settings = governed(data_dir, origin, caps={"mode": "enforce", "steps": 10})
    # What must survive is what was written before a call went out: 50 ms on a busy machine are not enough for that.
    settings = replace(settings, spool=SpoolSettings(wait_ms=10_000))
    async with process(settings) as proxy:
        calls = [asyncio.create_task(proxy.call(ask("r1", n))) for n in range(100)]
        await until(lambda: sum(each.done() for each in calls) == 90, "90 are refused")
        await until(lambda: len(held) == 10, "ten are under way")
        os.kill(proxy.pid, signal.SIGKILL)
        answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [each for each in answers if not isinstance(each, BaseException)]
    assert [each.status for each in refused] == [400] * 90
    never.set()
    origin.handler = always(answer())
    async with process(settings) as proxy:
        # Others than before: what is asked again after a crash is a further attempt of its step.
        again = await asyncio.gather(
            *(proxy.call(ask("r1", n)) for n in range(100, 200))
        )
        assert Counter(each.status for each in again) == {400: 100}
        assert (await proxy.call(ask("r2", 1))).status == 200
    assert len(origin.requests) == 11
