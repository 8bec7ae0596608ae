"""Promise 1 when the upstream misbehaves: H11, H12, H19 and H20."""

import asyncio
import contextlib
from collections import Counter

import pytest

from proxy.model import ErrorType
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, assert_is_our_error
from tests.helpers.wire import LAST_CHUNK, chunk, request, response


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "method", [b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS"], ids=bytes.decode
)
async def test_H11_an_origin_that_hangs_up_is_asked_once_and_answered_with_502(
    method: bytes, how: str, origin: RawOrigin, proxy: Proxy
) -> None:
    async def hang_up(exchange: Exchange) -> None:
        exchange.close() if how == "close" else exchange.reset()

    origin.handler = hang_up
    body = b"x" if method in {b"POST", b"PUT"} else None
    answer = await proxy.call(request(b"/t/x", method=method, body=body))
    recorded = await proxy.only()
    assert recorded.end.outcome == "upstream_error"
    assert recorded.end.error_type not in {ErrorType.NONE, ErrorType.STALE_CONNECTION}
    assert_is_our_error(answer, 502, recorded.end.error_type)
    assert len(origin.requests) == len(origin.connections) == 1


async def test_H11_an_origin_that_hangs_up_inside_its_head_is_answered_with_502(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async def hang_up(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nX-A: ")
        exchange.close()

    origin.handler = hang_up
    answer = await proxy.call(request(b"/t/x"))
    assert answer.status == 502
    assert len(origin.requests) == 1


async def race(
    proxy: Proxy, origin: RawOrigin, count: int
) -> Counter[tuple[int, bytes | None]]:
    """POST one after the other; each is relayed, or refused as stale, and was at the origin at most once."""
    verdicts: Counter[tuple[int, bytes | None]] = Counter()
    async with await proxy.connect() as client:
        for i in range(count):
            answer = await client.call(
                request(b"/t/%d" % i, method=b"POST", body=b"id=%d;" % i)
            )
            verdicts[answer.status, answer.get(b"x-tacho-error")] += 1
    for i in range(count):
        assert origin.raw.count(b"POST /%d HTTP/1.1\r\n" % i) <= 1
        assert origin.raw.count(b"id=%d;" % i) <= 1
    return verdicts


STALE = (502, b"stale_connection")
RELAYED: tuple[int, bytes | None] = (200, None)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_H12_a_reused_connection_that_dies_under_a_post_is_502_stale_and_never_replayed(
    how: str, origin: RawOrigin, proxy: Proxy
) -> None:
    async def die_on_the_second(exchange: Exchange) -> None:
        if exchange.number == 0:
            await exchange.send(response(b"ok"))
        else:
            exchange.close() if how == "close" else exchange.reset()

    origin.handler = die_on_the_second
    assert await race(proxy, origin, 200) == {RELAYED: 100, STALE: 100}


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_H12_posts_that_race_with_a_closing_origin_are_relayed_or_502_stale(
    how: str, origin: RawOrigin, proxy: Proxy
) -> None:
    async def answer_and_die(exchange: Exchange) -> None:
        await exchange.send(response(b"ok"))
        exchange.close() if how == "close" else exchange.reset()

    origin.handler = answer_and_die
    verdicts = await race(proxy, origin, 200)
    assert verdicts.keys() <= {RELAYED, STALE}
    assert verdicts[RELAYED] >= 100


BROKEN_HEADS = {
    "length-and-chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "two-lengths-in-one": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nabc",
    "negative-length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "signed-length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "hex-length": b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
    "underscored-length": b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n0123456789",
    "unknown-coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "folded-header": b"HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok",
    "nul-in-value": b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "cr-in-value": b"HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 2\r\n\r\nok",
    "space-before-colon": b"HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 2\r\n\r\nok",
    "no-colon": b"HTTP/1.1 200 OK\r\nX-A 1\r\nContent-Length: 2\r\n\r\nok",
    "empty-name": b"HTTP/1.1 200 OK\r\n: 1\r\nContent-Length: 2\r\n\r\nok",
    "not-http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "bad-status": b"HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nok",
    "http-2": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "switches-uninvited": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("broken", BROKEN_HEADS.values(), ids=BROKEN_HEADS.keys())
async def test_H19_a_broken_response_head_is_502_and_its_connection_is_not_reused(
    broken: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    origin.handler = always(broken)
    async with await proxy.connect() as client:
        answer = await client.call(request(b"/t/x"))
        assert_is_our_error(answer, 502, "upstream_protocol_error")
        origin.handler = always(response(b"good"))
        assert (await client.call(request(b"/t/y"))).body == b"good"
    assert len(origin.connections) == 2
    first, _ = await proxy.ended(2)
    assert (first.end.outcome, first.end.error_type) == (
        "upstream_error",
        "upstream_protocol_error",
    )


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN_BODIES = {
    "bad-size": CHUNKED + b"5\r\nhello\r\nzz\r\nmore\r\n0\r\n\r\n",
    "hex-prefix": CHUNKED + b"5\r\nhello\r\n0x4\r\nmore\r\n0\r\n\r\n",
    "signed-size": CHUNKED + b"5\r\nhello\r\n+4\r\nmore\r\n0\r\n\r\n",
    "size-of-17-digits": CHUNKED
    + b"5\r\nhello\r\n00000000000000004\r\nmore\r\n0\r\n\r\n",
    "no-crlf-after-chunk": CHUNKED + b"5\r\nhelloXX4\r\nmore\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("broken", BROKEN_BODIES.values(), ids=BROKEN_BODIES.keys())
async def test_H19_a_broken_chunk_aborts_the_answer_and_its_connection_is_not_reused(
    broken: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    origin.handler = always(broken)
    async with await proxy.connect() as client:
        await client.send(request(b"/t/x", (b"Connection", b"close")))
        seen = await client.rest()
    if not seen.startswith(b"HTTP/1.1 502 "):
        assert LAST_CHUNK not in seen
        assert b"more" not in seen
    origin.handler = always(response(b"good"))
    assert (await proxy.call(request(b"/t/y"))).body == b"good"
    assert len(origin.connections) == 2
    first, _ = await proxy.ended(2)
    assert first.end.error_type == "upstream_protocol_error"


POISON = response(b"poison", (b"X-Poison", b"1"))


@pytest.mark.parametrize(
    "first",
    [
        response(b"first"),
        CHUNKED + chunk(b"first") + LAST_CHUNK,
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
    ids=["length", "chunked", "204"],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["same-packet", "later"])
async def test_H20_bytes_after_a_complete_answer_never_reach_the_next_agent(
    first: bytes, at_once: bool, origin: RawOrigin, proxy: Proxy
) -> None:
    async def answer(exchange: Exchange) -> None:
        if exchange.request.target != b"/first":
            await exchange.send(response(b"own " + exchange.request.target))
        elif at_once:
            await exchange.send(first + POISON)
        else:
            await exchange.send(first, POISON)

    origin.handler = answer
    async with await proxy.connect() as client:
        assert (await client.call(request(b"/t/first"))).complete
        for i in range(3):
            assert (await client.call(request(b"/t/%d" % i))).body == b"own /%d" % i
        assert b"oison" not in client.raw


async def test_H20_extra_bytes_beyond_the_length_of_a_head_answer_are_not_relayed(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(response(b"body that HEAD must not have"))

    origin.handler = answer
    async with await proxy.connect() as client:
        await client.call(request(b"/t/x", method=b"HEAD"), bodyless=True)
        second = await client.call(request(b"/t/y"))
        assert second.body == b"body that HEAD must not have"
        assert client.raw.count(b"body that") == 1


async def test_H11_an_origin_that_dies_under_large_uploads_costs_only_those_calls(
    origin: RawOrigin, proxy: Proxy
) -> None:
    body = b"x" * (6 << 20)

    async def die_in_the_middle(exchange: Exchange) -> None:
        await exchange.reader.readexactly(100_000)
        exchange.reset()

    async def upload() -> int:
        async with await proxy.connect() as client:
            with contextlib.suppress(ConnectionError):
                await client.send(request(b"/t/x", method=b"POST", body=body))
            return int((await client.rest())[9:12] or 0)

    origin.eager_body, origin.handler = False, die_in_the_middle
    async with asyncio.TaskGroup() as group:
        uploads = [group.create_task(upload()) for _ in range(20)]
    assert {upload.result() for upload in uploads} <= {502, 0}
    assert len(origin.requests) == 20
    origin.eager_body, origin.handler = True, always(response(b"alive"))
    assert (
        await proxy.call(request(b"/t/x", method=b"POST", body=body))
    ).body == b"alive"
    ends = {exchange.end.outcome for exchange in (await proxy.ended(21))[:20]}
    assert ends == {"upstream_error"}
