"""Each of aiohttp's defaults that a proxy must not have (`research/reliability.md` §3.2) is set here and stays set.

Most rows of that table are pinned by a numbered check, and `PINNED` says by which; the rest have their test in this file,
which quotes the row. A test that vanishes fails `test_every_row_has_its_test`.
"""

import asyncio
import gzip
import re
from pathlib import Path

import pytest

from proxy.config import TimeoutSettings
from tests.helpers.client import RawClient
from tests.helpers.clock import PushedClock, on_asyncios_own_loop
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.wire import (
    LAST_CHUNK,
    STREAM_HEAD,
    WAIT_SECONDS,
    CutError,
    chunk,
    request,
    response,
)

HERE = Path(__file__).parent

PINNED = {
    "handler_cancellation=False": ["test_S07_", "test_S08_"],
    "ClientTimeout(total=300)": ["test_H23_"],
    "TCPConnector(limit=100)": ["test_H22_"],
    "default CookieJar": ["test_H14_"],
    "allow_redirects=True": ["test_H13_"],
    "auto retry (private `_retry_connection`)": ["test_H11_"],
    "server auto_decompress=True": ["test_H10_", "test_row_server_auto_decompress"],
    "AppRunner keepalive_timeout=3630": ["test_row_keepalive_timeout"],
    "no body-read timeout": ["test_row_no_body_read_timeout"],
    "Expect: 100-continue": ["test_H16_"],
    "absolute-form target": ["test_P06_"],
    "path `//evil/x`": ["test_P06_"],
    "CONNECT, `*`": ["test_P07_"],
    "request headers added": ["test_H02_", "test_H03_"],
    "response headers added": ["test_H05_"],
    "max_field_size 8190, max_headers 128 both sides": ["test_H15_", "test_P08_"],
    "client_max_size 1 MiB": ["test_H01_a_body_of_50_MB", "test_row_client_max_size"],
    "1xx / trailers": ["test_H17_", "test_H18_"],
    "204 with CL 2, CL+TE, two CLs in response, bad chunk": [
        "test_H19_",
        "test_row_204_with_a_length",
    ],
    "upstream dies mid-chunked / short CL": ["test_S03_", "test_S04_"],
    "stale pooled connection": ["test_H12_", "test_row_stale_pooled_connection"],
    "slow reader": ["test_S10_", "test_row_slow_reader"],
    "cancellation + pool": ["test_H21_", "test_row_cancellation_and_pool"],
}


@pytest.mark.blocking_allowed  # reads the sources of its neighbours
def test_every_row_has_its_test() -> None:
    sources = "".join(path.read_text() for path in sorted(HERE.glob("test_*.py")))
    names = re.findall(r"def (test_\w+)\(", sources)
    missing = {
        (row, prefix)
        for row, tests in PINNED.items()
        for prefix in tests
        if not any(n.startswith(prefix) for n in names)
    }
    assert missing == set()


async def test_row_server_auto_decompress_a_bomb_is_forwarded_as_it_is(
    origin: RawOrigin, proxy: Proxy
) -> None:
    """Row: 10 KB gzip request becomes a 10 MB body; Content-Encoding then lies."""
    bomb = gzip.compress(b"\0" * (10 << 20), mtime=0)
    for target in (b"/t/x", b"/anthropic/v1/messages"):
        raw = request(target, (b"Content-Encoding", b"gzip"), method=b"POST", body=bomb)
        assert (await proxy.call(raw)).status == 200
        assert origin.requests[-1].body == bomb


KEEPALIVE_SECONDS = 30


def test_row_keepalive_timeout_an_idle_connection_is_closed(data_dir: Path) -> None:
    """Row: an idle connection is held for an hour."""

    async def main() -> None:
        timeouts = TimeoutSettings(keepalive_seconds=KEEPALIVE_SECONDS)
        async with (
            RawOrigin() as origin,
            running(settings_for(data_dir, origin, timeouts=timeouts)) as proxy,
            await proxy.connect() as client,
        ):
            assert (await client.call(request(b"/t/x"))).status == 200
            with PushedClock() as clock:
                await clock.advance(KEEPALIVE_SECONDS + 1)
                assert await client.rest() == b""

    on_asyncios_own_loop(main())


@pytest.mark.parametrize(
    "first",
    [b"", b"GET /t/x HT", b"GET /t/x HTTP/1.1\r\nHost: a\r\n"],
    ids=["nothing", "line", "head"],
)
def test_row_keepalive_timeout_a_connection_that_never_finishes_its_head_is_closed(
    first: bytes, data_dir: Path
) -> None:
    """Row: a half-header (slowloris) connection is held for an hour; dripping must not extend it."""

    async def main() -> None:
        timeouts = TimeoutSettings(keepalive_seconds=KEEPALIVE_SECONDS)
        async with (
            RawOrigin() as origin,
            running(settings_for(data_dir, origin, timeouts=timeouts)) as proxy,
            await proxy.connect() as client,
        ):
            await client.send(first)
            with PushedClock() as clock:
                for _ in range(KEEPALIVE_SECONDS + 1):
                    if first.endswith(b"\n"):
                        client.writer.write(b"X-Drip: 1\r\n")
                    await clock.advance(1)
                seen = await client.rest()
            assert seen == b"" or seen.startswith((b"HTTP/1.1 400", b"HTTP/1.1 408"))
        assert origin.connections == []

    on_asyncios_own_loop(main())


@pytest.mark.parametrize(
    "target", [b"/t/x", b"/anthropic/v1/messages"], ids=["streamed", "buffered"]
)
async def test_row_no_body_read_timeout_a_body_that_stops_is_given_up(
    target: bytes, origin: RawOrigin, data_dir: Path
) -> None:
    """Row: a POST with Content-Length 100 and 3 bytes stays open for ever."""
    timeouts = TimeoutSettings(body_idle_seconds=0.3)
    async with (
        running(settings_for(data_dir, origin, timeouts=timeouts)) as proxy,
        await proxy.connect() as client,
    ):
        await client.send(
            request(target, (b"Content-Length", b"100"), method=b"POST"), b"abc"
        )
        seen = await client.rest()
        assert not seen or b" 408 " in seen[:20] or b" 400 " in seen[:20]
        assert (await proxy.only()).end.error_type == "body_timeout"
    assert origin.completed == []


async def test_row_client_max_size_is_no_limit_on_a_chunked_body(
    origin: RawOrigin, proxy: Proxy
) -> None:
    """Row: 1 MiB is only enforced by read() and post(), so the limit must be our own."""
    piece = b"x" * 65536
    head = request(b"/t/x", (b"Transfer-Encoding", b"chunked"), method=b"POST")
    answer = await proxy.call(head, *[chunk(piece) for _ in range(48)], b"0\r\n\r\n")
    assert answer.status == 200
    assert origin.requests[0].body == piece * 48


async def test_row_204_with_a_length_is_a_protocol_error_or_clean(
    origin: RawOrigin, proxy: Proxy
) -> None:
    """Row: a 204 with Content-Length 2 raises in the client; its two bytes must never be the next answer's first."""
    origin.handler = always(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok")
    async with await proxy.connect() as client:
        answer = await client.call(request(b"/t/x"))
        assert (answer.status, answer.get(b"x-tacho-error")) == (
            502,
            b"upstream_protocol_error",
        )
        origin.handler = always(response(b"second"))
        assert (await client.call(request(b"/t/y"))).body == b"second"


async def test_row_stale_pooled_connection_an_old_one_is_not_used_again(
    origin: RawOrigin, data_dir: Path
) -> None:
    """Row: the pool must give up a connection before the origin does."""
    timeouts = TimeoutSettings(upstream_keepalive_seconds=0.2)
    async with running(settings_for(data_dir, origin, timeouts=timeouts)) as proxy:
        assert (await proxy.call(request(b"/t/x"))).status == 200
        await asyncio.sleep(
            0.3
        )  # time itself is what is tested; more of it changes nothing
        assert (await proxy.call(request(b"/t/x"))).status == 200
    assert len(origin.connections) == 2


async def test_row_stale_pooled_connection_a_living_one_is_used_again(
    origin: RawOrigin, proxy: Proxy
) -> None:
    """Row: and yet it is reused while it is fresh, by different agents too."""
    for _ in range(5):
        assert (await proxy.call(request(b"/t/x"))).status == 200
    assert len(origin.connections) == 1


async def test_row_slow_reader_does_not_pin_the_upstream_for_ever(
    origin: RawOrigin, data_dir: Path
) -> None:
    """Row: the proxy stops at what it has absorbed (good), but the upstream stays pinned for ever."""
    gone = asyncio.Event()

    async def flood(exchange: Exchange) -> None:
        try:
            await exchange.send(STREAM_HEAD)
            while True:
                await exchange.send(chunk(b"data: " + b"x" * 65536 + b"\n\n"))
        finally:
            gone.set()

    origin.handler = flood
    timeouts = TimeoutSettings(write_stall_seconds=0.5)
    async with (
        running(settings_for(data_dir, origin, timeouts=timeouts)) as proxy,
        await proxy.connect(limit=1024, receive_buffer=4096) as client,
    ):
        await client.send(request(b"/t/x"))
        async with asyncio.timeout(WAIT_SECONDS):
            await gone.wait()
        end = (await proxy.only()).end
    assert (end.outcome, end.error_type) == ("client_abort", "write_stall")


def test_row_slow_reader_that_reads_now_and_then_is_kept(data_dir: Path) -> None:
    """Row: slow is not stalled; an agent that takes some bytes in each interval gets all of them."""
    body = b"x" * (24 << 20)
    stall_seconds = 3600.0

    async def read_slowly(client: RawClient) -> None:
        await client.send(request(b"/t/x"))
        assert (await client.final_head()).status == 200
        received = 0
        with PushedClock() as clock:
            for _ in range(20):
                await clock.advance(stall_seconds / 6)
                received += len(await client.reader.readexactly(1 << 20))
            received += len(await client.reader.readexactly(len(body) - received))

    async def main() -> None:
        timeouts = TimeoutSettings(write_stall_seconds=stall_seconds)
        async with (
            RawOrigin(always(response(body))) as origin,
            running(settings_for(data_dir, origin, timeouts=timeouts)) as proxy,
        ):
            async with await proxy.connect(
                limit=1 << 16, receive_buffer=1 << 16, record=False
            ) as client:
                await read_slowly(client)
            assert (await proxy.only()).end.outcome == "completed"

    on_asyncios_own_loop(main())


async def test_row_cancellation_and_pool_a_half_read_answer_is_never_pooled(
    origin: RawOrigin, proxy: Proxy
) -> None:
    """Row: a connection whose answer was abandoned must not serve the next agent."""
    half = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        if exchange.request.target == b"/abandoned":
            await exchange.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n", b"0123456789"
            )
            await half.wait()
            await exchange.send(b"abandoned!")
        else:
            await exchange.send(response(b"own"))

    origin.handler = answer
    async with await proxy.connect() as client:
        await client.send(request(b"/t/abandoned"))
        assert (await client.final_head()).status == 200
        client.reset()
    half.set()
    for _ in range(3):
        assert (await proxy.call(request(b"/t/x"))).body == b"own"
    first, *_ = await proxy.ended(4)
    assert first.end.outcome == "client_abort"


async def test_row_upstream_dies_a_reset_that_overtakes_data_is_still_an_abort(
    origin: RawOrigin, proxy: Proxy
) -> None:
    """Row: an upstream that dies in the middle is never a clean end, even when a RST throws away what was in flight."""

    async def die(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD, chunk(b"data: 1\n\n"))
        exchange.reset()

    origin.handler = die
    async with await proxy.connect() as client:
        try:
            assert (await client.call(request(b"/t/x"))).status == 502
        except CutError:
            assert LAST_CHUNK not in client.raw
    assert (await proxy.only()).end.outcome in {"upstream_abort", "upstream_error"}
