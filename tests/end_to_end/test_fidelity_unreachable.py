"""Each way not to reach an upstream has its name: in the status, in the header, in the JSON and in the record."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.config import RouteSettings, TimeoutSettings
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import assert_is_our_error, running, settings_for
from tests.helpers.wire import request


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


UNREACHABLE = {
    "refused": ("http://127.0.0.1:{closed}", 502, "connect"),
    "no-such-name": ("http://no-such-host.invalid", 502, "dns"),
    "plain-text-where-tls-is-due": ("https://127.0.0.1:{plain}", 502, "tls"),
}


@asynccontextmanager
async def plain_speaker() -> AsyncIterator[int]:
    """A port that answers anything, a TLS hello too, in plain text."""

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("url", "status", "error_type"), UNREACHABLE.values(), ids=UNREACHABLE.keys()
)
async def test_an_upstream_that_cannot_be_reached_is_named_in_the_error(
    url: str, status: int, error_type: str, origin: RawOrigin, data_dir: Path
) -> None:
    async with plain_speaker() as plain:
        route = RouteSettings(
            url=url.format(closed=closed_port(), plain=plain), kind="tool"
        )
        async with running(
            settings_for(data_dir, origin, routes={"far": route})
        ) as proxy:
            assert_is_our_error(
                await proxy.call(request(b"/far/x")), status, error_type
            )
            end = (await proxy.only()).end
    assert (end.outcome, end.error_type) == ("upstream_error", error_type)


async def test_an_upstream_that_never_answers_is_504_where_a_limit_is_set(
    origin: RawOrigin, data_dir: Path
) -> None:
    async def say_nothing(exchange: Exchange) -> None:
        await exchange.gone()

    origin.handler = say_nothing
    async with running(
        settings_for(data_dir, origin, timeouts=TimeoutSettings(first_byte_seconds=0.2))
    ) as proxy:
        assert_is_our_error(await proxy.call(request(b"/t/x")), 504, "ttfb_timeout")
        end = (await proxy.only()).end
    assert (end.outcome, end.error_type) == ("timeout", "ttfb_timeout")
