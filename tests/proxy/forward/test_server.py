"""The listening side: requests reach the handler, and a drain lets them end."""

import asyncio

import pytest
from aiohttp import web

from proxy.forward.agent import Agent
from proxy.forward.http1 import Framing
from tests.helpers.client import RawClient
from tests.helpers.port import Port, reply, serving
from tests.helpers.tls import client_context, server_context
from tests.helpers.wire import LAST_CHUNK, WAIT_SECONDS, request


class Held:
    """A handler that begins a stream and ends it when it may."""

    def __init__(self, *, endless: bool = False) -> None:
        self.endless = endless
        self.reached = asyncio.Event()
        self.go = asyncio.Event()
        self.overdue: bool | None = None

    async def __call__(self, agent: Agent) -> None:
        agent.start(200, b"OK", [], Framing.CHUNKED)
        agent.endless = lambda: self.endless
        self.reached.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.overdue = agent.overdue
            raise
        agent.finish()


async def begun(port: Port, held: Held) -> RawClient:
    client = await port.connect()
    await client.send(request(b"/a"))
    async with asyncio.timeout(WAIT_SECONDS):
        await held.reached.wait()
    return client


async def test_many_connections_are_accepted_at_once():
    async with serving(reply) as port:

        async def call() -> bytes:
            async with await port.connect() as client:
                return (await client.call(request(b"/a"))).body

        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(call()) for _ in range(64)]
        assert {call.result() for call in calls} == {b"ok"}
        assert port.port.inflight == 0


async def test_requests_on_one_connection_are_answered_in_their_order():
    async def handler(agent: Agent) -> None:
        await reply(agent, agent.target)

    async with serving(handler) as port, await port.connect() as client:
        await client.send(*[request(b"/%d" % i) for i in range(5)])
        answers = [(await client.response()).body for _ in range(5)]
    assert answers == [b"/%d" % i for i in range(5)]


@pytest.mark.blocking_allowed  # reading the certificate
async def test_the_port_speaks_tls_where_it_is_told_to():
    async with serving(reply, tls=server_context()) as port:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port.number, ssl=client_context()
        )
        writer.write(request(b"/a", (b"Connection", b"close")))
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nok")


async def test_a_drain_lets_a_request_end_and_says_that_the_connection_closes():
    held = Held()
    async with serving(held) as port, await begun(port, held) as client:
        assert port.port.inflight == 1
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(port.port.drain(30))
            await asyncio.sleep(0)
            assert not drain.done()
            held.go.set()
            assert (await client.rest()).endswith(LAST_CHUNK)
    assert held.overdue is None


async def test_a_drain_whose_time_is_over_cuts_what_is_left():
    held = Held()
    async with serving(held) as port, await begun(port, held) as client:
        await port.port.drain(0.01)
        assert held.overdue is True
        assert LAST_CHUNK not in await client.rest()


async def test_a_stream_without_an_end_does_not_hold_a_drain():
    held = Held(endless=True)
    async with serving(held) as port, await begun(port, held) as client:
        async with asyncio.timeout(5):
            await port.port.drain(60)
        assert held.overdue is True
        assert LAST_CHUNK not in await client.rest()


async def test_an_idle_connection_does_not_hold_a_drain():
    async with serving(reply) as port, await port.connect() as client:
        await client.call(request(b"/a"))
        async with asyncio.timeout(WAIT_SECONDS):
            await port.port.drain(60)
        assert await client.rest() == b""


async def test_a_port_that_never_listened_can_be_drained():
    async with serving(reply) as port:
        pass
    await port.port.drain(1)


async def test_a_handler_that_answers_in_aiohttps_way_is_a_fault_of_ours():
    async def handler(_: Agent) -> None:
        raise web.HTTPFound("/elsewhere")

    async with serving(handler) as port, await port.connect() as client:
        assert (await client.call(request(b"/a"))).status == 500
        assert port.malformed == {"internal": 1}
