"""A model is asked once more where its calls cannot work: the agent sees a valid call after one request of its own."""

import gzip
import json
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from msgspec.structs import replace

from proxy.config import RouteSettings, Settings
from tests.end_to_end.test_governors import governed
from tests.helpers.counted import dropped
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy, running
from tests.helpers.records import Recorded
from tests.helpers.wire import LAST_CHUNK, STREAM_HEAD, chunk, request, response

pytestmark = [
    pytest.mark.blocking_allowed,  # SDKs read certificates and the platform
    pytest.mark.filterwarnings("ignore:The model .* is deprecated"),
    pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:pydantic.warnings.PydanticDeprecatedSince20"),
]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}  # fmt: skip
BAD, GOOD = ("forecast", {"city": "Bern"}), ("weather", {"city": "Bern"})
CHAT_TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]  # fmt: skip
CLAUDE_TOOLS: Any = [{"name": "weather", "input_schema": SCHEMA}]
RESPONSE_TOOLS: Any = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": True}]  # fmt: skip
ASKED: Any = [{"role": "user", "content": "How is the weather in Bern?"}]
Call = tuple[str, dict[str, Any]]


def settings(data_dir: Path, origin: RawOrigin, **policies: Any) -> Settings:
    made = governed(data_dir, origin, tool_calls={"mode": "enforce", "action": "repair"}, **policies)  # fmt: skip
    google = RouteSettings(url=origin.url, provider="google")
    return replace(made, routes={**made.routes, "google": google})


def events(*said: Any, done: bool = False) -> list[bytes]:
    made = []
    for each in said:
        name = f"event: {each['type']}\n" if "type" in each else ""
        made.append(f"{name}data: {json.dumps(each)}\n\n".encode())
    return [*made, b"data: [DONE]\n\n"] if done else made


# What the providers say: text, then a call.


def chat(number: int, call: Call | None, text: str, stream: bool) -> Any:
    name, arguments = call or ("", {})
    calls = [{"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}]  # fmt: skip
    reason = "tool_calls" if call else "stop"
    base = {"id": f"chatcmpl-{number}", "created": number, "model": "gpt-4o", "object": "chat.completion"}  # fmt: skip
    usage = {"prompt_tokens": 10 * number, "completion_tokens": number, "total_tokens": 11 * number}  # fmt: skip
    if not stream:
        message = {"role": "assistant", "content": text, **({"tool_calls": calls} if call else {})}  # fmt: skip
        return {**base, "choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage}  # fmt: skip

    def delta(said: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**base, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": said, "finish_reason": finish}], "usage": None}  # fmt: skip

    begun = [delta({"role": "assistant", "content": ""}), *([delta({"content": text})] if text else [])]  # fmt: skip
    asked: list[Any] = []
    if call:
        first = {"index": 0, **calls[0], "function": {"name": name, "arguments": ""}}
        asked = [delta({"tool_calls": [first]})]
        asked += [delta({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in (json.dumps(arguments)[:5], json.dumps(arguments)[5:])]  # fmt: skip
    return events(*begun, *asked, delta({}, reason), {**base, "choices": [], "usage": usage}, done=True)  # fmt: skip


def message(number: int, call: Call | None, text: str, stream: bool) -> Any:
    name, arguments = call or ("", {})
    base = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "stop_sequence": None}  # fmt: skip
    usage = {"input_tokens": 10 * number, "output_tokens": number}
    reason = "tool_use" if call else "end_turn"
    thought = {"type": "thinking", "thinking": "Hm.", "signature": f"sig{number}"}
    blocks: list[dict[str, Any]] = [thought, {"type": "text", "text": text}] if text else []  # fmt: skip
    blocks += [{"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}] if call else []  # fmt: skip
    if not stream:
        return {**base, "content": blocks, "stop_reason": reason, "usage": usage}
    said: list[Any] = [{"type": "message_start", "message": {**base, "content": [], "stop_reason": None, "usage": usage}}, {"type": "ping"}]  # fmt: skip
    empty: Any = {"thinking": {"type": "thinking", "thinking": "", "signature": ""}, "text": {"type": "text", "text": ""}}  # fmt: skip
    for at, block in enumerate(blocks):
        said.append({"type": "content_block_start", "index": at, "content_block": empty.get(block["type"], {**block, "input": {}})})  # fmt: skip
        deltas: Any = {
            "thinking": [{"type": "thinking_delta", "thinking": "Hm."}, {"type": "signature_delta", "signature": f"sig{number}"}],
            "text": [{"type": "text_delta", "text": text}],
            "tool_use": [{"type": "input_json_delta", "partial_json": piece} for piece in (json.dumps(arguments)[:4], json.dumps(arguments)[4:])],
        }  # fmt: skip
        said += [{"type": "content_block_delta", "index": at, "delta": each} for each in deltas[block["type"]]]  # fmt: skip
        said.append({"type": "content_block_stop", "index": at})
    said += [{"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": number}}, {"type": "message_stop"}]  # fmt: skip
    return events(*said)


def responded(number: int, call: Call | None, text: str, stream: bool) -> Any:
    name, arguments = call or ("", {})
    item: Any = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": name, "arguments": json.dumps(arguments), "status": "completed"}  # fmt: skip
    said: Any = {"type": "message", "id": f"m_{number}", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]}  # fmt: skip
    output: list[Any] = [*([said] if text else []), *([item] if call else [])]
    usage = {"input_tokens": 10 * number, "output_tokens": number, "total_tokens": 11 * number, "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip
    whole = {"id": f"resp_{number}", "object": "response", "created_at": 1, "model": "gpt-4o", "status": "completed", "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage}  # fmt: skip
    if not stream:
        return whole
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    made: list[Any] = [{"type": "response.created", "response": begun}]
    for at, each in enumerate(output):
        start = {**each, **({"arguments": ""} if each is item else {"content": []})}
        made.append({"type": "response.output_item.added", "output_index": at, "item": start})  # fmt: skip
        if each is item:
            made.append({"type": "response.function_call_arguments.delta", "output_index": at, "item_id": f"fc_{number}", "delta": item["arguments"]})  # fmt: skip
            made.append({"type": "response.function_call_arguments.done", "output_index": at, "item_id": f"fc_{number}", "name": name, "arguments": item["arguments"]})  # fmt: skip
        else:
            part = {"output_index": at, "content_index": 0, "item_id": f"m_{number}"}
            made.append({"type": "response.content_part.added", **part, "part": {"type": "output_text", "text": "", "annotations": []}})  # fmt: skip
            made.append({"type": "response.output_text.delta", **part, "delta": text, "logprobs": []})  # fmt: skip
            made.append({"type": "response.output_text.done", **part, "text": text, "logprobs": []})  # fmt: skip
            made.append({"type": "response.content_part.done", **part, "part": each["content"][0]})  # fmt: skip
        made.append({"type": "response.output_item.done", "output_index": at, "item": each})  # fmt: skip
    made.append({"type": "response.completed", "response": whole})
    return events(*({**each, "sequence_number": at} for at, each in enumerate(made)))


def gemini(number: int, call: Call | None, text: str, stream: bool) -> Any:
    parts: list[dict[str, Any]] = [{"text": text}] if text else []
    if call:
        parts.append({"functionCall": {"name": call[0], "args": call[1]}, "thoughtSignature": "c2ln"})  # fmt: skip
    usage = {"promptTokenCount": 10 * number, "candidatesTokenCount": number, "totalTokenCount": 11 * number}  # fmt: skip
    base = {"responseId": f"r{number}", "modelVersion": "gemini-2.5-flash"}
    if not stream:
        return {**base, "candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}], "usageMetadata": usage}  # fmt: skip
    made: list[Any] = [{**base, "candidates": [{"index": 0, "content": {"role": "model", "parts": [each]}}]} for each in parts]  # fmt: skip
    made[-1]["candidates"][0]["finishReason"] = "STOP"
    made[-1]["usageMetadata"] = usage
    return events(*made)


SAYING = {"/chat/completions": chat, "/messages": message, "/responses": responded, ":generateContent": gemini, ":streamGenerateContent": gemini}  # fmt: skip


def scripted(origin: RawOrigin, *answers: tuple[Call | None, str] | bytes) -> None:
    """Have the upstream give these answers one after the other, as each family has them."""
    left = list(enumerate(answers, 1))

    async def answer(exchange: Exchange) -> None:
        number, script = left.pop(0)
        if isinstance(script, bytes):
            await exchange.send(script)
            return
        path = exchange.request.target.decode().partition("?")[0]
        say = next(say for end, say in SAYING.items() if path.endswith(end))
        asked = json.loads(exchange.request.body)
        stream = bool(asked.get("stream")) or "stream" in path.rpartition(":")[2]
        said = say(number, *script, stream)
        if stream:
            await exchange.send(STREAM_HEAD, *map(chunk, said), LAST_CHUNK)
        else:
            await exchange.send(response(json.dumps(said).encode(), (b"content-type", b"application/json")))  # fmt: skip

    origin.handler = answer


# What agents see, through the official SDKs: text, calls, usage of input.

Seen = tuple[str, list[Call], int]


async def by_chat(proxy: Proxy, how: str) -> Seen:
    url = f"http://127.0.0.1:{proxy.port}/run/r1/openai/v1"
    asked: Any = {"model": "gpt-4o", "messages": ASKED, "tools": CHAT_TOOLS}
    async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
        if how == "helper":
            async with client.chat.completions.stream(**asked) as stream:
                said = await stream.get_final_completion()
        elif how == "streamed":
            ids, text = set(), ""
            calls: dict[int, list[str]] = {}
            async for piece in await client.chat.completions.create(**asked, stream=True):  # fmt: skip
                ids.add(piece.id)
                for choice in piece.choices:
                    text += choice.delta.content or ""
                    for call in choice.delta.tool_calls or ():
                        kept = calls.setdefault(call.index, ["", ""])
                        kept[0] += call.function.name or ""
                        kept[1] += call.function.arguments or ""
            assert len(ids) == 1
            return text, [(name, json.loads(arguments)) for name, arguments in calls.values()], 0  # fmt: skip
        else:
            said = await client.chat.completions.create(**asked)
    made = said.choices[0].message
    assert made.role == "assistant"
    calls_made: Any = made.tool_calls or []
    usage = said.usage.prompt_tokens if said.usage else 0
    return made.content or "", [(each.function.name, json.loads(each.function.arguments)) for each in calls_made], usage  # fmt: skip


async def by_messages(proxy: Proxy, how: str) -> Seen:
    url = f"http://127.0.0.1:{proxy.port}/run/r1/anthropic"
    asked: Any = {"model": "claude-sonnet-4-5", "max_tokens": 99, "messages": ASKED, "tools": CLAUDE_TOOLS}  # fmt: skip
    async with anthropic.AsyncAnthropic(base_url=url, api_key="k") as client:
        if how == "whole":
            said = await client.messages.create(**asked)
        else:
            async with client.messages.stream(**asked) as stream:
                if how == "streamed":
                    places = [each.index async for each in stream if each.type == "content_block_stop"]  # fmt: skip
                    assert places == list(range(len(places)))
                said = await stream.get_final_message()
    text = "".join(each.text for each in said.content if each.type == "text")
    return text, [(each.name, dict(each.input)) for each in said.content if each.type == "tool_use"], said.usage.input_tokens  # fmt: skip


async def by_responses(proxy: Proxy, how: str) -> Seen:
    url = f"http://127.0.0.1:{proxy.port}/run/r1/openai/v1"
    asked: Any = {"model": "gpt-4o", "input": "How is the weather in Bern?", "tools": RESPONSE_TOOLS}  # fmt: skip
    async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
        if how == "whole":
            said = await client.responses.create(**asked)
        elif how == "helper":
            async with client.responses.stream(**asked) as stream:
                said = await stream.get_final_response()
        else:
            numbers = []
            async for each in await client.responses.create(**asked, stream=True):
                numbers.append(each.sequence_number)
            assert numbers == list(range(len(numbers)))
            said = each.response
    calls: Any = [each for each in said.output if each.type == "function_call"]
    return said.output_text, [(each.name, json.loads(each.arguments)) for each in calls], said.usage.input_tokens  # fmt: skip


async def by_gemini(proxy: Proxy, how: str) -> Seen:
    options: Any = {"base_url": f"http://127.0.0.1:{proxy.port}/run/r1/google"}
    client = genai.Client(api_key="k", http_options=options)
    config: Any = {"tools": [{"function_declarations": [{"name": "weather", "parameters_json_schema": SCHEMA}]}]}  # fmt: skip
    asked: Any = {"model": "gemini-2.5-flash", "contents": "How is the weather in Bern?", "config": config}  # fmt: skip
    if how == "whole":
        said: Any = [await client.aio.models.generate_content(**asked)]
    else:
        said = [each async for each in await client.aio.models.generate_content_stream(**asked)]  # fmt: skip
    await client.aio.aclose()
    parts = [part for each in said for part in each.candidates[0].content.parts]
    text = "".join(part.text or "" for part in parts)
    calls = [(part.function_call.name, dict(part.function_call.args)) for part in parts if part.function_call]  # fmt: skip
    return text, calls, said[-1].usage_metadata.prompt_token_count


SDKS: Any = {"chat": by_chat, "messages": by_messages, "responses": by_responses, "gemini": by_gemini}  # fmt: skip
WAYS = ["whole", "streamed", "helper"]


def verdict_of(row: Recorded) -> tuple[str, str, str]:
    return row.close.verdict_policy, row.close.verdict_action, row.close.verdict_reason


@pytest.mark.parametrize("text", ["", "Let me see. "], ids=["call alone", "text first"])
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", SDKS)
async def test_the_agent_sees_a_valid_call_after_one_request_of_its_own(
    name: str, how: str, text: str, data_dir: Path, origin: RawOrigin
):
    scripted(origin, (BAD, text), (GOOD, text))
    async with running(settings(data_dir, origin)) as proxy:
        seen_text, calls, _ = await SDKS[name](proxy, how)
        first, second = sorted(await proxy.ended(2), key=lambda each: each.open.attempt)
        lost = dropped(proxy.worker)
    assert (seen_text, calls) == (text, [GOOD])
    assert not [reason for reason in lost if "fault" in reason or "call" in reason]
    assert len(origin.requests) == 2
    assert (first.end.outcome, second.end.outcome) == ("blocked", "completed")
    assert verdict_of(first) == ("tool_calls", "block", "unknown_tool")
    assert verdict_of(second) == ("tool_calls", "repaired", "unknown_tool")
    assert (first.open.step_id, second.open.retry_layer) == (second.open.step_id, "proxy")  # fmt: skip
    assert [each.close.usage.input for each in (first, second)] == [10, 20]
    assert all(each.close.cost.total() for each in (first, second))
    assert {"held", "blocked_call"} <= set(first.close.altered)
    assert {"held", "reasked"} <= set(second.close.altered)
    told = origin.requests[1].body
    assert b"there is no tool of this name. The tools are: weather." in told
    assert b"How is the weather in Bern?" in told


async def ask(
    proxy: Proxy, name: str, how: str, error: type[Exception] | tuple[type[Exception], ...]
) -> str:  # fmt: skip
    """Make a call that is refused; give what the SDK's user reads."""
    with pytest.raises(error) as raised:
        await SDKS[name](proxy, how)
    return str(raised.value)


ERRORS: Any = {
    "chat": openai.APIError,
    "messages": anthropic.APIStatusError,
    "responses": openai.APIError,
    "gemini": genai.errors.APIError,
}
OUTAGE = response(b"{}", (b"content-type", b"application/json"), status=b"500 Internal Server Error")  # fmt: skip


@pytest.mark.parametrize("how", ["whole", "streamed"])
@pytest.mark.parametrize("name", SDKS)
async def test_a_second_answer_that_is_bad_as_well_is_blocked(
    name: str, how: str, data_dir: Path, origin: RawOrigin
):
    scripted(origin, (BAD, "Let me see. "), (BAD, "And again. "))
    async with running(settings(data_dir, origin)) as proxy:
        said = await ask(proxy, name, how, ERRORS[name])
        rows = await proxy.ended(2)
    assert "a tool that the request does not offer" in said
    assert [each.end.outcome for each in rows] == ["blocked", "blocked"]
    assert {verdict_of(each) for each in rows} == {("tool_calls", "block", "unknown_tool")}  # fmt: skip
    assert len(origin.requests) == 2


@pytest.mark.parametrize("how", ["whole", "streamed"])
@pytest.mark.parametrize("name", ["chat", "messages", "responses"])
async def test_where_the_second_request_fails_the_first_answer_is_blocked(
    name: str, how: str, data_dir: Path, origin: RawOrigin
):
    scripted(origin, (BAD, "Let me see. "), OUTAGE)
    async with running(settings(data_dir, origin)) as proxy:
        said = await ask(proxy, name, how, ERRORS[name])
        rows = sorted(await proxy.ended(2), key=lambda each: each.open.attempt)
    assert "a tool that the request does not offer" in said
    assert [each.end.outcome for each in rows] == ["blocked", "upstream_error"]


@pytest.mark.parametrize("how", ["whole", "streamed"])
async def test_where_the_policies_refuse_the_second_request_the_first_answer_is_blocked(
    how: str, data_dir: Path, origin: RawOrigin
):
    scripted(origin, (BAD, "Let me see. "))
    made = settings(data_dir, origin, caps={"mode": "enforce", "attempts": 1})
    async with running(made) as proxy:
        said = await ask(proxy, "chat", how, openai.APIError)
        (row,) = await proxy.ended(1)
    assert "a tool that the request does not offer" in said
    assert row.end.outcome == "blocked"
    assert len(origin.requests) == 1


@pytest.mark.parametrize("name", ["chat", "messages", "responses", "gemini"])
async def test_a_second_answer_without_calls_is_the_answer(
    name: str, data_dir: Path, origin: RawOrigin
):
    scripted(origin, (BAD, "Let me see. "), (None, "I cannot."))
    async with running(settings(data_dir, origin)) as proxy:
        text, calls, _ = await SDKS[name](proxy, "streamed")
    assert calls == []
    assert text == ("Let me see. I cannot." if name in ("chat", "messages") else "I cannot.")  # fmt: skip


@pytest.mark.parametrize("name", SDKS)
async def test_a_good_answer_is_asked_for_once(
    name: str, data_dir: Path, origin: RawOrigin
):
    scripted(origin, (GOOD, "Let me see. "))
    async with running(settings(data_dir, origin)) as proxy:
        text, calls, _ = await SDKS[name](proxy, "helper")
        row = await proxy.only()
    assert (text, calls) == ("Let me see. ", [GOOD])
    assert verdict_of(row) == ("", "", "")


@pytest.mark.parametrize("second", [b"{}", b"data: {\n\n"], ids=["JSON", "cut"])
async def test_what_is_no_stream_does_not_go_on_behind_one(
    second: bytes, data_dir: Path, origin: RawOrigin
):
    kind = b"application/json" if second == b"{}" else b"text/event-stream"
    scripted(origin, (BAD, "Let me see. "), response(second, (b"content-type", kind)))
    async with running(settings(data_dir, origin)) as proxy:
        await ask(proxy, "messages", "streamed", (anthropic.APIStatusError, AssertionError))  # fmt: skip
        await proxy.ended(2)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_the_next_call_goes_on_from_the_repaired_answer_in_the_same_run(
    stream: bool, data_dir: Path, origin: RawOrigin
):
    scripted(origin, (BAD, "Let me see. "), (GOOD, ""), (None, "Sunny."))
    call = {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": json.dumps(GOOD[1])}}  # fmt: skip
    history = [
        *ASKED,
        {"role": "assistant", "content": "Let me see. " if stream else "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_2", "content": "Sunny, 24 degrees."},
    ]  # fmt: skip
    async with running(settings(data_dir, origin)) as proxy:
        for messages in (ASKED, history):
            body = {"model": "gpt-4o", "messages": messages, "tools": CHAT_TOOLS, "stream": stream}  # fmt: skip
            sent = request(b"/openai/v1/chat/completions", (b"content-type", b"application/json"), method=b"POST", body=json.dumps(body).encode())  # fmt: skip
            got = await proxy.call(sent)
            assert (got.status, b"error" in got.body) == (200, False)
        rows = sorted(await proxy.ended(3), key=lambda each: each.open.ts_us)
    assert len({each.open.run_id for each in rows}) == 1
    assert rows[0].open.run_id
    assert [(each.open.step_seq, each.open.attempt) for each in rows] == [(1, 0), (1, 1), (2, 0)]  # fmt: skip


async def test_an_answer_in_a_coding_is_repaired_too(data_dir: Path, origin: RawOrigin):
    packed = gzip.compress(json.dumps(message(1, BAD, "Let me see. ", False)).encode())
    headers = ((b"content-type", b"application/json"), (b"content-encoding", b"gzip"))
    scripted(origin, response(packed, *headers), (GOOD, ""))
    async with running(settings(data_dir, origin)) as proxy:
        _, calls, _ = await by_messages(proxy, "whole")
    assert calls == [GOOD]
    assert b"Let me see. " in origin.requests[1].body


@pytest.mark.parametrize(
    ("place", "lost"),
    [("proxy.judge.reasks.reask", "fault_judge"), ("proxy.meter.grafts.graft", "fault_meter")],
)  # fmt: skip
async def test_where_repairing_fails_here_the_answer_is_blocked(
    place: str, lost: str, data_dir: Path, origin: RawOrigin, monkeypatch: pytest.MonkeyPatch
):  # fmt: skip
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(place, broken)
    scripted(origin, (BAD, "Let me see. "), (GOOD, ""))
    async with running(settings(data_dir, origin)) as proxy:
        said = await ask(proxy, "messages", "streamed", anthropic.APIStatusError)
        await proxy.all_ended()
        assert dropped(proxy.worker)[lost] == 1
    assert "a tool that the request does not offer" in said


async def test_a_second_answer_that_is_too_long_to_be_held_is_not_given(
    data_dir: Path, origin: RawOrigin
):
    scripted(origin, (BAD, "Let me see. "), (GOOD, "word " * 4000))
    made = settings(data_dir, origin)
    made = replace(made, limits=replace(made.limits, meter_buffer_bytes=8000))
    async with running(made) as proxy:
        said = await ask(proxy, "messages", "streamed", anthropic.APIStatusError)
        rows = sorted(await proxy.ended(2), key=lambda each: each.open.attempt)
    assert "a tool that the request does not offer" in said
    assert [each.end.outcome for each in rows] == ["blocked", "blocked"]
