"""The provider's side of an exchange: limits, and what each way to fail is called."""

import asyncio

import pytest

from proxy.forward.failures import UpstreamError
from proxy.forward.inbox import HIGH_WATER_BYTES
from proxy.forward.upstream import UpstreamConnection
from proxy.model import ErrorType
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.records import until
from tests.helpers.upstreams import LIMITS, address, asked, make_pool, whole
from tests.helpers.wire import LAST_CHUNK, chunk, response

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def say_nothing(exchange: Exchange) -> None:
    await exchange.gone()


async def failure(connection: UpstreamConnection) -> ErrorType:
    with pytest.raises(UpstreamError) as caught:
        await whole(connection)
    connection.abort()
    return caught.value.error_type


async def test_an_answer_is_read_piece_by_piece_with_its_times(origin: RawOrigin):
    pieces = asyncio.Queue[bytes]()

    async def handler(exchange: Exchange) -> None:
        await exchange.send(CHUNKED)
        while True:
            await exchange.send(await pieces.get())

    origin.handler = handler
    connection = await asked(make_pool(), origin)
    head = await connection.head(5.0)
    assert head.status == 200
    assert connection.first_byte_at is not None
    assert connection.head_at is not None
    for data in (b"abc", b"defg"):
        pieces.put_nowait(chunk(data))
        assert await connection.read(5.0) == data
        assert not connection.finished
    pieces.put_nowait(LAST_CHUNK)
    assert await connection.read(5.0) == b""
    assert connection.finished
    assert connection.inbox.chunks == 2
    connection.abort()


BROKEN: dict[str, tuple[list[bytes], ErrorType]] = {
    "closes without a word": ([], ErrorType.CONNECT),
    "closes in the head": ([b"HTTP/1.1 200 OK\r\nA"], ErrorType.CUT),
    "closes before the length is reached": ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"], ErrorType.CUT),
    "closes in a chunk": ([CHUNKED, b"5\r\nab"], ErrorType.CUT),
    "closes between chunks": ([CHUNKED, chunk(b"ab")], ErrorType.CUT),
    "closes before the last CRLF": ([CHUNKED, b"0\r\n"], ErrorType.CUT),
    "no HTTP": ([b"SSH-2.0-x\r\n\r\n"], ErrorType.UPSTREAM_PROTOCOL_ERROR),
    "broken chunk": ([CHUNKED, b"zz\r\n"], ErrorType.UPSTREAM_PROTOCOL_ERROR),
    "endless head": ([b"HTTP/1.1 200 OK\r\nA: " + b"x" * 5000], ErrorType.UPSTREAM_PROTOCOL_ERROR),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "name"), BROKEN.values(), ids=BROKEN.keys())
async def test_each_way_to_break_an_answer_has_its_name(
    sent: list[bytes], name: ErrorType, origin: RawOrigin
):
    async def handler(exchange: Exchange) -> None:
        await exchange.send(*sent)
        exchange.close()

    origin.handler = handler
    assert await failure(await asked(make_pool(), origin)) is name


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_used_connection_that_dies_before_an_answer_was_stale(
    how: str, origin: RawOrigin
):
    async def handler(exchange: Exchange) -> None:
        if exchange.number == 0:
            await exchange.send(response(b"ok"))
        else:
            exchange.close() if how == "close" else exchange.reset()

    origin.handler = handler
    pool = make_pool()
    connection = await asked(pool, origin)
    await whole(connection)
    pool.give_back(connection)
    again = await asked(pool, origin)
    assert again is connection
    assert await failure(again) is ErrorType.STALE_CONNECTION


async def test_an_answer_until_the_close_is_whole_with_it(origin: RawOrigin):
    async def handler(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n\r\n", b"all of it")
        exchange.close()

    origin.handler = handler
    connection = await asked(make_pool(), origin)
    assert await whole(connection) == b"all of it"
    assert not connection.reusable


async def test_an_answer_until_the_close_that_is_reset_is_cut(origin: RawOrigin):
    read = asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n\r\n", b"some")
        await read.wait()
        exchange.reset()

    origin.handler = handler
    connection = await asked(make_pool(), origin)
    await connection.head(5.0)
    assert await connection.read(5.0) == b"some"
    read.set()
    assert await failure(connection) is ErrorType.CUT


async def test_an_upstream_that_does_not_begin_in_time_has_a_name(origin: RawOrigin):
    origin.handler = say_nothing
    connection = await asked(make_pool(), origin)
    with pytest.raises(UpstreamError, match=r"no answer within 0\.02 s") as caught:
        await connection.head(0.02)
    assert caught.value.error_type is ErrorType.TTFB_TIMEOUT
    connection.abort()


async def test_an_upstream_that_stops_in_the_middle_has_a_name(origin: RawOrigin):
    async def handler(exchange: Exchange) -> None:
        await exchange.send(CHUNKED)
        await exchange.gone()

    origin.handler = handler
    connection = await asked(make_pool(), origin)
    await connection.head(None)
    with pytest.raises(UpstreamError, match=r"nothing for 0\.02 s") as caught:
        await connection.read(0.02)
    assert caught.value.error_type is ErrorType.IDLE_TIMEOUT
    connection.abort()


async def test_without_limits_an_answer_may_take_its_time(origin: RawOrigin):
    connection = await asked(make_pool(), origin)
    assert (await connection.head(None)).status == 200
    assert await connection.read(None) == b"ok"
    connection.abort()


async def test_what_arrived_before_the_connection_died_can_still_be_read(
    origin: RawOrigin,
):
    async def handler(exchange: Exchange) -> None:
        await exchange.send(CHUNKED, chunk(b"last words"))
        exchange.close()

    origin.handler = handler
    connection = await asked(make_pool(), origin)
    await until(lambda: not connection.alive, "the connection has died")
    assert (await connection.head(5.0)).status == 200
    assert await connection.read(5.0) == b"last words"
    assert await failure(connection) is ErrorType.CUT


async def test_an_upstream_is_made_to_wait_while_nobody_reads(origin: RawOrigin):
    size = HIGH_WATER_BYTES * 64
    sent = asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        await exchange.send(response(b"x" * size))
        sent.set()

    origin.handler = handler
    connection = await asked(make_pool(), origin)
    await connection.head(5.0)
    await until(lambda: connection.inbox.full, "the inbox is full")
    assert not sent.is_set()
    assert len(await whole(connection)) == size
    connection.abort()


async def test_an_upstream_that_speaks_unasked_is_dropped(origin: RawOrigin):
    pool = make_pool()
    connection = await asked(pool, origin)
    await whole(connection)
    pool.give_back(connection)
    origin.connections[0].writer.write(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    await until(lambda: not connection.alive, "the connection is dropped")
    fresh = await asked(pool, origin)
    assert fresh is not connection
    fresh.abort()


@pytest.mark.parametrize(
    ("answer", "wants"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n", True),
        (b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", False),
        (b"", True),
    ],
    ids=["continues", "refuses", "says nothing"],
)
async def test_a_body_is_wanted_unless_the_upstream_answers_first(
    answer: bytes, wants: bool, origin: RawOrigin
):
    async def handler(exchange: Exchange) -> None:
        await exchange.send(answer)
        await exchange.gone()

    origin.handler = handler
    connection = await asked(make_pool(), origin)
    assert await connection.wants_body(5.0 if answer else 0.02) is wants
    connection.abort()


async def test_a_body_is_not_wanted_by_an_upstream_that_is_gone(origin: RawOrigin):
    async def handler(exchange: Exchange) -> None:
        exchange.close()

    origin.handler = handler
    connection = await asked(make_pool(), origin)
    assert not await connection.wants_body(5.0)


async def test_a_sender_waits_while_the_upstream_does_not_read(origin: RawOrigin):
    reading, seen = asyncio.Event(), asyncio.Event()
    size = 32 << 20

    async def handler(exchange: Exchange) -> None:
        seen.set()
        await reading.wait()
        await exchange.reader.readexactly(size)
        await exchange.send(response(b"ok"))

    origin.eager_body, origin.handler, origin.record = False, handler, False
    connection, _ = await make_pool().take(address(origin), LIMITS)
    connection.begin(b"POST", LIMITS)
    connection.write(b"POST /x HTTP/1.1\r\nHost: h\r\n\r\n")
    await connection.drain()
    await seen.wait()
    connection.write(b"x" * size)
    async with asyncio.TaskGroup() as group:
        drain = group.create_task(connection.drain())
        await asyncio.sleep(0)
        assert not drain.done()
        reading.set()
    assert await whole(connection) == b"ok"
    connection.abort()


async def test_writing_to_a_connection_that_is_lost_is_reported_by_reading(
    origin: RawOrigin,
):
    origin.handler = say_nothing
    connection = await asked(make_pool(), origin)
    connection.abort()
    await until(lambda: connection.transport is None, "the connection is lost")
    connection.write(b"x")
    connection.write_eof()
    connection.pause_reading()
    connection.resume_reading()
    connection.abort()
    await connection.drain()
    assert await failure(connection) is ErrorType.CONNECT


async def test_an_upgrade_gives_the_bytes_behind_it_to_the_tunnel(origin: RawOrigin):
    origin.handler = always(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nmore")
    connection = await asked(make_pool(), origin, allow_upgrade=True)
    assert (await connection.head(5.0)).status == 101
    assert connection.surplus == b"more"
    assert not connection.reusable
    connection.abort()
