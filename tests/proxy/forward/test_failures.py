"""Every fault in every phase: what the agent saw, what the record says, what was counted."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from proxy.config import TimeoutSettings
from tests.helpers.client import RawClient
from tests.helpers.counted import attempts
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import assert_is_our_error, running, settings_for
from tests.helpers.records import until
from tests.helpers.wire import (
    LAST_CHUNK,
    WAIT_SECONDS,
    CutError,
    chunk,
    request,
    response,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n"
POST = request(b"/t/x", (b"Content-Length", b"10"), method=b"POST")
CHUNKS = request(b"/t/x", (b"Transfer-Encoding", b"chunked"), method=b"POST")
SHORT = 0.05
Handler = Callable[[Exchange], Awaitable[None]]


def says(*parts: bytes, then: str = "close") -> Handler:
    async def handler(exchange: Exchange) -> None:
        await exchange.send(*parts)
        match then:
            case "close":
                exchange.close()
            case "reset":
                exchange.reset()
            case _:
                await exchange.gone()

    return handler


MUTE = says(then="hang")


@dataclass(frozen=True)
class Fault:
    """One fault, and what must come of it; `status` 0: the agent sees a cut answer."""

    outcome: str
    error_type: str
    status: int
    origin: Handler = MUTE
    sent: tuple[bytes, ...] = (request(b"/t/x"),)
    times: dict[str, Any] = field(default_factory=dict)


UP = "upstream_error"
FAULTS = {
    "closes without a word": Fault(UP, "connect", 502, says()),
    "resets without a word": Fault(UP, "connect", 502, says(then="reset")),
    "closes in the head": Fault("upstream_abort", "cut", 502, says(b"HTTP/1.1 200 OK\r\nA")),
    "breaks HTTP": Fault(UP, "upstream_protocol_error", 502, says(b"SSH-2.0-x\r\n\r\n")),
    "does not answer in time": Fault("timeout", "ttfb_timeout", 504, times={"first_byte_seconds": SHORT}),
    "cuts a body with a length": Fault("upstream_abort", "cut", 0, says(LENGTH, b"12345")),
    "cuts a chunked body": Fault("upstream_abort", "cut", 0, says(CHUNKED, chunk(b"12345"))),
    "breaks a chunked body": Fault(UP, "upstream_protocol_error", 0, says(CHUNKED, chunk(b"12345"), b"zz\r\n")),
    "stops in a body with a length": Fault(
        "timeout", "idle_timeout", 0, says(LENGTH, b"12345", then="hang"), times={"idle_seconds": SHORT}
    ),
    "stops in a chunked body": Fault(
        "timeout", "idle_timeout", 0, says(CHUNKED, chunk(b"12345"), then="hang"), times={"idle_seconds": SHORT}
    ),
    "agent stops its body with a length": Fault(
        "client_abort", "body_timeout", 408, sent=(POST, b"12345"), times={"body_idle_seconds": SHORT}
    ),
    "agent stops its chunked body": Fault(
        "client_abort", "body_timeout", 408, sent=(CHUNKS, chunk(b"12345")), times={"body_idle_seconds": SHORT}
    ),
    "agent breaks its body": Fault("client_abort", "invalid_request", 400, sent=(CHUNKS, b"zz\r\n")),
    "agent breaks its body later": Fault(
        "client_abort", "invalid_request", 400, sent=(CHUNKS, chunk(b"12345"), b"zz\r\n")
    ),
}  # fmt: skip


async def one_by_one(client: RawClient, origin: RawOrigin, *parts: bytes) -> None:
    """Send the head, and each further part only when the request has come through."""
    first, *rest = parts
    await client.send(first)
    for part in rest:
        await until(lambda: bool(origin.requests), "the request has come through")
        await client.send(part)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_fault_on_the_way_is_seen_recorded_and_counted(
    fault: Fault, origin: RawOrigin, data_dir: Path
):
    origin.handler, origin.eager_body = fault.origin, False
    settings = settings_for(data_dir, origin, timeouts=TimeoutSettings(**fault.times))
    async with running(settings) as proxy, await proxy.connect() as client:
        await one_by_one(client, origin, *fault.sent)
        if fault.status:
            assert_is_our_error(await client.response(), fault.status, fault.error_type)
        else:
            with pytest.raises(CutError):
                await client.response()
            assert await client.rest() == b""
        recorded = await proxy.only()
        assert attempts(proxy.worker) == {("t", fault.outcome): 1}
    assert (recorded.end.outcome, recorded.end.error_type) == (
        fault.outcome,
        fault.error_type,
    )
    assert recorded.close.http_status == (fault.status or 200)
    assert (recorded.close.outcome, recorded.close.error_type) == (
        fault.outcome,
        fault.error_type,
    )


@pytest.mark.parametrize("then", ["reset", "hang"])
async def test_a_body_that_ends_with_its_connection_is_reset_when_it_is_cut(
    then: str, origin: RawOrigin, data_dir: Path
):
    arrived = asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        await exchange.send(UNTIL_CLOSE, b"12345")
        await arrived.wait()
        if then == "reset":
            exchange.reset()
        else:
            await exchange.gone()

    origin.handler = handler
    times = TimeoutSettings(idle_seconds=SHORT if then == "hang" else 60)
    async with (
        running(settings_for(data_dir, origin, timeouts=times)) as proxy,
        await proxy.connect() as client,
    ):
        await client.send(request(b"/t/x"))
        await client.final_head()
        assert await client.reader.readexactly(5) == b"12345"
        arrived.set()
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
        end = (await proxy.only()).end
    expected = {"reset": ("upstream_abort", "cut"), "hang": ("timeout", "idle_timeout")}
    assert (end.outcome, end.error_type) == expected[then]


async def test_a_connection_that_died_while_it_rested_is_stale(
    origin: RawOrigin, data_dir: Path
):
    async def die_on_the_second(exchange: Exchange) -> None:
        if exchange.number:
            exchange.reset()
        else:
            await exchange.send(response(b"ok"))

    origin.handler = die_on_the_second
    async with running(settings_for(data_dir, origin)) as proxy:
        await proxy.call(request(b"/t/x"))
        assert_is_our_error(await proxy.call(request(b"/t/x")), 502, "stale_connection")
        _, second = await proxy.ended(2)
        assert attempts(proxy.worker) == {("t", "completed"): 1, ("t", UP): 1}
    assert (second.end.outcome, second.end.error_type) == (UP, "stale_connection")


PHASES = {
    "before its body is whole": (POST, None),
    "before the answer begins": (request(b"/t/x"), b""),
    "before the body begins": (request(b"/t/x"), CHUNKED),
    "in the body": (request(b"/t/x"), CHUNKED + chunk(b"12345")),
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(("sent", "answer"), PHASES.values(), ids=PHASES.keys())
async def test_an_agent_that_leaves_ends_the_upstreams_connection_and_is_to_blame(
    sent: bytes, answer: bytes | None, how: str, origin: RawOrigin, data_dir: Path
):
    gone, asked = asyncio.Event(), asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        if answer:
            await exchange.send(answer)
        asked.set()
        await exchange.gone()
        gone.set()

    origin.handler, origin.eager_body = handler, False
    async with running(settings_for(data_dir, origin)) as proxy:
        async with asyncio.timeout(WAIT_SECONDS), await proxy.connect() as client:
            await client.send(sent)
            await asked.wait()
            if answer:
                await client.final_head()
            client.reset() if how == "reset" else client.leave()
            await gone.wait()
        recorded = await proxy.only()
        assert attempts(proxy.worker) == {("t", "client_abort"): 1}
    assert (recorded.end.outcome, recorded.end.error_type) == ("client_abort", "")
    assert recorded.close.http_status == (200 if answer else None)


async def test_an_agent_that_does_not_read_is_cut_after_its_time(
    origin: RawOrigin, data_dir: Path
):
    async def flood(exchange: Exchange) -> None:
        exchange.closed = True
        await exchange.send(CHUNKED)
        while True:
            await exchange.send(chunk(b"x" * 65536))

    origin.handler = flood
    times = TimeoutSettings(write_stall_seconds=SHORT)
    async with (
        running(settings_for(data_dir, origin, timeouts=times)) as proxy,
        await proxy.connect(receive_buffer=4096, limit=4096) as client,
    ):
        await client.send(request(b"/t/x"))
        recorded = await proxy.only()
        assert attempts(proxy.worker) == {("t", "client_abort"): 1}
    end = recorded.end
    assert (end.outcome, end.error_type) == ("client_abort", "write_stall")


@pytest.mark.parametrize(
    ("begun", "http_status"),
    [([], 503), ([CHUNKED, chunk(b"1")], 200)],
    ids=["before the answer", "in the answer"],
)
async def test_a_call_that_outlasts_the_drain_is_ended_as_ours(
    begun: list[bytes], http_status: int, origin: RawOrigin, data_dir: Path
):
    asked = asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        await exchange.send(*begun)
        asked.set()
        await exchange.gone()

    origin.handler = handler
    times = TimeoutSettings(drain_seconds=SHORT)
    settings = settings_for(data_dir, origin, timeouts=times)
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(running(settings))
        async with await proxy.connect() as client:
            await client.send(request(b"/t/x"))
            await asked.wait()
            if begun:
                await client.final_head()
            await stack.aclose()
            if begun:
                assert LAST_CHUNK not in await client.rest()
            else:
                assert_is_our_error(await client.response(), 503, "draining")
    recorded = await proxy.only()
    assert (recorded.end.outcome, recorded.end.error_type) == (
        "proxy_error",
        "draining",
    )
    assert recorded.close.http_status == http_status
    assert attempts(proxy.worker) == {("t", "proxy_error"): 1}


async def test_a_body_that_ends_with_its_connection_is_reset_when_the_drain_cuts_it(
    origin: RawOrigin, data_dir: Path
):
    async def handler(exchange: Exchange) -> None:
        await exchange.send(UNTIL_CLOSE, b"12345")
        await exchange.gone()

    origin.handler = handler
    times = TimeoutSettings(drain_seconds=SHORT)
    settings = settings_for(data_dir, origin, timeouts=times)
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(running(settings))
        async with await proxy.connect() as client:
            await client.send(request(b"/t/x"))
            await client.final_head()
            assert await client.reader.readexactly(5) == b"12345"
            await stack.aclose()
            with pytest.raises(ConnectionResetError):
                await client.reader.read()
