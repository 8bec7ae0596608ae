"""One request and its answer, as bytes on a socket."""

import asyncio
from typing import Any

import pytest

from proxy.forward.agent import Agent
from proxy.forward.failures import (
    AgentGoneError,
    BodyMalformedError,
    BodyTimeoutError,
    WriteStalledError,
)
from proxy.forward.http1 import Framing
from tests.helpers.port import reply, serving
from tests.helpers.wire import LAST_CHUNK, WAIT_SECONDS, CutError, chunk, request

FIRST = b"GET /a HTTP/1.0\r\n\r\n"
KEPT = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


async def read_whole(agent: Agent) -> bytes:
    seen = b""
    while piece := await agent.read_body():
        seen += piece
    return seen


async def write_for_ever(agent: Agent) -> None:
    while True:
        await agent.write(b"x" * 65536)


async def test_a_request_is_seen_as_it_stood_on_the_wire():
    seen: list[Agent] = []

    async def handler(agent: Agent) -> None:
        seen.append(agent)
        await reply(agent)

    headers = ((b"X-oDD", b"1"), (b"x-odd", b"\xe9"))
    async with serving(handler) as port, await port.connect() as client:
        await client.call(request(b"/a%2Fb?c=%20", *headers, method=b"PATCH"))
    (agent,) = seen
    assert (agent.method, agent.target) == (b"PATCH", b"/a%2Fb?c=%20")
    assert agent.headers == ((b"Host", b"proxy.test"), *headers)
    assert agent.get(b"x-odd") == b"1"
    assert agent.get(b"missing") is None
    assert (agent.version, agent.minor_version) == ((1, 1), 1)
    assert not agent.head_too_large


@pytest.mark.parametrize(
    ("sent", "length", "chunked", "body"),
    [
        (request(b"/a"), None, False, b""),
        (request(b"/a", method=b"POST", body=b"abc"), 3, False, b"abc"),
        (request(b"/a", method=b"POST", body=b""), 0, False, b""),
        (
            request(b"/a", (b"Transfer-Encoding", b"chunked"), method=b"POST")
            + chunk(b"ab")
            + chunk(b"c")
            + LAST_CHUNK,
            None,
            True,
            b"abc",
        ),
    ],
    ids=["none", "length", "empty", "chunked"],
)
async def test_a_body_is_read_to_its_end(
    sent: bytes, length: int | None, chunked: bool, body: bytes
):
    async def handler(agent: Agent) -> None:
        assert (agent.content_length, agent.chunked) == (length, chunked)
        assert agent.has_body == bool(body)
        seen = await read_whole(agent)
        assert agent.body_arrived
        assert await agent.read_body() == b""
        await reply(agent, seen)

    async with serving(handler) as port, await port.connect() as client:
        assert (await client.call(sent)).body == body
        assert (await client.call(sent)).body == body


FRAMINGS = {
    "length, 1.1": (request(b"/a"), Framing.LENGTH, b"", b"abc", True),
    "length, 1.0": (FIRST, Framing.LENGTH, b"Connection: close\r\n", b"abc", False),
    "length, 1.0 kept": (KEPT, Framing.LENGTH, b"Connection: keep-alive\r\n", b"abc", True),
    "chunked, 1.1": (
        request(b"/a"),
        Framing.CHUNKED,
        b"Transfer-Encoding: chunked\r\n",
        chunk(b"abc") + LAST_CHUNK,
        True,
    ),
    "chunked, 1.0": (KEPT, Framing.CHUNKED, b"Connection: close\r\n", b"abc", False),
    "until close, 1.1": (request(b"/a"), Framing.UNTIL_CLOSE, b"Connection: close\r\n", b"abc", False),
}  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "framing", "added", "body", "kept"), FRAMINGS.values(), ids=FRAMINGS.keys()
)
async def test_an_answer_is_framed_as_its_upstream_did_where_the_agent_can_read_it(
    sent: bytes, framing: Framing, added: bytes, body: bytes, kept: bool
):
    async def handler(agent: Agent) -> None:
        length = [(b"Content-Length", b"3")] if framing is Framing.LENGTH else []
        agent.start(200, b"Fine", length, framing)
        await agent.write(b"abc")
        agent.finish()

    head = b"HTTP/1.1 200 Fine\r\n"
    head += b"Content-Length: 3\r\n" if framing is Framing.LENGTH else b""
    answer = head + added + b"\r\n" + body
    async with serving(handler) as port, await port.connect() as client:
        await client.send(sent)
        if kept:
            async with asyncio.timeout(WAIT_SECONDS):
                assert await client.reader.readexactly(len(answer)) == answer
            await client.send(FIRST)
            assert (await client.rest()).startswith(b"HTTP/1.1 200 ")
        else:
            assert await client.rest() == answer


async def test_the_upstreams_own_transfer_encoding_line_stays_where_it_stood():
    async def handler(agent: Agent) -> None:
        lines = [(b"A", b"1"), (b"tRANSFER-eNCODING", b"chunked"), (b"B", b"2")]
        agent.start(200, b"OK", lines, Framing.CHUNKED)
        agent.finish()

    async with serving(handler) as port, await port.connect() as client:
        answer = await client.call(request(b"/a"))
        names = [name for name, _ in answer.headers]
        assert names == [b"A", b"tRANSFER-eNCODING", b"B"]
        await client.send(FIRST)
        head = (await client.head()).headers
        assert [name for name, _ in head] == [b"A", b"B", b"Connection"]


async def test_an_answer_of_ours_to_head_has_a_length_and_no_body():
    async with serving(reply) as port, await port.connect() as client:
        await client.send(request(b"/a", method=b"HEAD"), FIRST)
        seen = await client.rest()
    assert seen.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200")


async def test_a_body_that_nobody_read_ends_the_connection():
    async with serving(reply) as port, await port.connect() as client:
        half = request(b"/a", (b"Content-Length", b"10"), method=b"POST") + b"12345"
        answer = await client.call(half)
        assert answer.get(b"connection") == b"close"


async def test_a_connection_is_not_used_again_where_the_handler_says_so():
    async def handler(agent: Agent) -> None:
        agent.close_after()
        await reply(agent)

    async with serving(handler) as port, await port.connect() as client:
        await client.send(request(b"/a"), request(b"/b"))
        assert (await client.rest()).count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize("trailer", [b"", b"X-Smuggled: 1\r\n"], ids=["none", "one"])
async def test_a_connection_whose_body_may_have_had_trailers_is_not_used_again(
    trailer: bytes,
):
    async def handler(agent: Agent) -> None:
        await read_whole(agent)
        await reply(agent)

    sent = request(b"/a", (b"Transfer-Encoding", b"chunked"), method=b"POST")
    sent += chunk(b"abc") + b"0\r\n" + trailer + b"\r\n"
    async with serving(handler) as port, await port.connect() as client:
        answer = await client.call(sent)
        assert answer.get(b"connection") == (b"close" if trailer else None)


async def test_continue_is_said_once_and_only_when_the_body_is_wanted():
    async def handler(agent: Agent) -> None:
        assert agent.expects_continue
        agent.ask_for_body()
        agent.ask_for_body()
        await reply(agent, await agent.read_body())

    head = request(b"/a", (b"Expect", b"100-Continue"), (b"Content-Length", b"3"))
    async with serving(handler) as port, await port.connect() as client:
        await client.send(head)
        assert (await client.head()).status == 100
        await client.send(b"abc")
        assert (await client.response()).body == b"abc"
        assert client.raw.count(b"100 Continue") == 1


@pytest.mark.parametrize(
    ("sent", "limits", "kind"),
    [
        (b"12", {"body_idle_seconds": 0.02}, BodyTimeoutError),
        (b"zz\r\n", {}, BodyMalformedError),
        (b"1\r\na\r\nzz\r\n", {}, BodyMalformedError),
    ],
    ids=["stops", "no size", "no second size"],
)
async def test_a_body_that_stops_or_breaks_is_told_apart(
    sent: bytes, limits: dict[str, Any], kind: type[Exception]
):
    reached = asyncio.Event()

    async def handler(agent: Agent) -> None:
        reached.set()
        with pytest.raises(kind):
            await read_whole(agent)
        assert agent.body_wait >= 0
        await reply(agent)

    coding = (b"Transfer-Encoding", b"chunked")
    framing = (b"Content-Length", b"9") if kind is BodyTimeoutError else coding
    async with serving(handler, **limits) as port, await port.connect() as client:
        await client.send(request(b"/a", framing, method=b"POST"))
        await reached.wait()
        answer = await client.call(sent)
        assert answer.body == b"ok"
        assert answer.get(b"connection") == b"close"
        assert await client.rest() == b""


async def test_an_agent_that_reads_nothing_stalls_its_answer_for_so_long_only():
    stalled = asyncio.Event()

    async def handler(agent: Agent) -> None:
        agent.start(200, b"OK", [], Framing.CHUNKED)
        with pytest.raises(WriteStalledError, match="read nothing"):
            await write_for_ever(agent)
        stalled.set()

    async with (
        serving(handler, write_stall_seconds=0.05) as port,
        await port.connect(receive_buffer=4096) as client,
        asyncio.timeout(WAIT_SECONDS),
    ):
        await client.send(request(b"/a"))
        await stalled.wait()


async def test_an_agent_that_leaves_while_it_is_written_to_is_gone():
    cancelled = asyncio.Event()

    async def handler(agent: Agent) -> None:
        agent.start(200, b"OK", [], Framing.CHUNKED)
        try:
            await write_for_ever(agent)
        except (AgentGoneError, asyncio.CancelledError):
            cancelled.set()
            raise

    async with (
        serving(handler) as port,
        await port.connect(receive_buffer=4096) as client,
        asyncio.timeout(WAIT_SECONDS),
    ):
        await client.send(request(b"/a"))
        await client.head()
        client.reset()
        await cancelled.wait()


async def test_a_handler_that_ends_too_early_leaves_a_visibly_cut_answer():
    async def handler(agent: Agent) -> None:
        agent.start(200, b"OK", [], Framing.CHUNKED)
        await agent.write(b"abc")

    async with serving(handler) as port, await port.connect() as client:
        with pytest.raises(CutError):
            await client.call(request(b"/a"))


async def test_an_agent_is_told_by_the_other_end_of_its_connection():
    seen: list[tuple[str, int]] = []

    async def handler(agent: Agent) -> None:
        seen.append(agent.peer)
        await reply(agent)

    async with serving(handler) as port:
        for _ in range(2):
            async with await port.connect() as client:
                await client.call(FIRST)
    assert {host for host, _ in seen} == {"127.0.0.1"}
    assert len(set(seen)) == 2
