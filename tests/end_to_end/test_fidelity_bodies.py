"""Promise 1, from the agent to the upstream: the bodies of requests, H01, H10 and H18."""

import asyncio
import contextlib
import gzip
import hashlib
from pathlib import Path

import pytest

from proxy.config import LimitSettings
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.wire import LAST_CHUNK, Message, WireError, chunk, request

METHODS = [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"QUERY"]
MEBIBYTE = 1 << 20


def pattern(size: int) -> bytes:
    """Give bytes that differ everywhere, so that a swapped or lost slice shows."""
    block = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(2048))
    return (block * (size // len(block) + 1))[:size]


def in_chunks(body: bytes, size: int) -> bytes:
    return (
        b"".join(chunk(body[i : i + size]) for i in range(0, len(body), size))
        + LAST_CHUNK
    )


async def send_body(proxy: Proxy, method: bytes, body: bytes, framing: str) -> Message:
    async with await proxy.connect() as client:
        if framing == "length":
            answer = await client.call(request(b"/t/x", method=method, body=body))
        else:
            head = request(b"/t/x", (b"Transfer-Encoding", b"chunked"), method=method)
            answer = await client.call(head, in_chunks(body, 60_001))
        return answer


def assert_arrived(seen: Message, method: bytes, body: bytes, framing: str) -> None:
    assert seen.complete
    assert seen.method == method
    assert seen.framing == framing
    assert hashlib.sha256(seen.body).digest() == hashlib.sha256(body).digest()
    lengths, codings = seen.all(b"content-length"), seen.all(b"transfer-encoding")
    assert lengths == ([b"%d" % len(body)] if framing == "length" else [])
    assert codings == ([b"chunked"] if framing == "chunked" else [])


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("method", METHODS, ids=bytes.decode)
async def test_H01_bodies_of_every_method_arrive_byte_for_byte(
    method: bytes, framing: str, origin: RawOrigin, proxy: Proxy
) -> None:
    for size in (0, 1, MEBIBYTE):
        body = pattern(size)
        answer = await send_body(proxy, method, body, framing)
        assert answer.status == 200
        assert_arrived(origin.requests[-1], method, body, framing)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("method", [b"POST", b"PUT"], ids=bytes.decode)
async def test_H01_a_body_of_50_MB_arrives_byte_for_byte(
    method: bytes, framing: str, origin: RawOrigin, proxy: Proxy
) -> None:
    body = pattern(50 * MEBIBYTE)
    answer = await send_body(proxy, method, body, framing)
    assert answer.status == 200
    assert_arrived(origin.requests[-1], method, body, framing)


@pytest.mark.parametrize("method", METHODS, ids=bytes.decode)
async def test_H01_a_request_without_a_body_gets_no_framing_headers(
    method: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    assert (await proxy.call(request(b"/t/x", method=method))).status == 200
    (seen,) = origin.requests
    assert seen.framing == "none"


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_H01_a_buffered_llm_body_arrives_byte_for_byte(
    framing: str, origin: RawOrigin, proxy: Proxy
) -> None:
    body = (
        b'{ "model":"m" ,\n"messages":[{"role":"user","content":"\xc3\xa9"}],"x":1.0e0}'
    )
    head = request(
        b"/anthropic/v1/messages", (b"Transfer-Encoding", b"chunked"), method=b"POST"
    )
    whole = request(b"/anthropic/v1/messages", method=b"POST", body=body)
    parts = [whole] if framing == "length" else [head, in_chunks(body, 7)]
    assert (await proxy.call(*parts)).status == 200
    assert_arrived(origin.requests[-1], b"POST", body, framing)


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_H01_an_llm_body_over_the_buffer_limit_streams_through(
    framing: str, origin: RawOrigin, data_dir: Path
) -> None:
    settings = settings_for(
        data_dir, origin, limits=LimitSettings(request_buffer_bytes=1000)
    )
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"'
        + b"a" * 200_000
        + b'"}]}'
    )
    head = request(
        b"/anthropic/v1/messages", (b"Transfer-Encoding", b"chunked"), method=b"POST"
    )
    whole = request(b"/anthropic/v1/messages", method=b"POST", body=body)
    async with running(settings) as proxy:
        parts = [whole] if framing == "length" else [head, in_chunks(body, 900)]
        assert (await proxy.call(*parts)).status == 200
    assert_arrived(origin.requests[-1], b"POST", body, framing)


@pytest.mark.parametrize(
    "target", [b"/t/x", b"/anthropic/v1/messages"], ids=["tool", "llm"]
)
async def test_H10_a_compressed_request_is_forwarded_compressed(
    target: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    plain = (
        b'{"model":"m","messages":[{"role":"user","content":"'
        + b"a" * 100_000
        + b'"}]}'
    )
    packed = gzip.compress(plain, mtime=0)
    head = [(b"Content-Encoding", b"gzip"), (b"Content-Type", b"application/json")]
    assert (
        await proxy.call(request(target, *head, method=b"POST", body=packed))
    ).status == 200
    (seen,) = origin.requests
    assert seen.body == packed
    assert seen.without(b"host") == [*head, (b"Content-Length", b"%d" % len(packed))]


CHUNKED = (b"Transfer-Encoding", b"chunked")


@pytest.mark.parametrize(
    "announced", [[(b"Trailer", b"X-Sum")], []], ids=["announced", "unannounced"]
)
async def test_H18_request_trailers_are_dropped_and_the_body_is_whole(
    announced: list[tuple[bytes, bytes]], origin: RawOrigin, proxy: Proxy
) -> None:
    head = request(b"/t/x", *announced, CHUNKED, method=b"POST")
    answer = await proxy.call(
        head, chunk(b"hello") + b"0\r\nX-Sum: 1\r\nX-Two: 2\r\n\r\n"
    )
    assert answer.status == 200
    (seen,) = origin.requests
    assert (seen.body, seen.trailers) == (b"hello", [])
    assert seen.without(b"host", b"trailer") == [CHUNKED]


async def test_H18_a_trailer_that_would_change_the_framing_is_refused(
    origin: RawOrigin, proxy: Proxy
) -> None:
    head = request(b"/t/x", CHUNKED, method=b"POST")
    async with await proxy.connect() as client:
        await client.send(head, chunk(b"hello") + b"0\r\nContent-Length: 9\r\n\r\n")
        assert (await client.response()).status == 400
        assert await client.rest() == b""
    assert origin.completed == []


async def test_H18_a_chunked_request_without_trailers_keeps_its_connection_however_it_is_sliced(
    origin: RawOrigin, proxy: Proxy
) -> None:
    raw = request(b"/t/x", CHUNKED, method=b"POST") + chunk(b"hello") + LAST_CHUNK
    async with await proxy.connect() as client:
        for i in range(len(raw) - 20, len(raw)):
            await client.send(raw[:i])
            await asyncio.sleep(0.002)  # so that the slices arrive one by one
            assert (await client.call(raw[i:])).status == 200
    assert {(seen.body, len(seen.headers)) for seen in origin.requests} == {
        (b"hello", 2)
    }


TRAILERS = [
    b"X-Sum: 1",
    b"Authorization: Bearer evil",
    b"X-Tacho-Run: other",
    b"Cookie: a=1",
    b"Host: evil",
]


@pytest.mark.parametrize("packets", [1, 2, 3])
@pytest.mark.parametrize("trailer", TRAILERS, ids=bytes.decode)
async def test_H18_request_trailers_never_become_headers_of_the_next_request(
    trailer: bytes, packets: int, origin: RawOrigin, proxy: Proxy
) -> None:
    first = request(b"/t/x", CHUNKED, method=b"POST") + chunk(b"hello")
    end = b"0\r\n" + trailer + b"\r\n\r\n"
    second = request(b"/run/own/t/second", (b"X-Own", b"1"))
    parts = {
        1: [first + end + second],
        2: [first + end, second],
        3: [first, end, second],
    }[packets]
    async with await proxy.connect() as client:
        # Refusing the second request, or closing before it, is a right answer, too.
        with contextlib.suppress(WireError, ConnectionError):
            for part in parts:
                await client.send(part)
                if part is not first:
                    await client.response()
            if packets == 1:
                await client.response()
    assert (await proxy.call(request(b"/t/last"))).status == 200
    for seen in origin.requests[1:]:
        expected = {b"/second": [(b"X-Own", b"1")], b"/last": []}[seen.target]
        assert seen.without(b"host") == expected
        assert seen.all(b"host") == [b"127.0.0.1:%d" % origin.port]
    for exchange in await proxy.ended(len(origin.requests)):
        assert exchange.open.run_id != "other"
