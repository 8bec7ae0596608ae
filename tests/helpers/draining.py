"""The stop of a worker while something is under way that does not end by itself.

What lives here: how long a drain takes, on a clock that is pushed. What does not: what becomes of the calls.
"""

import asyncio
from contextlib import AsyncExitStack

from tests.helpers.clock import PushedClock
from tests.helpers.proxy import Proxy
from tests.helpers.wire import WAIT_SECONDS

DRAIN_SECONDS = 10 * WAIT_SECONDS
"""So long that a drain that takes it twice does not end within what a test waits."""


async def refuses(proxy: Proxy) -> None:
    """Wait until the proxy accepts no more connections: its drain has begun."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                async with await proxy.connect():
                    pass
            except ConnectionError:
                return


async def drained(stack: AsyncExitStack, proxy: Proxy) -> float:
    """Stop a worker that drains for `DRAIN_SECONDS`, and push the clock to one second before its time; give what it took."""
    loop = asyncio.get_running_loop()
    with PushedClock() as clock:
        began = loop.time()
        stop = loop.create_task(stack.aclose())
        await refuses(proxy)
        await clock.advance(DRAIN_SECONDS - 1)
        async with asyncio.timeout(WAIT_SECONDS):
            await stop
        return loop.time() - began
