"""Flow control of upgraded connections, of H24: who does not read holds the other side back; a drain does not wait for ever."""

import asyncio
import contextlib
from contextlib import AsyncExitStack
from pathlib import Path

from proxy.config import TimeoutSettings
from tests.helpers.clock import on_asyncios_own_loop
from tests.helpers.draining import DRAIN_SECONDS, drained
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.websocket import accept, upgraded


async def test_H24_an_agent_that_does_not_read_holds_the_origin_back(
    origin: RawOrigin, proxy: Proxy
) -> None:
    pushed = 0

    async def flood(exchange: Exchange) -> None:
        nonlocal pushed
        await accept(exchange)
        while pushed < 256 << 20:
            await exchange.send(b"x" * 65536)
            pushed += 65536

    origin.handler = flood
    async with await proxy.connect(limit=1024, receive_buffer=4096) as client:
        await upgraded(client)
        pushed_before = -1
        while pushed_before < pushed:
            pushed_before = pushed
            await asyncio.sleep(0.2)  # until nothing moves any more
        assert pushed < 32 << 20


async def test_H24_an_origin_that_does_not_read_holds_the_agent_back(
    origin: RawOrigin, proxy: Proxy
) -> None:
    release = asyncio.Event()

    async def ignore(exchange: Exchange) -> None:
        await accept(exchange)
        exchange.connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await release.wait()
        exchange.reset()

    origin.handler = ignore
    async with await proxy.connect() as client:
        await upgraded(client)
        pushed = 0
        with contextlib.suppress(TimeoutError):
            while pushed < 256 << 20:
                async with asyncio.timeout(0.5):
                    await client.send(b"x" * 65536)
                pushed += 65536
        assert pushed < 32 << 20
    release.set()


def test_H24_a_drain_ends_half_closed_tunnels_in_time(data_dir: Path) -> None:
    async def main() -> None:
        times = TimeoutSettings(drain_seconds=DRAIN_SECONDS)
        async with RawOrigin(accept) as origin, AsyncExitStack() as stack:
            settings = settings_for(data_dir, origin, timeouts=times)
            proxy = await stack.enter_async_context(running(settings))
            async with await proxy.connect() as client:
                await upgraded(client)
                client.finish()
                assert await drained(stack, proxy) < 2 * DRAIN_SECONDS

    on_asyncios_own_loop(main())
