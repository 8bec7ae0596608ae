"""Promise 1 while the worker stops: what is under way ends by itself or is visibly cut, and the drain takes its time once."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.config import TimeoutSettings
from tests.helpers.clock import on_asyncios_own_loop
from tests.helpers.draining import DRAIN_SECONDS, drained, refuses
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import running, settings_for
from tests.helpers.records import ended
from tests.helpers.wire import LAST_CHUNK, STREAM_HEAD, chunk, request


@pytest.mark.parametrize(
    "head",
    [[], [STREAM_HEAD, chunk(b"data: 1\n\n")]],
    ids=["before-the-answer", "in-a-stream"],
)
def test_a_drain_waits_for_its_time_once_and_then_cuts(
    head: list[bytes], data_dir: Path
) -> None:
    async def main() -> None:
        reached = asyncio.Event()

        async def never_end(exchange: Exchange) -> None:
            await exchange.send(*head)
            reached.set()
            await exchange.gone()

        times = TimeoutSettings(drain_seconds=DRAIN_SECONDS)
        async with RawOrigin(never_end) as origin, AsyncExitStack() as stack:
            settings = settings_for(data_dir, origin, timeouts=times)
            proxy = await stack.enter_async_context(running(settings))
            async with await proxy.connect() as client:
                await client.send(request(b"/t/x"))
                await reached.wait()
                assert DRAIN_SECONDS <= await drained(stack, proxy) < 2 * DRAIN_SECONDS
                assert LAST_CHUNK not in await client.rest()
        (exchange,) = await ended(data_dir, 1)
        assert exchange.end.outcome != "completed"

    on_asyncios_own_loop(main())


async def test_a_drain_lets_a_stream_finish_and_refuses_nothing_under_way(
    origin: RawOrigin, data_dir: Path
) -> None:
    reached, stopping = asyncio.Event(), asyncio.Event()

    async def end_during_the_drain(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD, chunk(b"data: 1\n\n"))
        reached.set()
        await stopping.wait()
        await exchange.send(chunk(b"data: 2\n\n"), LAST_CHUNK)

    origin.handler = end_during_the_drain
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(running(settings_for(data_dir, origin)))
        async with await proxy.connect() as client, asyncio.TaskGroup() as group:
            await client.send(request(b"/t/x"))
            await reached.wait()
            stop = group.create_task(stack.aclose())
            await refuses(proxy)
            assert not stop.done()
            stopping.set()
            assert (await client.response()).body == b"data: 1\n\ndata: 2\n\n"
    (exchange,) = await ended(data_dir, 1)
    assert exchange.end.outcome == "completed"
