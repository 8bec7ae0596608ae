"""Both directions of an exchange: what goes on while a body is still being sent, and upstreams that are never reached."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config import RouteSettings
from tests.helpers.counted import attempts
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy, assert_is_our_error, running, settings_for
from tests.helpers.records import read_spool
from tests.helpers.tls import OTHER_AUTHORITY, TlsFront
from tests.helpers.wire import LAST_CHUNK, WAIT_SECONDS, chunk, request, response

UP = "upstream_error"
BIG = bytes(range(256)) * 1024


async def test_a_body_is_passed_on_while_it_comes(origin: RawOrigin, proxy: Proxy):
    origin.eager_body = False
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def handler(exchange: Exchange) -> None:
        for size in (3, 4):
            heard.put_nowait(await exchange.reader.readexactly(size))
        exchange.request.complete = True
        await exchange.send(response(b"ok"))

    origin.handler = handler
    head = request(b"/t/x", (b"Content-Length", b"7"), method=b"POST")
    async with asyncio.timeout(WAIT_SECONDS), await proxy.connect() as client:
        await client.send(head + b"one")
        assert await heard.get() == b"one"
        await client.send(b"more")
        assert await heard.get() == b"more"
        assert (await client.response()).body == b"ok"
    recorded = await proxy.only()
    assert recorded.close.request_bytes == 7


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, len(BIG)])
@pytest.mark.parametrize("target", [b"/t/x", b"/openai/v1/x"], ids=["tool", "llm"])
async def test_a_body_of_any_size_arrives_whole_in_its_framing(
    size: int, target: bytes, origin: RawOrigin, proxy: Proxy
):
    body = BIG[:size]
    await proxy.call(request(target, method=b"POST", body=body))
    coding = (b"Transfer-Encoding", b"chunked")
    chunks = chunk(body) + LAST_CHUNK if body else LAST_CHUNK
    await proxy.call(request(target, coding, method=b"POST") + chunks)
    by_length, by_chunks = origin.requests
    assert (by_length.body, by_chunks.body) == (body, body)
    assert (by_length.framing, by_chunks.framing) == ("length", "chunked")
    assert [each.get(b"content-length") for each in origin.requests] == [
        b"%d" % size,
        None,
    ]


async def test_an_upstream_may_answer_before_it_has_the_body(
    origin: RawOrigin, proxy: Proxy
):
    origin.eager_body = False

    async def refuse(exchange: Exchange) -> None:
        await exchange.send(response(b"too much", status=b"413 Content Too Large"))
        exchange.close()

    origin.handler = refuse
    head = request(b"/t/x", (b"Content-Length", b"1000000"), method=b"POST")
    async with await proxy.connect() as client:
        await client.send(head + b"begun")
        answer = await client.response()
        assert (answer.status, answer.body) == (413, b"too much")
        assert answer.get(b"connection") == b"close"
    assert (await proxy.only()).end.outcome == "rejected"


EXPECT = request(
    b"/t/x",
    (b"Expect", b"100-continue"),
    (b"Content-Length", b"3"),
    method=b"POST",
)


async def test_an_agent_is_told_to_continue_when_the_upstream_says_so(
    origin: RawOrigin, proxy: Proxy
):
    origin.eager_body = False

    async def handler(exchange: Exchange) -> None:
        assert exchange.request.get(b"expect") == b"100-continue"
        await exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await exchange.send(response(await exchange.read_body()))

    origin.handler = handler
    async with await proxy.connect() as client:
        await client.send(EXPECT)
        assert (await client.head()).status == 100
        await client.send(b"abc")
        assert (await client.response()).body == b"abc"


async def test_an_agent_is_not_told_to_continue_when_the_upstream_refuses(
    origin: RawOrigin, proxy: Proxy
):
    origin.eager_body = False

    async def handler(exchange: Exchange) -> None:
        await exchange.send(response(b"no", status=b"401 Unauthorized"))
        exchange.close()

    origin.handler = handler
    async with await proxy.connect() as client:
        await client.send(EXPECT)
        answer = await client.head()
        assert answer.status == 401
        assert answer.get(b"connection") == b"close"


async def test_an_upstream_that_dies_under_an_upload_is_named(
    origin: RawOrigin, proxy: Proxy
):
    origin.eager_body = False

    async def handler(exchange: Exchange) -> None:
        exchange.reset()

    origin.handler = handler
    head = request(b"/t/x", (b"Content-Length", b"1000000"), method=b"POST")
    async with await proxy.connect() as client:
        await client.send(head + b"begun")
        assert_is_our_error(await client.response(), 502, "connect")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
        response(b""),
    ],
    ids=["204", "304", "empty"],
)
async def test_an_answer_without_a_body_is_recorded_before_its_head_is_given_on(
    answer: bytes, origin: RawOrigin, proxy: Proxy
):
    async def handler(exchange: Exchange) -> None:
        await exchange.send(answer)

    origin.handler = handler
    async with await proxy.connect() as client:
        await client.send(request(b"/t/x"))
        await client.head()
        (seen,), _ = await asyncio.to_thread(read_spool, proxy.data_dir)
        assert seen.close.outcome == "completed"


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def say_nothing(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    while await reader.read(4096):
        pass
    writer.close()


UNREACHED = {
    "refused": (lambda tls, mute: f"http://127.0.0.1:{closed_port()}", UP, "connect", 502),
    "link-local": (lambda tls, mute: "http://169.254.169.254", UP, "connect", 502),
    "mapped link-local": (lambda tls, mute: "http://[::ffff:169.254.169.254]", UP, "connect", 502),
    "no such name": (lambda tls, mute: "http://no-such-host.invalid", UP, "dns", 502),
    "wrong authority": (lambda tls, mute: tls.url, UP, "tls", 502),
    "slow handshake": (lambda tls, mute: f"https://127.0.0.1:{mute}", "timeout", "connect_timeout", 504),
}  # fmt: skip


@pytest.mark.blocking_allowed  # reading certificates
@pytest.mark.parametrize(
    ("url", "outcome", "error_type", "status"),
    UNREACHED.values(),
    ids=UNREACHED.keys(),
)
async def test_an_upstream_that_is_not_reached_is_named_and_costs_nothing(
    url: Callable[[TlsFront, int], str],
    outcome: str,
    error_type: str,
    status: int,
    origin: RawOrigin,
    data_dir: Path,
):
    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server, TlsFront(origin) as front:
        mute = server.sockets[0].getsockname()[1]
        far = RouteSettings(
            url=url(front, mute),
            ca_file=OTHER_AUTHORITY,
            connect_timeout_seconds=0.2 if error_type == "connect_timeout" else None,
        )
        async with running(
            settings_for(data_dir, origin, routes={"far": far})
        ) as proxy:
            answer = await proxy.call(request(b"/far/v1/models", method=b"GET"))
            assert_is_our_error(answer, status, error_type)
            recorded = await proxy.only()
            assert attempts(proxy.worker) == {("far", outcome): 1}
    assert (recorded.end.outcome, recorded.end.error_type) == (outcome, error_type)
    assert recorded.close.usage_source == "none"
    assert recorded.close.ttfb_us is None
    assert not origin.requests
