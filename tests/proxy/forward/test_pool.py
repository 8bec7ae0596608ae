"""Connections are used again where that is safe, and every failure to make one has a name."""

import asyncio
import socket

import pytest

from proxy.forward.connect import Connector
from proxy.forward.failures import UpstreamError
from proxy.forward.origin import Origin
from proxy.forward.pool import Pool
from proxy.model import ErrorType
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.records import until
from tests.helpers.tls import AUTHORITY, OTHER_AUTHORITY, TlsFront
from tests.helpers.upstreams import LIMITS, address, asked, limits, make_pool, whole
from tests.helpers.wire import WAIT_SECONDS, response


async def used(pool: Pool, origin: RawOrigin) -> None:
    """Make one exchange and give its connection back."""
    connection = await asked(pool, origin)
    assert await whole(connection) == b"ok"
    pool.give_back(connection)


async def test_a_connection_is_used_again_for_an_equal_origin(origin: RawOrigin):
    pool = make_pool()
    for _ in range(3):
        await used(pool, origin)
    assert len(origin.connections) == 1
    pool.close()


async def test_only_a_new_connection_says_how_long_connecting_took(origin: RawOrigin):
    pool = make_pool()
    connection, seconds = await pool.take(address(origin), LIMITS)
    assert seconds is not None
    assert seconds >= 0
    connection.abort()
    await used(pool, origin)
    connection, seconds = await pool.take(address(origin), LIMITS)
    assert seconds is None
    connection.abort()


@pytest.mark.parametrize(
    "other",
    [
        Origin("localhost", 1, False),
        Origin("127.0.0.1", 1, False, allow_link_local=True),
        Origin("127.0.0.1", 1, False, ca_file="x"),
    ],
    ids=["host", "link-local", "authorities"],
)
async def test_origins_that_differ_share_no_connection(
    other: Origin, origin: RawOrigin
):
    pool = make_pool()
    await used(pool, origin)
    found = Origin(
        other.host,
        origin.port,
        other.tls,
        other.ca_file,
        other.allow_link_local,
    )
    connection, seconds = await pool.take(found, LIMITS)
    assert seconds is not None
    connection.abort()
    pool.close()


async def test_the_latest_used_connection_goes_first(origin: RawOrigin):
    pool = make_pool()
    first, second = await asked(pool, origin), await asked(pool, origin)
    await whole(first)
    await whole(second)
    pool.give_back(second)
    pool.give_back(first)
    taken, _ = await pool.take(address(origin), LIMITS)
    assert taken is first
    taken.abort()
    pool.close()


async def test_a_connection_that_rested_too_long_is_not_used_again(origin: RawOrigin):
    pool = make_pool(keepalive_seconds=0.0)
    await used(pool, origin)
    await used(pool, origin)
    assert len(origin.connections) == 2
    pool.close()


UNFIT = {
    "upstream closes": response(b"ok", (b"Connection", b"close")),
    "bytes behind the answer": response(b"ok") + b"HTTP/1.1 200 OK\r\n",
    "HTTP/1.0": response(b"ok").replace(b"HTTP/1.1", b"HTTP/1.0"),
}


@pytest.mark.parametrize("answer", UNFIT.values(), ids=UNFIT.keys())
async def test_a_connection_that_is_not_fit_for_more_is_dropped(
    answer: bytes, origin: RawOrigin
):
    dropped = asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        await exchange.send(answer)
        await exchange.gone()
        dropped.set()

    origin.handler = handler
    pool = make_pool()
    await used(pool, origin)
    async with asyncio.timeout(WAIT_SECONDS):
        await dropped.wait()
    origin.handler = always(response(b"ok"))
    await used(pool, origin)
    assert len(origin.connections) == 2
    pool.close()


async def test_a_connection_whose_request_was_not_whole_is_dropped(origin: RawOrigin):
    pool = make_pool()
    connection = await asked(pool, origin)
    connection.request_sent = False
    await whole(connection)
    pool.give_back(connection)
    await until(lambda: not connection.alive, "the connection is dropped")


async def test_a_connection_that_the_origin_closes_while_it_rests_is_passed_over(
    origin: RawOrigin,
):
    async def once(exchange: Exchange) -> None:
        await exchange.send(response(b"ok"))
        exchange.close()

    origin.handler = once
    pool = make_pool()
    connection = await asked(pool, origin)
    await whole(connection)
    pool.give_back(connection)
    await until(lambda: not connection.alive, "the close is seen")
    await used(pool, origin)
    assert len(origin.connections) == 2
    pool.close()


async def test_sweeping_drops_what_rested_too_long_and_keeps_the_rest(
    origin: RawOrigin,
):
    closed: list[int] = []

    async def handler(exchange: Exchange) -> None:
        await exchange.send(response(b"ok"))
        await exchange.gone()
        closed.append(exchange.connection.index)

    origin.handler = handler
    pool = make_pool()
    old, young = await asked(pool, origin), await asked(pool, origin)
    for connection in (old, young):
        await whole(connection)
        pool.give_back(connection)
    old.idle_since -= 61
    pool.sweep()
    await until(lambda: len(closed) == 1, "one is dropped")
    assert young.alive
    young.idle_since -= 61
    pool.sweep()
    await until(lambda: len(closed) == 2, "both are dropped")
    pool.sweep()


async def test_closing_drops_all_that_rest(origin: RawOrigin):
    pool = make_pool()
    connection = await asked(pool, origin)
    await whole(connection)
    pool.give_back(connection)
    pool.close()
    await until(lambda: not connection.alive, "the connection is dropped")


async def failure(found: Origin, connect_seconds: float = 5.0) -> UpstreamError:
    pool = Pool(Connector(), 60.0)
    with pytest.raises(UpstreamError) as caught:
        await pool.take(found, limits(connect_seconds=connect_seconds))
    return caught.value


async def test_a_refused_connection_has_a_name():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    error = await failure(Origin("127.0.0.1", port, False))
    assert error.error_type is ErrorType.CONNECT
    assert f"127.0.0.1:{port}" in str(error)


async def test_a_name_that_does_not_resolve_has_a_name():
    error = await failure(Origin("no-such-host.invalid", 80, False))
    assert error.error_type is ErrorType.DNS
    assert "no-such-host.invalid" in str(error)


async def test_a_link_local_address_says_what_to_do():
    error = await failure(Origin("169.254.169.254", 80, False))
    assert error.error_type is ErrorType.CONNECT
    assert "allow_link_local" in str(error)


@pytest.mark.blocking_allowed  # reading certificates
async def test_a_certificate_that_nobody_vouches_for_has_a_name(origin: RawOrigin):
    async with TlsFront(origin) as front:
        error = await failure(Origin("127.0.0.1", front.port, True, OTHER_AUTHORITY))
    assert error.error_type is ErrorType.TLS
    assert "unable to get local issuer certificate" in str(error)


@pytest.mark.blocking_allowed  # reading certificates
async def test_an_origin_that_does_not_speak_tls_has_a_name():
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await failure(Origin("127.0.0.1", port, True, AUTHORITY))
    assert error.error_type is ErrorType.TLS


@pytest.mark.blocking_allowed  # reading certificates
async def test_a_handshake_that_takes_too_long_is_a_connect_timeout():
    left = asyncio.Event()

    async def say_nothing(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while await reader.read(4096):
            pass
        writer.close()
        left.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await failure(Origin("127.0.0.1", port, True, AUTHORITY), 0.05)
        assert error.error_type is ErrorType.CONNECT_TIMEOUT
        assert "0.05 s" in str(error)
        async with asyncio.timeout(WAIT_SECONDS):
            await left.wait()


@pytest.mark.blocking_allowed  # reading certificates
async def test_whoever_gives_up_while_connecting_leaves_nothing_open():
    hello, left = asyncio.Event(), asyncio.Event()

    async def say_nothing(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while await reader.read(4096):
            hello.set()
        writer.close()
        left.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = Origin("127.0.0.1", port, True, AUTHORITY)
        async with asyncio.timeout(WAIT_SECONDS), asyncio.TaskGroup() as group:
            take = group.create_task(make_pool().take(found, LIMITS))
            await hello.wait()
            take.cancel()
            await left.wait()
