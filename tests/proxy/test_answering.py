"""What an answer says and what the agent gets of it: the endpoint of an old MCP server, and edits that fail."""

import asyncio
from time import monotonic
from typing import Any

import pytest

from proxy.answering import Answer
from proxy.config import RouteSettings
from proxy.http.sse_endpoint import CAP_BYTES, SseEndpoint
from proxy.meter.inject import Stripper
from tests.helpers import sse
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.pipelines import Piped, Told, make_desk, piped
from tests.helpers.proxy import settings_for
from tests.helpers.wire import LAST_CHUNK, STREAM_HEAD, chunk, request, response

EVENTS = (b"Content-Type", b"text/event-stream")
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
SAID = b": hi\n\nevent: endpoint\r\ndata: /mcp/messages?session_id=7\r\n\r\nevent: message\r\ndata: {}\r\n\r\n"
TOLD = SAID.replace(b"/mcp/messages", b"/run/r1/tickets/messages")
ASK = request(b"/run/r1/tickets/sse")
pytestmark = pytest.mark.blocking_allowed  # wiring a pipeline reads the price table


def settings(data_dir: Any, origin: RawOrigin, path: str = "/mcp") -> Any:
    routes = {"tickets": RouteSettings(url=origin.url + path, kind="mcp")}
    return settings_for(data_dir, origin, routes=routes)


async def called(made: Piped, sent: bytes = ASK) -> bytes:
    async with await made.port.connect() as client:
        return (await client.call(sent)).body


FRAMINGS = {
    "length": response(SAID, EVENTS),
    "chunked": STREAM + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(SAID[:30]) + chunk(SAID[30:]) + LAST_CHUNK,
}  # fmt: skip


@pytest.mark.parametrize("answer", FRAMINGS.values(), ids=FRAMINGS.keys())
async def test_an_endpoint_gets_the_prefix_under_which_the_agent_came(
    answer: bytes, origin: RawOrigin, data_dir: Any
):
    origin.handler = always(answer)
    async with piped(settings(data_dir, origin)) as made:
        assert await called(made) == TOLD
    assert origin.requests[0].target == b"/mcp/sse"
    ((opened, closed, ended),) = made.told.applied
    assert (opened.operation, opened.is_step, opened.kind) == (
        "sse_stream",
        False,
        "mcp",
    )
    assert closed.altered == ("path_prefix", "sse_endpoint")
    assert (ended.outcome, ended.response_bytes) == ("completed", len(SAID))
    assert (made.told.faults, made.told.notes) == ({}, [])


UNTOUCHED = {
    "coded": response(SAID, EVENTS, (b"Content-Encoding", b"gzip")),
    "JSON": response(SAID, (b"Content-Type", b"application/json")),
    "an error": response(SAID, EVENTS, status=b"404 Not Found"),
    "a message first": response(b"event: message\ndata: {}\n\n", EVENTS),
    "cut": response(SAID[:40], EVENTS),
}


@pytest.mark.parametrize("answer", UNTOUCHED.values(), ids=UNTOUCHED.keys())
async def test_other_answers_stay_as_they_are(
    answer: bytes, origin: RawOrigin, data_dir: Any
):
    origin.handler = always(answer)
    async with piped(settings(data_dir, origin)) as made:
        assert await called(made) == answer.partition(b"\r\n\r\n")[2]
    ((_, closed, _),) = made.told.applied
    assert closed.altered == ("path_prefix",)


async def test_an_endpoint_outside_of_the_route_is_told_of_in_an_event(
    origin: RawOrigin, data_dir: Any
):
    origin.handler = always(response(SAID, EVENTS))
    async with piped(settings(data_dir, origin, "/mcp/sse")) as made:
        assert await called(made, request(b"/tickets")) == SAID
    (event,) = made.told.notes
    assert (event.type, event.reason, event.route) == (
        "endpoint",
        "outside_route",
        "tickets",
    )


async def test_an_endpoint_that_is_too_long_is_told_of_in_an_event(
    origin: RawOrigin, data_dir: Any
):
    said = b"event: endpoint\ndata: /mcp/m?%b\n\n" % (b"x" * CAP_BYTES)
    origin.handler = always(response(said, EVENTS))
    async with piped(settings(data_dir, origin)) as made:
        assert await called(made) == said
    assert [event.reason for event in made.told.notes] == ["too_long"]


@pytest.mark.parametrize("names", [False, True])
async def test_a_drain_waits_for_a_stream_only_if_answers_come_on_it(
    names: bool, origin: RawOrigin, data_dir: Any
):
    async def handler(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD, chunk(SAID if names else b": hi\n\n"))
        await asyncio.sleep(60)

    origin.handler = handler
    async with (
        piped(settings(data_dir, origin)) as made,
        await made.port.connect() as client,
    ):
        await client.send(ASK)
        await client.head()
        assert b": hi" in await client.chunk()
        began = monotonic()
        await made.port.port.drain(0.5)
        assert (monotonic() - began >= 0.5) is names


POST = request(b"/run/r1/tickets/tools", method=b"POST", body=b"{}")
PLACES = {
    "a path": (b"/mcp/tools/", b"/run/r1/tickets/tools/"),
    "a path beyond the route": (b"/other", b"/other"),
    "a relative one": (b"tools/", b"tools/"),
    "another host": (b"https://login.test/", b"https://login.test/"),
}


@pytest.mark.parametrize(("said", "told"), PLACES.values(), ids=PLACES.keys())
async def test_a_redirect_within_an_mcp_server_leads_back_here(
    said: bytes, told: bytes, origin: RawOrigin, data_dir: Any
):
    answer = response(b"", (b"Location", said), status=b"307 Temporary Redirect")
    origin.handler = always(answer)
    async with (
        piped(settings(data_dir, origin)) as made,
        await made.port.connect() as client,
    ):
        got = await client.call(POST)
    assert (b"Location", told) in got.headers
    ((_, closed, _),) = made.told.applied
    assert ("redirect" in closed.altered) is (said != told)
    assert made.told.faults == {}


async def test_the_upstreams_own_url_leads_back_here(origin: RawOrigin, data_dir: Any):
    url = f"http://127.0.0.1:{origin.port}/mcp/tools/?a=1".encode()
    answer = response(b"", (b"Location", url), status=b"308 Permanent Redirect")
    origin.handler = always(answer)
    async with (
        piped(settings(data_dir, origin)) as made,
        await made.port.connect() as client,
    ):
        got = await client.call(POST)
    assert (b"Location", b"/run/r1/tickets/tools/?a=1") in got.headers


async def test_places_in_other_answers_and_on_other_routes_stay(
    origin: RawOrigin, data_dir: Any
):
    place = (b"Location", b"/mcp/tools/")
    url = origin.url + "/mcp"
    for route, status in (
        (RouteSettings(url, "mcp"), b"201 Created"),
        (RouteSettings(url, "tool"), b"307 Temporary Redirect"),
    ):
        origin.handler = always(response(b"", place, status=status))
        made_of = settings_for(data_dir / route.kind, origin, routes={"tickets": route})
        async with piped(made_of) as made, await made.port.connect() as client:
            assert place in (await client.call(POST)).headers
        ((_, closed, _),) = made.told.applied
        assert closed.altered == ("path_prefix",)


EDITS = [
    pytest.param(SseEndpoint, ASK, ("path_prefix",), id="endpoint"),
    pytest.param(
        Stripper,
        sse.openai_ask(),
        ("path_prefix", "usage_injected", "usage_not_stripped"),
        id="usage",
    ),
]


@pytest.mark.parametrize(("edit", "ask", "altered"), EDITS)
async def test_an_edit_that_raises_costs_only_itself(
    edit: type,
    ask: bytes,
    altered: tuple[str, ...],
    origin: RawOrigin,
    data_dir: Any,
    monkeypatch: pytest.MonkeyPatch,
):
    def fail(*_: object) -> bytes:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(edit, "feed", fail)
    body = SAID + sse.OPENAI_DONE
    origin.handler = always(response(body, EVENTS))
    async with piped(settings(data_dir, origin)) as made:
        assert await called(made, ask) == body
    assert made.told.faults == {"meter": 1}
    ((_, closed, ended),) = made.told.applied
    assert (closed.altered, ended.outcome) == (altered, "completed")


def test_an_answer_that_has_not_begun_says_nothing():
    answer = Answer(make_desk(Any, Told()), "", [], lambda _: None)  # type: ignore[arg-type]  # no spool is needed
    assert (answer.terminal, answer.output_started, answer.incomplete) == (
        False,
        False,
        False,
    )
    assert answer.reading().usage is None
    assert (answer.feed(b"x"), answer.rest()) == (b"x", b"")
