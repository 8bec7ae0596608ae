"""The account of an exchange: written before the agent knows the end, and nothing in it reaches the agent."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.helpers import sse
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.pipelines import Piped, piped
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.records import Recorded, read_spool
from tests.helpers.wire import LAST_CHUNK, STREAM_HEAD, chunk, request, response

JSON = (b"Content-Type", b"application/json")
pytestmark = pytest.mark.blocking_allowed  # wiring a pipeline reads the price table


async def spooled(data_dir: Path) -> list[Recorded]:
    exchanges, _ = await asyncio.to_thread(read_spool, data_dir)
    return exchanges


async def called(made: Piped, sent: bytes) -> bytes:
    async with await made.port.connect() as client:
        return (await client.call(sent)).body


async def test_open_is_written_before_the_upstream_is_contacted(
    origin: RawOrigin, proxy: Proxy
):
    async def handler(exchange: Exchange) -> None:
        (seen,) = await spooled(proxy.data_dir)
        assert seen.open.route == "t"
        assert not seen.closes
        await exchange.send(response(b"ok"))

    origin.handler = handler
    assert (await proxy.call(request(b"/t/x"))).status == 200


STREAMS = {
    "anthropic": (sse.anthropic_ask(), sse.anthropic_stream("hi")),
    "openai": (
        sse.openai_ask(stream_options={"include_usage": True}),
        [sse.openai_text("hi", "stop"), sse.openai_usage(5, 7), sse.OPENAI_DONE],
    ),
    "openai, usage injected": (
        sse.openai_ask(),
        [sse.openai_text("hi", "stop"), sse.openai_usage(5, 7), sse.OPENAI_DONE],
    ),
}


@pytest.mark.parametrize(("ask", "events"), STREAMS.values(), ids=STREAMS.keys())
async def test_close_is_written_before_the_agent_gets_the_terminal_event(
    ask: bytes, events: list[bytes], origin: RawOrigin, proxy: Proxy
):
    *before, terminal = events
    seen_all = asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD, *(chunk(event) for event in before))
        await exchange.send(chunk(terminal))
        await seen_all.wait()
        await exchange.send(LAST_CHUNK)

    origin.handler = handler
    async with await proxy.connect() as client:
        await client.send(ask)
        await client.final_head()
        body = b""
        while not body.endswith(terminal):
            body += await client.chunk()
        (seen,) = await spooled(proxy.data_dir)
        assert seen.close.outcome == "completed"
        assert seen.close.usage.output
        assert not seen.ends
        seen_all.set()
        assert await client.chunk() == b""
    assert (await proxy.only()).end.outcome == "completed"


ANSWERS = {
    "length": response(b"ok"),
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunk(b"ok")
    + LAST_CHUNK,
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_close_is_written_before_the_agent_gets_the_last_byte(
    answer: bytes, origin: RawOrigin, proxy: Proxy
):
    origin.handler = always(answer)
    async with await proxy.connect() as client:
        await client.call(request(b"/t/x"))
        (seen,) = await spooled(proxy.data_dir)
        assert (seen.close.outcome, seen.close.response_bytes) == ("completed", 2)


@asynccontextmanager
async def leaving(
    origin: RawOrigin, proxy: Proxy, events: list[bytes]
) -> AsyncIterator[None]:
    """Send events that never end, and leave when the agent has them all."""

    async def handler(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD, *(chunk(event) for event in events))
        await exchange.gone()

    origin.handler = handler
    async with await proxy.connect() as client:
        await client.send(sse.anthropic_ask())
        await client.final_head()
        await client.chunks_of(len(b"".join(events)))
        client.leave()
        yield


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        (sse.anthropic_stream("hi"), "completed"),
        (sse.anthropic_stream("hi")[:-1], "client_abort"),
    ],
    ids=["after the terminal event", "before it"],
)
async def test_whether_a_stream_is_completed_depends_on_its_terminal_event(
    events: list[bytes], outcome: str, origin: RawOrigin, proxy: Proxy
):
    async with leaving(origin, proxy, events):
        recorded = await proxy.only()
    assert recorded.end.outcome == recorded.close.outcome == outcome


async def test_an_unknown_model_is_priced_as_assumed_and_told_of_in_an_event(
    origin: RawOrigin, data_dir: Path
):
    body = json.dumps(
        {"model": "nobody-knows-this", "usage": {"prompt_tokens": 5, "completion_tokens": 1}}
    ).encode()  # fmt: skip
    origin.handler = always(response(body, JSON))
    async with piped(settings_for(data_dir, origin)) as made:
        for _ in range(2):  # the event is one an hour, not one a call
            await called(made, sse.openai_ask(stream=False, model="nor-this"))
    (event,) = made.told.notes
    assert (event.type, event.reason, event.model) == (
        "price",
        "unknown_model",
        "nobody-knows-this",
    )
    assert made.told.under_way == {"openai": 0}


JUDGED = {
    "2xx": (response(b"ok"), "completed", ""),
    "3xx": (response(b"", status=b"302 Found"), "completed", ""),
    "400": (response(b"", status=b"400 Bad"), "rejected", "invalid_request"),
    "401": (response(b"", status=b"401 No"), "rejected", "auth"),
    "429": (response(b"", status=b"429 Slow"), "rejected", "rate_limited"),
    "500": (response(b"", status=b"500 Oh"), "upstream_error", "server_error"),
    "529": (response(b"", status=b"529 Busy"), "upstream_error", "overloaded"),
}


@pytest.mark.parametrize(
    ("answer", "outcome", "error_type"), JUDGED.values(), ids=JUDGED.keys()
)
async def test_an_exchange_is_judged_by_its_status(
    answer: bytes, outcome: str, error_type: str, origin: RawOrigin, proxy: Proxy
):
    origin.handler = always(answer)
    await proxy.call(request(b"/t/x"))
    recorded = await proxy.only()
    assert (recorded.end.outcome, recorded.end.error_type) == (outcome, error_type)
    assert recorded.close.outcome == outcome


async def test_headers_of_ours_are_added_where_wanted_and_the_upstreams_dropped(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(response(b"ok", (b"X-Tacho-Run", b"forged"), (b"A", b"1")))
    settings = settings_for(data_dir, origin, response_headers=True)
    async with running(settings) as proxy:
        answer = await proxy.call(request(b"/run/r1/t/x"))
        other = await proxy.call(request(b"/t/x"))
        first, _ = await proxy.ended(2)
    assert answer.all(b"x-tacho-run") == [b"r1"]
    assert answer.get(b"x-tacho-step") == first.open.step_id.encode()
    assert answer.get(b"x-tacho-attempt") == b"0"
    assert answer.get(b"a") == b"1"
    assert other.get(b"x-tacho-run") is None


SAID = {
    "an error in the stream": (
        [sse.anthropic_start(), sse.ANTHROPIC_ERROR],
        "upstream_error",
        "error_in_stream",
    ),
    "no terminal event": (
        sse.anthropic_stream("hi")[:-1],
        "upstream_abort",
        "no_terminal_event",
    ),
    "all of it": (sse.anthropic_stream("hi"), "completed", ""),
}


@pytest.mark.parametrize(
    ("events", "outcome", "error_type"), SAID.values(), ids=SAID.keys()
)
async def test_a_stream_is_judged_by_what_it_says(
    events: list[bytes],
    outcome: str,
    error_type: str,
    origin: RawOrigin,
    proxy: Proxy,
):
    origin.handler = always(sse.streamed(*events))
    assert (await proxy.call(sse.anthropic_ask())).body == b"".join(events)
    recorded = await proxy.only()
    assert (recorded.end.outcome, recorded.end.error_type) == (outcome, error_type)


async def test_an_error_in_the_stream_stands_when_the_agent_leaves_after_it(
    origin: RawOrigin, proxy: Proxy
):
    async with leaving(origin, proxy, [sse.anthropic_start(), sse.ANTHROPIC_ERROR]):
        recorded = await proxy.only()
    for record in (recorded.close, recorded.end):
        assert (record.outcome, record.error_type) == (
            "upstream_error",
            "error_in_stream",
        )


async def test_numbers_that_fit_no_record_cost_only_themselves(
    origin: RawOrigin, proxy: Proxy
):
    said = {"prompt_tokens": 2**53, "completion_tokens": 2**53}
    body = json.dumps({"model": "gpt-4o", "usage": said}).encode()
    origin.handler = always(response(body, JSON))
    assert (await proxy.call(sse.openai_ask(stream=False))).body == body
    recorded = await proxy.only()
    assert recorded.end.outcome == recorded.close.outcome == "completed"
    assert (recorded.close.usage_source, recorded.close.cost.total()) == ("none", None)
