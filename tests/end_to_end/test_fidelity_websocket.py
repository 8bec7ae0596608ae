"""Promise 1 for upgrades: H24; the relay is of raw bytes, so frames are only what the bytes mean to both ends."""

import asyncio
import os
import struct
from pathlib import Path

import pytest

from proxy.config import RouteSettings
from tests.helpers.client import RawClient
from tests.helpers.counted import counted
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.websocket import HANDSHAKE, UPGRADE, accept, frame, upgraded
from tests.helpers.wire import WAIT_SECONDS, request, response


async def exactly(client: RawClient, size: int) -> bytes:
    async with asyncio.timeout(WAIT_SECONDS):
        return await client.reader.readexactly(size)


async def test_H24_the_handshake_reaches_the_origin_whole(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async def accept_and_close(exchange: Exchange) -> None:
        await accept(exchange)
        exchange.close()

    origin.handler = accept_and_close
    async with await proxy.connect() as client:
        await upgraded(client)
    (seen,) = origin.requests
    assert seen.target == b"/socket?model=x"
    assert seen.without(b"host", b"connection", b"upgrade") == UPGRADE[2:]
    assert seen.all(b"upgrade") == [b"websocket"]
    assert b"upgrade" in (seen.get(b"connection") or b"").lower()


FRAMES = {
    "text": frame(1, "grüße".encode()),
    "binary": frame(2, bytes(range(256))),
    "ping": frame(9, b"are you there"),
    "pong": frame(10, b""),
    "close-4000": frame(8, struct.pack("!H", 4000) + b"bye"),
}


@pytest.mark.parametrize("sent", FRAMES.values(), ids=FRAMES.keys())
async def test_H24_frames_travel_both_ways_byte_for_byte(
    sent: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    back = frame(1, b"unmasked answer", mask=None)

    async def echo(exchange: Exchange) -> None:
        await accept(exchange)
        assert await exchange.reader.readexactly(len(sent)) == sent
        await exchange.send(back + sent)
        exchange.close()

    origin.handler = echo
    async with await proxy.connect() as client:
        await upgraded(client)
        await client.send(sent)
        assert await exactly(client, len(back + sent)) == back + sent
        assert await client.rest() == b""


async def test_H24_a_fragmented_message_of_10_MB_arrives_both_ways(
    origin: RawOrigin, proxy: Proxy
) -> None:
    part = os.urandom(1 << 20)
    message = b"".join(frame(2 if i == 0 else 0, part, final=i == 9) for i in range(10))

    async def echo(exchange: Exchange) -> None:
        await accept(exchange)
        received = await exchange.reader.readexactly(len(message))
        await exchange.send(received)
        exchange.close()

    origin.handler = echo
    async with await proxy.connect() as client:
        await upgraded(client)
        await client.send(message)
        assert await client.rest() == message


async def test_H24_early_bytes_of_both_sides_are_not_lost(
    origin: RawOrigin, proxy: Proxy
) -> None:
    early, reply = (
        frame(1, b"sent with the handshake"),
        frame(1, b"sent with the 101", mask=None),
    )

    async def answer(exchange: Exchange) -> None:
        await accept(exchange, reply)
        assert await exchange.reader.readexactly(len(early)) == early
        await exchange.send(early)
        exchange.close()

    origin.handler = answer
    async with await proxy.connect() as client:
        await client.send(HANDSHAKE + early)
        assert (await client.head()).status == 101
        assert await client.rest() == reply + early


async def test_H24_a_half_close_of_the_agent_leaves_the_way_back_open(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async def answer_after_the_end(exchange: Exchange) -> None:
        await accept(exchange)
        assert await exchange.reader.read() == b"last words"
        await exchange.send(b"and the answer")
        exchange.close()

    origin.handler = answer_after_the_end
    async with await proxy.connect() as client:
        await upgraded(client)
        await client.send(b"last words")
        client.finish()
        assert await client.rest() == b"and the answer"


async def test_H24_a_half_close_of_the_origin_leaves_the_way_there_open(
    origin: RawOrigin, proxy: Proxy
) -> None:
    heard = asyncio.get_running_loop().create_future()

    async def end_and_listen(exchange: Exchange) -> None:
        await accept(exchange)
        exchange.connection.writer.write_eof()
        heard.set_result(await exchange.reader.read())

    origin.handler = end_and_listen
    async with await proxy.connect() as client:
        await upgraded(client)
        assert await client.rest() == b""
        await client.send(b"still talking")
        client.finish()
        async with asyncio.timeout(WAIT_SECONDS):
            assert await heard == b"still talking"


async def test_H24_a_refused_upgrade_is_relayed_with_its_body(
    origin: RawOrigin, proxy: Proxy
) -> None:
    refusal = response(
        b'{"error":"no"}',
        (b"Content-Type", b"application/json"),
        status=b"403 Forbidden",
    )
    origin.handler = always(refusal)
    async with await proxy.connect() as client:
        await client.call(HANDSHAKE)
        assert client.raw == refusal


async def test_H24_an_origin_that_dies_before_101_is_502(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async def die(exchange: Exchange) -> None:
        exchange.close()

    origin.handler = die
    assert (await proxy.call(HANDSHAKE)).status == 502


async def test_H24_a_route_without_websockets_answers_426_itself(
    origin: RawOrigin, proxy: Proxy
) -> None:
    answer = await proxy.call(request(b"/t/socket", *UPGRADE))
    assert answer.status == 426
    assert origin.connections == []


@pytest.mark.parametrize("who", ["agent", "origin"])
async def test_H24_when_one_side_resets_the_other_is_closed(
    who: str, origin: RawOrigin, proxy: Proxy
) -> None:
    gone = asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        await accept(exchange)
        if who == "origin":
            exchange.reset()
        else:
            await exchange.gone()
        gone.set()

    origin.handler = serve
    async with await proxy.connect() as client:
        await upgraded(client)
        if who == "agent":
            client.reset()
            async with asyncio.timeout(WAIT_SECONDS):
                await gone.wait()
        else:
            assert await client.rest() == b""
    assert len((await proxy.only()).ends) == 1


async def test_H24_what_a_websocket_to_a_model_spends_is_told_to_be_unmetered(
    origin: RawOrigin, data_dir: Path
) -> None:
    said = frame(1, b'{"type":"response.done","usage":{"output_tokens":7}}', mask=None)

    async def answer(exchange: Exchange) -> None:
        await accept(exchange, said)
        exchange.close()

    origin.handler = answer
    live = RouteSettings(url=origin.url, kind="llm", provider="openai", websocket=True)
    settings = settings_for(data_dir, origin, routes={"live": live})
    async with running(settings) as proxy:
        async with await proxy.connect() as client:
            await client.send(
                request(b"/live/v1/realtime?model=gpt-realtime", *UPGRADE)
            )
            assert (await client.head()).status == 101
            assert await client.rest() == said
        recorded = await proxy.only()
        assert proxy.worker is not None
        unmetered = counted(proxy.worker.telemetry, "tacho_unmetered_total")
    assert unmetered == {("live", "http"): 1}
    close = recorded.close
    assert (close.http_status, close.usage_source) == (101, "none")
    assert (close.cost.total(), close.response_bytes) == (None, len(said))
    assert (recorded.open.is_step, recorded.end.outcome) == (True, "completed")
