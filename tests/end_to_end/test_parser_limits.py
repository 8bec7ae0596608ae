"""Requests beyond the limits: P08 and P09 of the parser checks, against a worker process whose memory is measured."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.config import LimitSettings
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy, process, running, settings_for
from tests.helpers.wire import WireError, request, response

MEBIBYTE = 1 << 20
TOO_LARGE = {400, 414, 431}
ENOUGH_BYTES = 128 << 10
"""Of a head of 1 MB: beyond each limit, and far from its end."""


def with_headers(count: int) -> bytes:
    return request(b"/t/x", *[(b"X-%d" % i, b"v") for i in range(count - 1)])


def of_4_kb_each(count: int) -> bytes:
    return request(b"/t/x", *[(b"X-%d" % i, b"v" * 4000) for i in range(count)])


BEYOND = {
    "request-line-of-9-KB": request(b"/t/" + b"a" * 9216),
    "129-headers": with_headers(129),
    "1000-headers": with_headers(1000),
    "header-of-9-KB": request(b"/t/x", (b"X-Large", b"v" * 9216)),
    "name-of-9-KB": request(b"/t/x", (b"X" * 9216, b"v")),
    "method-of-9-KB": request(b"/t/x", method=b"M" * 9216),
    "80-KB-in-all": of_4_kb_each(20),
}


@pytest.mark.parametrize("raw", BEYOND.values(), ids=BEYOND.keys())
async def test_P08_heads_beyond_the_limits_are_refused(
    raw: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    assert (await proxy.call(raw)).status in TOO_LARGE
    assert origin.connections == []
    assert (await proxy.call(request(b"/t/after"))).status == 200


WITHIN = {
    "target-of-8-KB": request(b"/t/" + b"a" * 8000),
    "header-of-8-KB": request(b"/t/x", (b"X-Large", b"v" * 8000)),
    "128-headers": with_headers(128),
    "60-KB-in-all": of_4_kb_each(15),
}


async def served_whole(raw: bytes, origin: RawOrigin, proxy: Proxy) -> None:
    assert (await proxy.call(raw)).status == 200
    moved = raw.replace(b" /t/", b" /", 1)
    assert origin.raw == moved.replace(
        b"Host: proxy.test", b"Host: 127.0.0.1:%d" % origin.port
    )


@pytest.mark.parametrize("raw", WITHIN.values(), ids=WITHIN.keys())
async def test_P08_heads_within_the_limits_are_served_whole(
    raw: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    await served_whole(raw, origin, proxy)


async def test_P08_the_limit_of_a_line_is_a_setting(
    origin: RawOrigin, data_dir: Path
) -> None:
    limits = LimitSettings(max_header_line_bytes=40_000)
    async with running(settings_for(data_dir, origin, limits=limits)) as proxy:
        await served_whole(request(b"/t/x", (b"X-Large", b"v" * 32_000)), origin, proxy)


@pytest.fixture
async def worker(origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    async with process(settings_for(data_dir, origin)) as proxy:
        yield proxy


def endless_header() -> bytes:
    return b"GET /t/x HTTP/1.1\r\nHost: a\r\nX-Large: " + b"v" * MEBIBYTE


def endless_headers() -> bytes:
    return (
        b"GET /t/x HTTP/1.1\r\nHost: a\r\n"
        + b"".join(b"X-%d: vvvvvvvv\r\n" % i for i in range(70_000))[:MEBIBYTE]
    )


def endless_line() -> bytes:
    return b"GET /t/" + b"a" * MEBIBYTE


def endless_trailers() -> bytes:
    head = b"POST /t/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    return head + b"".join(b"X-%d: vvvvvvvv\r\n" % i for i in range(70_000))[:MEBIBYTE]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "endless", [endless_header, endless_headers, endless_line, endless_trailers]
)
async def test_P08_a_head_of_1_MB_in_single_bytes_is_refused_with_bounded_memory(
    endless: type[bytes], origin: RawOrigin, worker: Proxy
) -> None:
    await worker.call(request(b"/t/warm"))
    raw = bytes(endless())
    before = await worker.memory()
    async with await worker.connect() as client:
        sent = 0
        while (
            sent < ENOUGH_BYTES
            and not client.reader.received
            and not client.writer.transport.is_closing()
        ):
            client.writer.write(raw[sent : sent + 1])
            sent += 1
            if sent % 64 == 0:
                await asyncio.sleep(0)
        await client.rest()  # the refusal does not wait for what has not been sent
        # Closed without an answer is right, too: a reset under our own late bytes takes the answer away.
        assert not client.raw or int(client.raw.split(b" ", 2)[1]) in TOO_LARGE
    assert await worker.peak_memory() - before < 16 * MEBIBYTE
    assert [seen.target for seen in origin.completed] == [b"/warm"]


@pytest.mark.timeout(300)
async def test_P09_a_thousand_pipelined_requests_are_served_in_order_each_as_its_own_step(
    origin: RawOrigin, worker: Proxy
) -> None:
    count = 1000

    async def echo(exchange: Exchange) -> None:
        await exchange.send(response(exchange.request.target))

    origin.handler = echo
    await worker.call(request(b"/t/warm"))
    before = await worker.memory()
    served = 0
    async with await worker.connect() as client:
        await client.send(b"".join(request(b"/t/%d" % i) for i in range(count)))
        try:
            while served < count:
                assert (await client.response()).body == b"/%d" % served
                served += 1
        except WireError:
            assert served > 0  # closed instead; those answered were in order
    assert await worker.peak_memory() - before < 16 * MEBIBYTE
    recorded = await worker.ended(served + 1)
    assert (
        len({exchange.open.step_id for exchange in recorded})
        == len(recorded)
        == len(origin.requests)
    )
