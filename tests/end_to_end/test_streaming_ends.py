"""How streams end and who is to blame: S03 to S08, and S12 (where the token counts come from)."""

import asyncio
from pathlib import Path

import pytest

from tests.helpers import sse
from tests.helpers.clock import StoppedClock, on_asyncios_own_loop
from tests.helpers.origin import Exchange, Handler, RawOrigin, always
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.records import Recorded
from tests.helpers.wire import (
    LAST_CHUNK,
    STREAM_HEAD,
    CutError,
    chunk,
    read_body,
    request,
)


def cut_after(*parts: bytes, how: str, begun: asyncio.Event | None = None) -> Handler:
    """Send the parts and hang up; a reset waits until the agent has the head: one that overtakes it is another test."""

    async def answer(exchange: Exchange) -> None:
        await exchange.send(*parts)
        if how == "reset":
            assert begun is not None
            await begun.wait()
            exchange.reset()
        else:
            exchange.close()

    return answer


PARTIAL = [sse.openai_text("hello"), sse.openai_text(" wor")]
CUT_PARTS = {
    "between-chunks": [STREAM_HEAD, *(chunk(event) for event in PARTIAL)],
    "inside-a-chunk": [STREAM_HEAD, chunk(PARTIAL[0]), b"ff\r\ndata: {"],
    "inside-a-size": [STREAM_HEAD, chunk(PARTIAL[0]), b"f"],
    "before-the-last-crlf": [STREAM_HEAD, chunk(PARTIAL[0]), b"0\r\n"],
    "after-the-head": [STREAM_HEAD],
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("parts", CUT_PARTS.values(), ids=CUT_PARTS.keys())
async def test_S03_a_cut_stream_is_cut_for_the_agent_too(
    parts: list[bytes], how: str, origin: RawOrigin, proxy: Proxy
) -> None:
    begun = asyncio.Event()
    origin.handler = cut_after(*parts, how=how, begun=begun)
    async with await proxy.connect() as client:
        await client.send(sse.openai_ask())
        message = await client.final_head()
        begun.set()
        with pytest.raises(CutError):
            await read_body(client.reader, message)
        await client.rest()
        assert LAST_CHUNK not in client.raw
        assert b"[DONE]" not in client.raw
    recorded = await proxy.only()
    assert (recorded.end.outcome, recorded.end.error_type) == ("upstream_abort", "cut")


@pytest.mark.parametrize(
    "target", [b"/t/x", b"/anthropic/v1/models"], ids=["tool", "llm"]
)
async def test_S04_a_body_shorter_than_its_length_aborts_the_agents_connection(
    target: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    origin.handler = cut_after(
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"7 bytes", how="close"
    )
    async with await proxy.connect() as client:
        with pytest.raises(CutError):
            await client.call(request(target))
        assert await client.rest() == b""
    end = (await proxy.only()).end
    assert (end.outcome, end.error_type) == ("upstream_abort", "cut")


ENDLESS = {
    "openai": (sse.openai_ask(), [sse.openai_text("hello"), sse.openai_text(" wor")]),
    "anthropic": (
        sse.anthropic_ask(),
        [sse.anthropic_start(), sse.ANTHROPIC_BLOCK, sse.anthropic_text("hel")],
    ),
}


@pytest.mark.parametrize(("ask", "events"), ENDLESS.values(), ids=ENDLESS.keys())
async def test_S05_a_clean_end_without_a_terminal_event_is_relayed_and_flagged(
    ask: bytes, events: list[bytes], origin: RawOrigin, proxy: Proxy
) -> None:
    origin.handler = always(sse.streamed(*events))
    async with await proxy.connect() as client:
        answer = await client.call(ask)
        assert answer.body == b"".join(events)
        assert client.raw.endswith(LAST_CHUNK)
    recorded = await proxy.only()
    assert (recorded.end.outcome, recorded.end.error_type) == (
        "upstream_abort",
        "no_terminal_event",
    )
    assert recorded.close.usage_source in {"partial", "estimated"}


IN_STREAM = {
    "anthropic-event": (
        sse.anthropic_ask(),
        [sse.anthropic_start(), sse.ANTHROPIC_ERROR],
    ),
    "openai-error-object": (
        sse.openai_ask(),
        [
            sse.openai_text("hel"),
            b'data: {"error":{"message":"boom","type":"server_error"}}\n\n',
            sse.OPENAI_DONE,
        ],
    ),
    "openai-error-event": (
        sse.openai_ask(),
        [
            sse.openai_text("hel"),
            b'event: error\ndata: {"error":{"message":"boom"}}\n\n',
        ],
    ),
}


@pytest.mark.parametrize(("ask", "events"), IN_STREAM.values(), ids=IN_STREAM.keys())
async def test_S06_an_error_event_after_200_is_relayed_and_counts_as_upstream_error(
    ask: bytes, events: list[bytes], origin: RawOrigin, proxy: Proxy
) -> None:
    origin.handler = always(sse.streamed(*events))
    assert (await proxy.call(ask)).body == b"".join(events)
    end = (await proxy.only()).end
    assert (end.outcome, end.error_type) == ("upstream_error", "error_in_stream")


def left(data_dir: Path, how: str, *before: bytes) -> Recorded:
    """Leave after `before` came. The upstream call must end without waiting for anything: the clock stands still."""
    recorded: list[Recorded] = []

    async def main() -> None:
        asked, gone = asyncio.Event(), asyncio.Event()

        async def answer(exchange: Exchange) -> None:
            await exchange.send(*before)
            asked.set()
            await exchange.gone()
            gone.set()

        async with (
            RawOrigin(answer) as origin,
            running(settings_for(data_dir, origin)) as proxy,
        ):
            client = await proxy.connect()
            await client.send(sse.anthropic_ask())
            await asked.wait()
            if before:
                assert (await client.final_head()).status == 200
                await client.chunk()
            with StoppedClock():
                client.reset() if how == "reset" else client.leave()
                await gone.wait()
            recorded.append(await proxy.only())

    on_asyncios_own_loop(main())
    return recorded[0]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_S07_an_agent_that_leaves_before_the_first_byte_cancels_the_upstream_call(
    how: str, data_dir: Path
) -> None:
    recorded = left(data_dir, how)
    assert recorded.end.outcome == "client_abort"
    assert recorded.close.usage_source == "estimated"
    assert recorded.close.usage.input is not None


@pytest.mark.parametrize("how", ["close", "reset"])
def test_S08_an_agent_that_leaves_between_two_events_cancels_the_upstream_call(
    how: str, data_dir: Path
) -> None:
    recorded = left(data_dir, how, STREAM_HEAD, chunk(sse.anthropic_start()))
    assert recorded.end.outcome == "client_abort"
    assert recorded.close.usage_source == "partial"
    assert recorded.close.usage.input == 25


async def test_S08_an_agent_that_leaves_after_the_terminal_event_has_completed(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async def stay_open(exchange: Exchange) -> None:
        await exchange.send(
            STREAM_HEAD, *(chunk(event) for event in sse.anthropic_stream("hi"))
        )
        await exchange.gone()

    origin.handler = stay_open
    async with await proxy.connect() as client:
        await client.send(sse.anthropic_ask())
        assert (await client.final_head()).status == 200
        await client.chunks_of(len(b"".join(sse.anthropic_stream("hi"))))
        client.leave()
        recorded = await proxy.only()
    assert recorded.end.outcome == "completed"
    assert (recorded.close.usage.input, recorded.close.usage.output) == (25, 15)


ANTHROPIC_USAGE = {
    "cumulative": (
        [sse.anthropic_start(25), sse.anthropic_delta(7), sse.anthropic_delta(15)],
        25,
        15,
    ),
    "delta-overrides-input": (
        [sse.anthropic_start(702), sse.anthropic_delta(9, input_tokens=1591)],
        1591,
        9,
    ),
    "only-in-start-and-delta": (
        [sse.anthropic_start(25), sse.anthropic_delta(15)],
        25,
        15,
    ),
}


@pytest.mark.parametrize(
    ("events", "given", "made"), ANTHROPIC_USAGE.values(), ids=ANTHROPIC_USAGE.keys()
)
async def test_S12_tokens_of_an_anthropic_stream_are_the_providers(
    events: list[bytes], given: int, made: int, origin: RawOrigin, proxy: Proxy
) -> None:
    origin.handler = always(sse.streamed(*events, sse.ANTHROPIC_STOP))
    await proxy.call(sse.anthropic_ask())
    close = (await proxy.only()).close
    assert (close.usage.input, close.usage.output, close.usage_source) == (
        given,
        made,
        "provider",
    )


TEXTS = [sse.openai_text("hel"), sse.openai_text("lo"), sse.openai_text("", "stop")]
USAGE = sse.openai_usage(11, 7)


@pytest.mark.parametrize("usages", [1, 2], ids=["once", "twice"])
async def test_S12_usage_that_the_agent_asked_for_is_read_and_relayed(
    usages: int, origin: RawOrigin, proxy: Proxy
) -> None:
    events = [*TEXTS, *[USAGE] * usages, sse.OPENAI_DONE]
    origin.handler = always(sse.streamed(*events))
    ask = sse.openai_ask(stream_options={"include_usage": True})
    assert (await proxy.call(ask)).body == b"".join(events)
    close = (await proxy.only()).close
    assert (close.usage.input, close.usage.output, close.usage_source) == (
        11,
        7,
        "provider",
    )


async def test_S12_usage_that_the_agent_did_not_ask_for_is_injected_and_taken_out(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async def answer_as_asked(exchange: Exchange) -> None:
        assert b'"include_usage":true' in exchange.request.body.replace(b" ", b"")
        nulled = [
            event.replace(b'"choices"', b'"usage": null, "choices"') for event in TEXTS
        ]
        await exchange.send(sse.streamed(*nulled, USAGE, sse.OPENAI_DONE))

    origin.handler = answer_as_asked
    answer = await proxy.call(sse.openai_ask())
    assert answer.body.replace(b" ", b"") == b"".join(
        [*TEXTS, sse.OPENAI_DONE]
    ).replace(b" ", b"")
    close = (await proxy.only()).close
    assert (close.usage.input, close.usage.output, close.usage_source) == (
        11,
        7,
        "provider",
    )
    assert close.altered


async def test_S12_absent_usage_is_estimated_and_says_so(
    origin: RawOrigin, proxy: Proxy
) -> None:
    origin.handler = always(sse.streamed(*TEXTS, sse.OPENAI_DONE))
    await proxy.call(sse.openai_ask())
    close = (await proxy.only()).close
    assert close.usage_source == "estimated"
    assert close.usage.input
    assert close.usage.output
    assert close.cost.total()
