"""What was counted and held outlives a worker that is killed."""

import asyncio
import json
import os
import signal
from pathlib import Path

from tests.end_to_end.test_governors import COST_NANO, answer, ask, governed
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import process
from tests.helpers.records import until


async def test_counters_stand_after_kill_9_and_what_was_under_way_is_settled_at_its_estimate(
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
