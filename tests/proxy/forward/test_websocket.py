"""An upgraded connection: bytes both ways, half-closes passed on, and neither side outlives the other."""

import asyncio

import pytest

from tests.helpers.counted import attempts
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy, assert_is_our_error
from tests.helpers.websocket import HANDSHAKE, accept, frame, upgraded
from tests.helpers.wire import WAIT_SECONDS, request


async def exactly(reader: asyncio.StreamReader, size: int) -> bytes:
    async with asyncio.timeout(WAIT_SECONDS):
        return await reader.readexactly(size)


async def test_what_each_side_sends_reaches_the_other_as_it_is(
    origin: RawOrigin, proxy: Proxy
):
    sent, back = frame(1, b"hello"), bytes(range(256))

    async def echo(exchange: Exchange) -> None:
        await accept(exchange)
        assert await exactly(exchange.reader, len(sent)) == sent
        await exchange.send(back)
        await exchange.gone()
        exchange.close()

    origin.handler = echo
    async with await proxy.connect() as client:
        await upgraded(client)
        await client.send(sent)
        assert await exactly(client.reader, len(back)) == back


async def test_bytes_that_come_with_the_101_are_not_lost(
    origin: RawOrigin, proxy: Proxy
):
    async def greet(exchange: Exchange) -> None:
        await accept(exchange, early=b"early")
        await exchange.send(b" and late")
        exchange.close()

    origin.handler = greet
    async with await proxy.connect() as client:
        await upgraded(client)
        assert await client.rest() == b"early and late"


async def test_the_agents_half_close_reaches_the_upstream_which_may_go_on(
    origin: RawOrigin, proxy: Proxy
):
    async def answer_after_the_end(exchange: Exchange) -> None:
        await accept(exchange)
        assert await exchange.reader.read() == b"all"
        await exchange.send(b"farewell")
        exchange.close()

    origin.handler = answer_after_the_end
    async with await proxy.connect() as client:
        await upgraded(client)
        await client.send(b"all")
        client.finish()
        assert await client.rest() == b"farewell"
    end = (await proxy.only()).end
    assert (end.outcome, end.error_type) == ("completed", "")


async def test_the_upstreams_half_close_reaches_the_agent_which_may_go_on(
    origin: RawOrigin, proxy: Proxy
):
    heard = asyncio.get_running_loop().create_future()

    async def end_first(exchange: Exchange) -> None:
        await accept(exchange)
        await exchange.send(b"done")
        exchange.connection.writer.write_eof()
        heard.set_result(await exchange.reader.read())

    origin.handler = end_first
    async with await proxy.connect() as client:
        await upgraded(client)
        assert await client.rest() == b"done"
        await client.send(b"one more thing")
        client.finish()
        async with asyncio.timeout(WAIT_SECONDS):
            assert await heard == b"one more thing"
    assert (await proxy.only()).end.outcome == "completed"


async def test_an_upstream_that_resets_ends_the_agents_connection(
    origin: RawOrigin, proxy: Proxy
):
    async def reset(exchange: Exchange) -> None:
        await accept(exchange)
        await exchange.reader.readexactly(1)
        exchange.reset()

    origin.handler = reset
    async with await proxy.connect() as client:
        await upgraded(client)
        await client.send(b"x")
        assert await client.rest() == b""
    assert (await proxy.only()).end.outcome == "completed"


async def test_an_agent_that_resets_ends_the_upstreams_connection(
    origin: RawOrigin, proxy: Proxy
):
    gone = asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        await accept(exchange)
        await exchange.gone()
        gone.set()

    origin.handler = wait
    async with await proxy.connect() as client:
        await upgraded(client)
        client.reset()
        async with asyncio.timeout(WAIT_SECONDS):
            await gone.wait()
    assert (await proxy.only()).end.outcome == "client_abort"
    assert attempts(proxy.worker) == {("ws", "client_abort"): 1}


@pytest.mark.parametrize("who", ["agent", "upstream"])
async def test_whoever_does_not_read_makes_the_other_side_wait(
    who: str, origin: RawOrigin, proxy: Proxy
):
    size = 32 << 20
    sent, reading = asyncio.Event(), asyncio.Event()

    async def slow_or_fast(exchange: Exchange) -> None:
        await accept(exchange)
        if who == "agent":
            await exchange.send(b"x" * size)
            sent.set()
        else:
            await reading.wait()
            await exchange.reader.readexactly(size)
        exchange.close()

    origin.handler, origin.record = slow_or_fast, False
    async with (
        await proxy.connect(record=False) as client,
        asyncio.TaskGroup() as group,
    ):
        await upgraded(client)
        if who == "agent":
            assert not sent.is_set()
            assert len(await exactly(client.reader, size)) == size
            return
        upload = group.create_task(client.send(b"x" * size))
        await asyncio.sleep(0)
        assert not upload.done()
        reading.set()
        assert await client.rest() == b""


async def test_an_upstream_that_answers_otherwise_is_relayed_as_any_answer(
    origin: RawOrigin, proxy: Proxy
):
    async with await proxy.connect() as client:
        await client.send(HANDSHAKE)
        assert (await client.response()).body == b"ok"
    assert (await proxy.only()).close.http_status == 200


async def test_a_route_that_relays_no_upgrades_answers_426(proxy: Proxy):
    upgrade = ((b"Connection", b"Upgrade"), (b"Upgrade", b"WebSocket"))
    answer = await proxy.call(request(b"/t/x", *upgrade))
    assert_is_our_error(answer, 426, "invalid_request")
    assert answer.get(b"upgrade") == b"HTTP/1.1"
