"""Answers that ask for calls which cannot work: counted, or kept from the agent, in every family, streamed and not."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.config import RouteSettings, Settings
from proxy.meter.cutting import cutter_for
from tests.end_to_end.test_governors import governed, verdicts_of
from tests.helpers.asking import EVENTS, FAMILIES, JSON, Family
from tests.helpers.counted import counted
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import running
from tests.helpers.records import Recorded, read_spool
from tests.helpers.wire import LAST_CHUNK, Message, chunk, request, response

pytestmark = pytest.mark.blocking_allowed  # the first call reads the price table
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
GOOD, UNFIT, MADE_UP = [("f", '{"x": 1}')], [("f", '{"x": "1"}')], [("h", '{"x": 1}')]
ROUTES = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "anthropic_messages": "anthropic",
    "bedrock_converse": "bedrock",
    "bedrock_invoke": "bedrock",
    "gemini_generate": "google",
    "gemini_interactions": "google",
    "cohere_v1": "cohere",
    "cohere_v2": "cohere",
    "ollama": "ollama",
    "mistral_conversations": "mistral",
}
STREAMED = [name for name, each in FAMILIES.items() if each.content_type != JSON]
WHOLE = [name for name, each in FAMILIES.items() if each.content_type == JSON]


def settings(data_dir: Path, origin: RawOrigin, **policy: Any) -> Settings:
    routes = {name: RouteSettings(url=origin.url, provider=name) for name in set(ROUTES.values())}  # fmt: skip
    made = governed(data_dir, origin, tool_calls=policy)
    return replace(made, routes={**made.routes, **routes})


def asked(name: str) -> tuple[Family, bytes]:
    """Give a family and the request."""
    family = FAMILIES[name]
    route = ROUTES[name.split()[0]]
    body = family.body([("f", SCHEMA), ("g", SCHEMA)])
    path = f"/run/r1/{route}{family.path}".encode()
    return family, request(path, (b"content-type", b"application/json"), method=b"POST", body=body)  # fmt: skip


def head_of(content_type: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % content_type.encode()  # fmt: skip


def streamed(family: Family, said: bytes) -> bytes:
    """Send each event as a chunk of its own."""
    cutter = cutter_for(family.content_type)
    assert cutter is not None
    events = [*cutter.feed(said), cutter.rest()]
    return head_of(family.content_type) + b"".join(map(chunk, filter(None, events))) + LAST_CHUNK  # fmt: skip


async def call(
    name: str, calls: list[tuple[str, str]], data_dir: Path, origin: RawOrigin, **policy: Any
) -> tuple[Message, bytes, Recorded]:  # fmt: skip
    """Make one call; give what the agent got, what the upstream said, and the record."""
    family, sent = asked(name)
    said = family.answer(calls)
    origin.handler = always(streamed(family, said) if name in STREAMED else response(said, (b"content-type", b"application/json")))  # fmt: skip
    async with running(settings(data_dir, origin, **policy)) as proxy:
        got = await proxy.call(sent)
        return got, said, await proxy.only()


def verdict_of(row: Recorded) -> tuple[str, str, str]:
    close = row.close
    return close.verdict_policy, close.verdict_action, close.verdict_reason


@pytest.mark.parametrize("mode", ["off", "observe"])
@pytest.mark.parametrize(
    "name", [each for each in FAMILIES if each != "mistral_conversations"]
)  # no step without `inputs`
async def test_observing_changes_no_byte(
    name: str, mode: str, data_dir: Path, origin: RawOrigin
):
    got, said, row = await call(name, MADE_UP, data_dir, origin, mode=mode)
    assert (got.status, got.body) == (200, said)
    would = ("tool_calls", "would_block", "unknown_tool")
    assert verdict_of(row) == (would if mode == "observe" else ("", "", ""))
    assert row.end.outcome == "completed"
    assert set(row.close.altered) <= {"path_prefix", "usage_injected"}
    assert [each.problem for each in row.close.calls] == ["unknown_tool"]


@pytest.mark.parametrize("name", STREAMED)
async def test_good_calls_are_released_as_they_came(
    name: str, data_dir: Path, origin: RawOrigin
):
    got, said, row = await call(name, GOOD, data_dir, origin, mode="enforce")
    assert (got.status, got.body) == (200, said)
    assert verdict_of(row) == ("", "", "")
    assert "held" in row.close.altered
    assert row.end.outcome == "completed"


@pytest.mark.parametrize("name", STREAMED)
async def test_a_stream_with_a_bad_call_ends_in_the_family_s_error(
    name: str, data_dir: Path, origin: RawOrigin
):
    got, _, row = await call(name, UNFIT, data_dir, origin, mode="enforce")
    assert got.status == 200
    assert b"do not fit its schema" in got.body
    assert b"aZbYcXdWeV" not in got.body  # the call's id
    assert verdict_of(row) == ("tool_calls", "block", "bad_arguments")
    assert {"held", "blocked_call"} <= set(row.close.altered)
    assert (row.end.outcome, row.close.http_status) == ("blocked", 200)
    assert [each.problem for each in row.close.calls] == ["bad_arguments"]


def text_then(calls: bytes) -> list[bytes]:
    """Give the events of a chat stream that says something before it calls."""
    said = {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Let me see."}, "finish_reason": None}]}  # fmt: skip
    cutter = cutter_for(EVENTS)
    assert cutter is not None
    return [b": hello\n\n", b"data: " + json.dumps(said).encode() + b"\n\n", *cutter.feed(calls)]  # fmt: skip


@pytest.mark.parametrize("calls", [GOOD, UNFIT], ids=["good", "bad"])
async def test_events_pass_until_the_first_that_asks_for_a_call(
    calls: Any, data_dir: Path, origin: RawOrigin
):
    family, sent = asked("openai_chat streamed")
    events = text_then(family.answer(calls))
    go_on = asyncio.Event()

    async def slowly(exchange: Exchange) -> None:
        await exchange.send(head_of(EVENTS), *map(chunk, events[:4]))
        await go_on.wait()
        await exchange.send(*map(chunk, events[4:]), LAST_CHUNK)

    origin.handler = slowly
    made = settings(data_dir, origin, mode="enforce")
    async with running(made) as proxy, await proxy.connect() as client:
        try:
            await client.send(sent)
            await client.final_head()
            passed = b"".join(events[:2])
            assert await client.chunks_of(len(passed)) == passed
        finally:
            go_on.set()
        rest = await client.chunks_of(1)
    held = b"".join(events[2:])
    assert (held == rest) == (calls is GOOD)
    assert (b"do not fit" in rest) == (calls is UNFIT)


async def test_what_is_too_long_to_be_held_passes_and_is_counted(
    data_dir: Path, origin: RawOrigin
):
    family, sent = asked("openai_chat streamed")
    said = family.answer([("h", json.dumps({"x": "1" * 70_000}))])
    origin.handler = always(streamed(family, said))
    made = settings(data_dir, origin, mode="enforce")
    made = replace(made, limits=replace(made.limits, meter_buffer_bytes=60_000))
    async with running(made) as proxy:
        got = await proxy.call(sent)
        row = await proxy.only()
        assert proxy.worker is not None
        lost = counted(proxy.worker.telemetry, "tacho_dropped_total")
    assert got.body == said
    assert verdict_of(row) == ("tool_calls", "would_block", "unknown_tool")
    assert "held" in row.close.altered
    assert lost[("unheld_call",)] == 1


async def test_a_stream_in_a_coding_passes_and_is_counted(
    data_dir: Path, origin: RawOrigin
):
    family, sent = asked("openai_chat streamed")
    packed = gzip.compress(family.answer(MADE_UP))
    origin.handler = always(response(packed, (b"content-type", EVENTS.encode()), (b"content-encoding", b"gzip")))  # fmt: skip
    async with running(settings(data_dir, origin, mode="enforce")) as proxy:
        got = await proxy.call(sent)
        row = await proxy.only()
        assert proxy.worker is not None
        lost = counted(proxy.worker.telemetry, "tacho_dropped_total")
    assert got.body == packed
    assert verdict_of(row) == ("tool_calls", "would_block", "unknown_tool")
    assert lost[("unheld_call",)] == 1
    assert "held" not in row.close.altered


async def test_a_stream_that_is_cut_is_cut_before_its_calls(
    data_dir: Path, origin: RawOrigin
):
    family, sent = asked("openai_chat streamed")
    events = text_then(family.answer(UNFIT))

    async def cut(exchange: Exchange) -> None:
        await exchange.send(head_of(EVENTS), *map(chunk, events[:4]))
        exchange.reset()

    origin.handler = cut
    async with running(settings(data_dir, origin, mode="enforce")) as proxy, await proxy.connect() as client:  # fmt: skip
        await client.send(sent)
        got = await client.rest()
        row = await proxy.only()
    assert got.endswith(events[1] + b"\r\n")
    assert row.end.outcome == "upstream_abort"
    assert verdict_of(row) == ("", "", "")


async def test_of_a_stream_that_ends_too_early_a_made_up_call_is_known(
    data_dir: Path, origin: RawOrigin
):
    family, sent = asked("openai_chat streamed")
    events = text_then(family.answer(MADE_UP))
    origin.handler = always(head_of(EVENTS) + b"".join(map(chunk, events[:4])) + LAST_CHUNK)  # fmt: skip
    async with running(settings(data_dir, origin, mode="enforce")) as proxy:
        got = await proxy.call(sent)
        row = await proxy.only()
    assert b"that the request does not offer" in got.body
    assert (row.end.outcome, row.end.error_type) == ("upstream_abort", "no_terminal_event")  # fmt: skip
    assert verdict_of(row) == ("tool_calls", "block", "unknown_tool")


async def test_a_verdict_has_an_event_and_a_metric(data_dir: Path, origin: RawOrigin):
    family, sent = asked("openai_chat streamed")
    origin.handler = always(streamed(family, family.answer(MADE_UP)))
    async with running(settings(data_dir, origin)) as proxy:
        await proxy.call(sent)
        await proxy.only()
        assert verdicts_of(proxy) == {("tool_calls", "would_block"): 1}
    _, events = await asyncio.to_thread(read_spool, data_dir)
    (event,) = [each for each in events if each.policy == "tool_calls"]
    assert (event.type, event.action, event.reason, event.run_id) == ("tool_call", "would_block", "unknown_tool", "r1")  # fmt: skip
    assert event.detail.startswith("the answer calls a tool that the request does not offer (it offers f, g)")  # fmt: skip


async def test_the_verdict_that_weighs_most_stands_in_the_row(
    data_dir: Path, origin: RawOrigin
):
    family, sent = asked("openai_chat streamed")
    origin.handler = always(streamed(family, family.answer(MADE_UP)))
    made = governed(data_dir, origin, caps={"steps": 1, "warn_share": None}, tool_calls={"when": [{"agent": "careful", "mode": "enforce"}]})  # fmt: skip
    async with running(made) as proxy:
        for target in (b"", b"", b"/agent/careful"):
            await proxy.call(sent.replace(b"/run/", target + b"/run/", 1))
        rows = await proxy.ended(3)
    found = [verdict_of(each) for each in sorted(rows, key=lambda each: each.open.ts_us)]  # fmt: skip
    assert found == [
        ("tool_calls", "would_block", "unknown_tool"),
        ("caps", "would_block", "step_limit"),
        ("tool_calls", "block", "unknown_tool"),
    ]


@pytest.mark.parametrize("name", WHOLE)
async def test_a_whole_answer_with_good_calls_is_given_as_it_came(
    name: str, data_dir: Path, origin: RawOrigin
):
    got, said, row = await call(name, GOOD, data_dir, origin, mode="enforce")
    assert (got.status, got.body) == (200, said)
    assert got.get(b"content-length") == str(len(said)).encode()
    assert verdict_of(row) == ("", "", "")
    assert "held" in row.close.altered or name == "mistral_conversations"
    assert row.end.outcome == "completed"


@pytest.mark.parametrize("coding", [b"", b"gzip"], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", [each for each in WHOLE if each != "mistral_conversations"])  # fmt: skip
async def test_of_a_whole_answer_with_a_bad_call_the_agent_gets_an_error_instead(
    name: str, coding: bytes, data_dir: Path, origin: RawOrigin
):
    family, sent = asked(name)
    said = family.answer(MADE_UP)
    headers = [(b"content-type", b"application/json")]
    if coding:
        said = gzip.compress(said)
        headers.append((b"content-encoding", coding))
    origin.handler = always(response(said, *headers))
    async with running(settings(data_dir, origin, mode="enforce")) as proxy:
        got = await proxy.call(sent)
        row = await proxy.only()
    assert got.status == 400
    assert got.get(b"x-should-retry") == b"false"
    assert got.get(b"x-tacho-verdict") == b"block;policy=tool_calls;reason=unknown_tool"
    assert b"that the request does not offer (it offers f, g)" in got.body
    assert verdict_of(row) == ("tool_calls", "block", "unknown_tool")
    assert {"held", "blocked_call"} <= set(row.close.altered)
    # It was answered, and is billed: tokens and dollars stay.
    assert (row.end.outcome, row.end.error_type, row.close.http_status) == ("blocked", "invalid_request", 200)  # fmt: skip


async def test_what_was_billed_stays_in_the_row(data_dir: Path, origin: RawOrigin):
    family, sent = asked("openai_chat")
    said = json.loads(family.answer(MADE_UP))
    said |= {"model": "gpt-4o", "usage": {"prompt_tokens": 1000, "completion_tokens": 100}}  # fmt: skip
    origin.handler = always(response(json.dumps(said).encode(), (b"content-type", b"application/json")))  # fmt: skip
    async with running(settings(data_dir, origin, mode="enforce")) as proxy:
        assert (await proxy.call(sent)).status == 400
        row = await proxy.only()
    assert (row.close.usage.input, row.close.usage.output) == (1000, 100)
    assert (row.close.usage_source, row.close.cost.total()) == ("provider", 3_500_000_000)  # fmt: skip


async def test_a_whole_answer_that_is_too_long_to_be_held_passes_and_is_counted(
    data_dir: Path, origin: RawOrigin
):
    family, sent = asked("openai_chat")
    said = family.answer([("h", json.dumps({"x": "1" * 70_000}))])
    origin.handler = always(response(said, (b"content-type", b"application/json")))
    made = settings(data_dir, origin, mode="enforce")
    made = replace(made, limits=replace(made.limits, meter_buffer_bytes=60_000))
    async with running(made) as proxy:
        got = await proxy.call(sent)
        row = await proxy.only()
    assert (got.status, got.body) == (200, said)
    assert verdict_of(row) == ("tool_calls", "would_block", "unknown_tool")


@pytest.mark.parametrize("mode", ["observe", "enforce"])
async def test_where_streams_may_be_held_they_are_asked_for_without_a_coding(
    mode: str, data_dir: Path, origin: RawOrigin
):
    family, sent = asked("anthropic_messages streamed")
    origin.handler = always(streamed(family, family.answer(GOOD)))
    made = settings(data_dir, origin, mode=mode)
    async with running(made) as proxy:
        await proxy.call(sent.replace(b"\r\n", b"\r\nAccept-Encoding: gzip, br\r\n", 1))
        row = await proxy.only()
    is_held = mode == "enforce"
    coding = b"identity" if is_held else b"gzip, br"
    assert origin.requests[0].get(b"accept-encoding") == coding
    assert ("identity_asked" in row.close.altered) == is_held


@pytest.mark.parametrize("calls", [GOOD, UNFIT], ids=["good", "bad"])
@pytest.mark.parametrize("name", STREAMED)
async def test_however_a_stream_is_sliced_the_agent_gets_the_same(
    name: str, calls: Any, data_dir: Path, origin: RawOrigin
):
    family, sent = asked(name)
    said = family.answer(calls)
    pieces = [said[at : at + 7] for at in range(0, len(said), 7)]
    whole = head_of(family.content_type) + b"".join(map(chunk, pieces)) + LAST_CHUNK
    got = []
    for answer in (streamed(family, said), whole):
        origin.handler = always(answer)
        async with running(settings(data_dir, origin, mode="enforce")) as proxy:
            got.append((await proxy.call(sent)).body)
    assert got[0] == got[1]
    assert (got[0] == said) == (calls is GOOD)
