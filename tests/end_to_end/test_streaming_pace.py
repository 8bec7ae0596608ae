"""Streams keep their pace and their bytes: S01, S02, S09, S13 and S14."""

import asyncio
import gzip

import pytest

from tests.helpers import sse
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy
from tests.helpers.wire import (
    LAST_CHUNK,
    STREAM_HEAD,
    chunk,
    fields_of,
    request,
    response,
)

PADDED = (b"data: " + b"x" * 239 + b"\n\n")[:247]
ASKS = {
    "tool": request(b"/t/x"),
    "anthropic": sse.anthropic_ask(),
    "openai": sse.openai_ask(),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())
async def test_S01_each_event_reaches_the_agent_before_the_origin_sends_the_next(
    ask: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    turn = asyncio.Semaphore(0)
    events = [b"data: %03d" % i + PADDED[9:] for i in range(30)]

    async def one_at_a_time(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD)
        for event in events:
            await turn.acquire()
            await exchange.send(chunk(event))
        await turn.acquire()
        await exchange.send(LAST_CHUNK)

    origin.handler = one_at_a_time
    async with await proxy.connect() as client:
        await client.send(ask)
        assert (await client.final_head()).status == 200
        for event in events:
            turn.release()
            assert await client.chunks_of(len(event)) == event
        turn.release()
        assert await client.chunk() == b""


def split_points(whole: bytes) -> list[bytes]:
    return [
        STREAM_HEAD + chunk(whole[:i]) + chunk(whole[i:]) + LAST_CHUNK
        for i in range(1, len(whole))
    ]


ENDINGS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}
WHOLE = b"".join(sse.anthropic_stream("grüße, 世界 🌍"))
SHORT = b"".join(
    [
        sse.anthropic_start(),
        sse.anthropic_text("é🌍"),
        sse.anthropic_delta(15),
        sse.ANTHROPIC_STOP,
    ]
)


def with_bom(stream: bytes) -> bytes:
    return b"\xef\xbb\xbf" + stream


def multi_line(stream: bytes) -> bytes:
    """Break each data line after a comma into two, as the specification allows."""
    return stream.replace(b', "usage"', b',\ndata: "usage"').replace(
        b', "delta"', b',\ndata: "delta"'
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
@pytest.mark.parametrize(
    "shape", [bytes, with_bom, multi_line], ids=["plain", "bom", "multi-line"]
)
async def test_S02_a_stream_split_at_every_byte_is_relayed_and_read_alike(
    shape: type[bytes], ending: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    stream = bytes(shape(SHORT)).replace(b"\n", ending)
    answers = split_points(stream)

    async def next_answer(exchange: Exchange) -> None:
        await exchange.send(answers[len(origin.requests) - 1])

    origin.handler = next_answer
    async with await proxy.connect(record=False) as client:
        for _ in answers:
            assert (await client.call(sse.anthropic_ask())).body == stream
    read = await proxy.ended(len(answers))
    facts = {
        (e.close.usage, e.close.usage_source, e.close.finish_reason, e.end.outcome)
        for e in read
    }
    assert len(facts) == 1
    ((usage, source, finish, outcome),) = facts
    assert (usage.input, usage.output, source, finish, outcome) == (
        25,
        15,
        "provider",
        "end_turn",
        "completed",
    )


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
async def test_S02_a_stream_of_single_bytes_is_relayed_and_read_alike(
    ending: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    stream = WHOLE.replace(b"\n", ending)
    origin.handler = always(
        STREAM_HEAD, *(chunk(stream[i : i + 1]) for i in range(len(stream))), LAST_CHUNK
    )
    assert (await proxy.call(sse.anthropic_ask())).body == stream
    recorded = await proxy.only()
    assert (recorded.close.usage.input, recorded.close.usage.output) == (25, 15)
    assert recorded.end.outcome == "completed"


NULLED = [
    sse.openai_text("é🌍").replace(b'"choices"', b'"usage": null, "choices"'),
    sse.openai_text("", "stop").replace(b"}\n", b', "usage":null}\n'),
    sse.openai_usage(11, 7),
    sse.OPENAI_DONE,
]


async def test_S02_an_injected_stream_split_at_every_byte_is_stripped_alike(
    origin: RawOrigin, proxy: Proxy
) -> None:
    answers = [sse.streamed(*NULLED), *split_points(b"".join(NULLED))]

    async def next_answer(exchange: Exchange) -> None:
        await exchange.send(answers[len(origin.requests) - 1])

    origin.handler = next_answer
    async with await proxy.connect(record=False) as client:
        bodies = [(await client.call(sse.openai_ask())).body for _ in answers]
    assert set(bodies) == {bodies[0]}
    assert b"usage" not in bodies[0]
    assert bodies[0].endswith(sse.OPENAI_DONE)
    read = await proxy.ended(len(answers))
    assert {
        (e.close.usage.input, e.close.usage.output, e.end.outcome) for e in read
    } == {(11, 7, "completed")}


MALFORMED = {
    "broken-json": b'data: {"choices":[{"delta":\n\n',
    "not-json": b"data: <html>\n\n",
    "array": b"data: [1,2,3]\n\n",
    "wrong-types": b'data: {"choices":{"a":1},"usage":"many","id":7}\n\n',
    "negative-usage": b'data: {"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":-5,"completion_tokens":1e99}}\n\n',
    "invalid-utf-8": b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n',
    "nul": b'data: {"a":"\0"}\n\n',
    "deep": b"data: " + b"[" * 100_000 + b"]" * 100_000 + b"\n\n",
    "huge-number": b'data: {"usage":{"prompt_tokens":' + b"9" * 5000 + b"}}\n\n",
    "no-colon": b"data\nevent\n\n",
    "unknown-fields": b"id: 1\nretry: x\n: comment\nfoo: bar\n\n",
    "empty-data": b"data:\n\ndata: \n\n",
}


@pytest.mark.parametrize("family", ["openai", "anthropic"])
@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED.keys())
async def test_S13_malformed_events_are_relayed_and_break_nothing(
    malformed: bytes,
    family: str,
    origin: RawOrigin,
    proxy: Proxy,
    capfd: pytest.CaptureFixture[str],
) -> None:
    streams = {
        "openai": [
            sse.openai_text("hi"),
            malformed,
            sse.openai_text("", "stop"),
            sse.OPENAI_DONE,
        ],
        "anthropic": [
            sse.anthropic_start(),
            malformed,
            sse.anthropic_delta(15),
            sse.ANTHROPIC_STOP,
        ],
    }
    origin.handler = always(sse.streamed(*streams[family]))
    answer = await proxy.call(ASKS[family])
    assert answer.body == b"".join(streams[family])
    assert (await proxy.only()).end.outcome == "completed"
    output = capfd.readouterr()
    assert "Traceback" not in output.err + output.out


@pytest.mark.parametrize("coding", [None, b"gzip"], ids=["identity", "gzip"])
async def test_S14_an_event_stream_keeps_the_coding_that_the_origin_chose(
    coding: bytes | None, origin: RawOrigin, proxy: Proxy
) -> None:
    body = b"".join(sse.anthropic_stream("hello"))
    headers = [(b"Content-Type", b"text/event-stream")]
    if coding:
        body = gzip.compress(body, mtime=0)
        headers.append((b"Content-Encoding", coding))
    headers.append((b"Transfer-Encoding", b"chunked"))
    head = b"HTTP/1.1 200 OK\r\n" + fields_of(headers) + b"\r\n"
    origin.handler = always(head, chunk(body) + LAST_CHUNK)
    ask = sse.anthropic_ask().replace(
        b"\r\n\r\n", b"\r\nAccept-Encoding: gzip, br\r\n\r\n", 1
    )
    answer = await proxy.call(ask)
    assert (answer.raw_head, answer.body) == (head, body)
    assert origin.requests[0].get(b"accept-encoding") == b"gzip, br"
    close = (await proxy.only()).close
    assert (close.usage.input, close.usage.output) == (25, 15)


BROKEN_CODINGS = {
    "gzip-cut": (
        b"gzip",
        gzip.compress(b"".join(sse.anthropic_stream("hello" * 99)), mtime=0)[:-30],
    ),
    "gzip-garbage": (b"gzip", b"this is no gzip at all"),
    "gzip-trailing-garbage": (
        b"gzip",
        gzip.compress(b"data: 1\n\n", mtime=0) + b"garbage",
    ),
    "unknown-coding": (b"rot13", b"qngn: 1\n\n"),
    "br-garbage": (b"br", b"\xff" * 100),
    "zstd-garbage": (b"zstd", b"\x28\xb5\x2f\xfd" + b"\xff" * 100),
    "empty": (b"gzip", b""),
}


@pytest.mark.parametrize(
    ("coding", "body"), BROKEN_CODINGS.values(), ids=BROKEN_CODINGS.keys()
)
async def test_S13_a_body_that_cannot_be_inflated_is_relayed_and_breaks_nothing(
    coding: bytes,
    body: bytes,
    origin: RawOrigin,
    proxy: Proxy,
    capfd: pytest.CaptureFixture[str],
) -> None:
    raw = response(
        body, (b"Content-Type", b"text/event-stream"), (b"Content-Encoding", coding)
    )
    origin.handler = always(raw)
    async with await proxy.connect() as client:
        await client.call(sse.anthropic_ask())
        assert client.raw == raw
    assert len((await proxy.only()).ends) == 1
    output = capfd.readouterr()
    assert "Traceback" not in output.err + output.out
