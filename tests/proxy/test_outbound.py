"""What goes upstream: the agent's own request, or one that asks for token counts on its behalf."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.config import LimitSettings, RouteSettings
from tests.helpers import sse
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.records import read_spool
from tests.helpers.wire import LAST_CHUNK, STREAM_HEAD, chunk, request, response

TEXTS = [sse.openai_text("hel"), sse.openai_text("lo", "stop")]
NULLED = [text.replace(b'"choices"', b'"usage": null, "choices"') for text in TEXTS]
USAGE = sse.openai_usage(11, 7)
PLAIN = b"".join([*TEXTS, sse.OPENAI_DONE])
REFUSAL = response(
    b'{"error":{"message":"Unknown parameter: stream_options"}}', status=b"400 Bad"
)


@pytest.fixture
def answering(origin: RawOrigin) -> RawOrigin:
    """An origin that counts tokens where it is asked to."""

    async def handler(exchange: Exchange) -> None:
        asked = json.loads(exchange.request.body)
        if asked.get("stream_options", {}).get("include_usage"):
            await exchange.send(sse.streamed(*NULLED, USAGE, sse.OPENAI_DONE))
        else:
            await exchange.send(sse.streamed(*TEXTS, sse.OPENAI_DONE))

    origin.handler = handler
    return origin


def body_of(sent: bytes) -> bytes:
    return sent.partition(b"\r\n\r\n")[2]


async def test_another_api_on_the_same_route_is_not_asked_for_usage(
    answering: RawOrigin, proxy: Proxy
):
    ask = sse.openai_ask().replace(b"/v1/chat/completions", b"/api/chat")
    assert (await proxy.call(ask)).body == PLAIN
    (seen,) = answering.requests
    assert seen.body == body_of(ask)
    assert (await proxy.only()).open.operation == "chat"


async def test_usage_is_asked_for_and_the_agent_gets_what_it_would_have_got(
    answering: RawOrigin, proxy: Proxy
):
    ask = sse.openai_ask()
    assert (await proxy.call(ask)).body == PLAIN
    (seen,) = answering.requests
    spliced = json.loads(seen.body)
    assert spliced.pop("stream_options") == {"include_usage": True}
    assert spliced == json.loads(body_of(ask))
    recorded = await proxy.only()
    assert recorded.close.altered == ("path_prefix", "usage_injected")
    assert recorded.close.usage_source == "provider"
    assert (recorded.close.usage.input, recorded.close.usage.output) == (11, 7)
    assert recorded.close.request_bytes == len(seen.body)


@pytest.mark.parametrize(
    ("operation", "idle_seconds"), [("sse_stream", None), ("tools/call", 0.05)]
)
async def test_only_a_stream_that_waits_for_messages_may_be_silent(
    operation: str, idle_seconds: float | None, origin: RawOrigin, data_dir: Path
):
    """The silence is longer than other streams may be silent."""

    async def handler(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD)
        await asyncio.sleep(0.2)
        await exchange.send(chunk(b": ping\n\n"), LAST_CHUNK)

    origin.handler = handler
    tickets = RouteSettings(url=origin.url, kind="mcp", idle_timeout_seconds=0.05)
    said = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}'
    call = request(b"/tickets/mcp", method=b"POST", body=said)
    ask = request(b"/tickets/mcp") if idle_seconds is None else call
    settings = settings_for(data_dir, origin, routes={"tickets": tickets})
    async with running(settings) as proxy, await proxy.connect() as client:
        await client.send(ask)
        await client.rest() if idle_seconds else await client.response()
        recorded = await proxy.only()
    assert recorded.open.operation == operation
    assert (recorded.end.outcome == "completed") is (idle_seconds is None)


async def test_only_length_and_coding_change_in_the_head(
    answering: RawOrigin, proxy: Proxy
):
    body = body_of(sse.openai_ask())
    headers = ((b"Accept-Encoding", b"gzip, br"), (b"X-A", b"1"))
    await proxy.call(
        request(b"/openai/v1/chat/completions", *headers, method=b"POST", body=body)
    )
    (seen,) = answering.requests
    assert seen.headers == [
        (b"Host", f"127.0.0.1:{answering.port}".encode()),
        (b"Accept-Encoding", b"identity"),
        (b"X-A", b"1"),
        (b"Content-Length", b"%d" % len(seen.body)),
    ]


async def test_a_chunked_request_stays_chunked(answering: RawOrigin, proxy: Proxy):
    body = body_of(sse.openai_ask())
    head = request(
        b"/openai/v1/chat/completions",
        (b"Transfer-Encoding", b"chunked"),
        method=b"POST",
    )
    sent = head + chunk(body[:9]) + chunk(body[9:]) + LAST_CHUNK
    assert (await proxy.call(sent)).body == PLAIN
    (seen,) = answering.requests
    assert seen.framing == "chunked"
    assert b"include_usage" in seen.body


def unasked() -> dict[str, bytes]:
    chat = b"/openai/v1/chat/completions"
    big = json.dumps({"model": "m", "stream": True, "pad": "x" * 5000}).encode()
    return {
        "the agent asks itself": sse.openai_ask(stream_options={"include_usage": True}),
        "no stream": sse.openai_ask(stream=False),
        "no JSON": sse.post(chat, b'{"stream": true'),
        "another operation": sse.post(b"/openai/v1/responses", b'{"stream":true}'),
        "another provider": sse.anthropic_ask(),
        "a route that estimates": sse.openai_ask().replace(b"/openai/", b"/est/"),
        "a route that does neither": sse.openai_ask().replace(b"/openai/", b"/off/"),
        "a body that is not read": sse.post(chat, big),
        "a compressed body": request(
            chat, (b"Content-Encoding", b"gzip"), method=b"POST", body=b"\x1f\x8b"
        ),
    }


@pytest.mark.parametrize("sent", unasked().values(), ids=unasked().keys())
async def test_otherwise_the_request_goes_as_it_is(
    sent: bytes, origin: RawOrigin, data_dir: Path
):
    def route(usage: Any) -> RouteSettings:
        return RouteSettings(url=origin.url, provider="openai", stream_usage=usage)

    routes = {"est": route("estimate"), "off": route("off")}
    small = LimitSettings(request_buffer_bytes=4096)
    async with running(
        settings_for(data_dir, origin, routes=routes, limits=small)
    ) as proxy:
        await proxy.call(sent)
        recorded = await proxy.only()
    assert origin.requests[0].body == body_of(sent)
    assert recorded.close.altered == ("path_prefix",)


def refusing(*answers: bytes):
    """Answer in this order, and then as usual."""
    left = list(answers)

    async def handler(exchange: Exchange) -> None:
        usual = sse.streamed(*TEXTS, sse.OPENAI_DONE)
        await exchange.send(left.pop(0) if left else usual)

    return handler


async def test_a_refusal_of_the_field_is_answered_with_the_agents_own_request_once(
    origin: RawOrigin, proxy: Proxy
):
    origin.handler = refusing(REFUSAL)
    ask = sse.openai_ask()
    answer = await proxy.call(ask)
    assert (answer.status, answer.body) == (200, PLAIN)
    first, second = origin.requests
    assert b"include_usage" in first.body
    assert second.body == body_of(ask)
    recorded = await proxy.only()
    assert recorded.close.altered == ("path_prefix", "injection_refused")
    assert recorded.close.request_bytes == len(second.body)
    assert recorded.close.usage_source == "estimated"
    _, events = await asyncio.to_thread(read_spool, proxy.data_dir)
    assert [(event.type, event.reason) for event in events] == [
        ("injection", "refused")
    ]


async def test_who_refused_and_took_the_request_without_is_not_asked_again(
    origin: RawOrigin, proxy: Proxy
):
    origin.handler = refusing(REFUSAL)
    for _ in range(2):
        assert (await proxy.call(sse.openai_ask())).body == PLAIN
    assert len(origin.requests) == 3
    assert b"include_usage" not in origin.requests[2].body


@pytest.mark.parametrize(
    "second",
    [
        response(b"{}", status=b"500 Oh"),
        response(b'{"error":{"message":"bad model"}}', status=b"400 Bad"),
        response(b"{}", status=b"429 Slow"),
    ],
    ids=["500", "400", "429"],
)
async def test_a_refusal_is_not_remembered_when_the_agents_own_request_fails_too(
    second: bytes, origin: RawOrigin, proxy: Proxy
):
    origin.handler = refusing(REFUSAL, second)
    answer = await proxy.call(sse.openai_ask())
    assert answer.body == body_of(second)
    await proxy.call(sse.openai_ask())
    assert len(origin.requests) == 3
    assert b"include_usage" in origin.requests[2].body


async def test_who_refuses_is_known_by_route_and_operation(
    origin: RawOrigin, proxy: Proxy
):
    origin.handler = refusing(REFUSAL)
    await proxy.call(sse.openai_ask())
    await proxy.call(sse.openai_ask().replace(b"/chat/completions", b"/completions", 1))
    assert b"include_usage" in origin.requests[2].body


OTHERS = {
    "about the model": response(b'{"error":{"message":"no such model"}}', status=b"400 Bad"),
    "large": response(b'{"error":"' + b"x" * 200_000 + b'"}', status=b"422 No"),
    "empty": response(b"", status=b"400 Bad"),
    "chunked": b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"no") + LAST_CHUNK,
}  # fmt: skip


@pytest.mark.parametrize("answer", OTHERS.values(), ids=OTHERS.keys())
async def test_another_refusal_reaches_the_agent_as_it_is(
    answer: bytes, origin: RawOrigin, proxy: Proxy
):
    origin.handler = always(answer)
    async with await proxy.connect() as client:
        await client.call(sse.openai_ask())
        assert client.raw == answer
    assert len(origin.requests) == 1
    recorded = await proxy.only()
    assert (recorded.end.outcome, recorded.close.altered) == (
        "rejected",
        ("path_prefix", "usage_injected"),
    )


async def test_an_answer_in_a_coding_that_was_not_asked_for_passes_as_it_is(
    origin: RawOrigin, proxy: Proxy
):
    head = STREAM_HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    answer = head + chunk(b"\x1f\x8b not really") + LAST_CHUNK
    origin.handler = always(answer)
    async with await proxy.connect() as client:
        await client.call(sse.openai_ask())
        assert client.raw == answer
    altered = (await proxy.only()).close.altered
    assert altered == ("path_prefix", "usage_injected", "usage_not_stripped")


async def test_a_stream_with_a_length_loses_it_when_an_event_is_taken_out(
    origin: RawOrigin, proxy: Proxy
):
    body = b"".join([*NULLED, USAGE, sse.OPENAI_DONE])
    origin.handler = always(response(body, (b"Content-Type", b"text/event-stream")))
    answer = await proxy.call(sse.openai_ask())
    assert (answer.body, answer.framing) == (PLAIN, "chunked")


async def test_through_an_egress_proxy_the_target_is_absolute(
    origin: RawOrigin, data_dir: Path
):
    far = RouteSettings(url="http://far.test:8080/base?k=v", kind="tool")
    settings = settings_for(
        data_dir, origin, routes={"far": far}, egress_proxy=origin.url
    )
    async with running(settings) as proxy:
        assert (await proxy.call(request(b"/far/x?a=%20"))).body == b"ok"
    (seen,) = origin.requests
    assert seen.target == b"http://far.test:8080/base/x?k=v&a=%20"
    assert seen.get(b"host") == b"far.test:8080"
