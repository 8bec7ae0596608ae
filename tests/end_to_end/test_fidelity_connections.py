"""Promise 1 and the connections of both sides: reuse, HTTP/1.0, and H11/H12 for methods that others would replay."""

import asyncio

import pytest

from tests.helpers.client import RawClient
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, assert_is_our_error
from tests.helpers.wire import LAST_CHUNK, WAIT_SECONDS, chunk, request, response

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunk(b"hello")
    + chunk(b" world")
    + LAST_CHUNK
)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "method", [b"GET", b"PUT", b"DELETE", b"OPTIONS"], ids=bytes.decode
)
async def test_H12_no_method_is_sent_twice_when_a_reused_connection_dies(
    method: bytes, how: str, origin: RawOrigin, proxy: Proxy
) -> None:
    async def die_on_the_second(exchange: Exchange) -> None:
        if exchange.number == 0:
            await exchange.send(response(b"ok"))
        else:
            exchange.close() if how == "close" else exchange.reset()

    origin.handler = die_on_the_second
    assert (await proxy.call(request(b"/t/first", method=method))).status == 200
    assert_is_our_error(
        await proxy.call(request(b"/t/second", method=method)), 502, "stale_connection"
    )
    assert [seen.target for seen in origin.requests] == [b"/first", b"/second"]
    _, second = await proxy.ended(2)
    assert (second.end.outcome, second.end.error_type) == (
        "upstream_error",
        "stale_connection",
    )


async def test_H12_a_pooled_connection_that_the_origin_has_closed_is_not_used(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async def answer_and_close(exchange: Exchange) -> None:
        await exchange.send(response(b"ok"))
        exchange.close()

    origin.handler = answer_and_close
    async with await proxy.connect() as client:
        for _ in range(3):
            assert (
                await client.call(request(b"/t/x", method=b"POST", body=b"x"))
            ).status in {200, 502}
            await proxy.ended(1)  # a turn or two of the loop: the FIN is seen
    origin.handler = always(response(b"alive"))
    assert (await proxy.call(request(b"/t/x"))).body == b"alive"


async def test_H04_an_origin_that_closes_leaves_the_agents_connection_open(
    origin: RawOrigin, proxy: Proxy
) -> None:
    origin.handler = always(response(b"ok", (b"Connection", b"close")))
    async with await proxy.connect() as client:
        for _ in range(3):
            answer = await client.call(request(b"/t/x"))
            assert (answer.body, answer.get(b"connection")) == (b"ok", None)
    assert len(origin.connections) == 3


async def test_H04_an_agent_that_closes_leaves_the_origins_connection_open(
    origin: RawOrigin, proxy: Proxy
) -> None:
    for _ in range(3):
        async with await proxy.connect() as client:
            answer = await client.call(request(b"/t/x", (b"Connection", b"close")))
            assert (answer.body, answer.get(b"connection")) == (b"ok", b"close")
            assert await client.rest() == b""
    assert len(origin.connections) == 1


async def test_H05_an_answer_in_http_1_0_is_relayed_and_its_connection_not_reused(
    origin: RawOrigin, proxy: Proxy
) -> None:
    origin.handler = always(
        b"HTTP/1.0 200 Fine\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok"
    )
    async with await proxy.connect() as client:
        for _ in range(2):
            answer = await client.call(request(b"/t/x"))
            assert (answer.start, answer.body, answer.get(b"x-a")) == (
                b"HTTP/1.1 200 Fine",
                b"ok",
                b"1",
            )
    assert len(origin.connections) == 2


async def test_H05_an_agent_of_http_1_0_gets_a_chunked_answer_without_chunks(
    origin: RawOrigin, proxy: Proxy
) -> None:
    origin.handler = always(CHUNKED)
    async with await proxy.connect() as client:
        await client.send(b"GET /t/x HTTP/1.0\r\nHost: a\r\n\r\n")
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert body == b"hello world"


async def assert_reset(client: RawClient) -> None:
    """The agent's connection ends with a RST: a FIN would look like a whole answer."""
    seen = asyncio.create_task(client.reader.read(-1))
    async with asyncio.timeout(WAIT_SECONDS):
        await asyncio.wait({seen})
    assert isinstance(seen.exception(), ConnectionError), seen.result()


async def test_H05_a_cut_chunked_answer_to_an_agent_of_http_1_0_is_a_reset(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async def cut(exchange: Exchange) -> None:
        await exchange.send(CHUNKED.removesuffix(LAST_CHUNK))
        exchange.close()

    origin.handler = cut
    async with await proxy.connect() as client:
        await client.send(b"GET /t/x HTTP/1.0\r\nHost: a\r\n\r\n")
        await assert_reset(client)
    assert (await proxy.only()).end.outcome == "upstream_abort"


async def test_H05_a_reset_in_an_answer_that_ends_with_the_connection_is_a_reset_for_the_agent(
    origin: RawOrigin, proxy: Proxy
) -> None:
    arrived = asyncio.Event()

    async def cut(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n", b"half of it")
        await arrived.wait()  # a RST that overtakes data is another test
        exchange.reset()

    origin.handler = cut
    async with await proxy.connect() as client:
        await client.send(request(b"/t/x"))
        await client.final_head()
        assert await client.reader.readexactly(10) == b"half of it"
        arrived.set()
        await assert_reset(client)
    assert (await proxy.only()).end.outcome in {"upstream_abort", "upstream_error"}
