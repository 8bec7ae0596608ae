"""Requests that offer tools and answers that call them, in every family's own words, made for tests.

What lives here: the words. What does not: what is wrong with a call, or found of it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from proxy.meter.dialect import Head
from proxy.meter.dialects import recognise
from proxy.meter.tee import Tee
from proxy.model import Kind, Reading
from tests.helpers.eventstream import event

Tool = tuple[str, dict[str, Any]]
"""Name and schema."""
Call = tuple[str, str]
"""Name and arguments as they stand on the wire."""
EVENTS = "text/event-stream"
JSON = "application/json"
AWS = "application/vnd.amazon.eventstream"
NDJSON = "application/x-ndjson"


def written(value: Any) -> bytes:
    return json.dumps(value).encode()


def sse(*events: Any) -> bytes:
    """Write events; each has its type as name where it says one."""
    lines = []
    for each in events:
        name = f"event: {each['type']}\n" if "type" in each else ""
        lines.append(f"{name}data: {json.dumps(each)}\n\n".encode())
    return b"".join(lines)


def halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


@dataclass(frozen=True)
class Family:
    """How one family asks and answers."""

    path: str
    request: Callable[[list[Tool]], dict[str, Any]]
    answer: Callable[[list[Call]], bytes]
    content_type: str = JSON
    is_text: bool = True
    """Arguments are text on the wire, so that they may be no JSON."""
    more: dict[str, Any] = field(default_factory=dict)
    """Further members of the request."""

    def body(self, tools: list[Tool], **more: Any) -> bytes:
        return written({**self.request(tools), **self.more, **more})

    def read(self, body: bytes, answer: bytes) -> Reading:
        """Read an answer as the pipeline would."""
        dialect, operation = recognise(Kind.LLM, "", "POST", self.path)
        ask = dialect.read_request(operation, body)
        tee = Tee(dialect.reader(ask, Head(200, self.content_type)), "", 1 << 24)
        tee.feed(answer)
        assert tee.failures == 0
        return tee.reading()


# Requests.


def functions(tools: list[Tool]) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": n, "description": "Does it.", "parameters": s}} for n, s in tools]  # fmt: skip


def chat(tools: list[Tool]) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": functions(tools)}  # fmt: skip


def legacy(tools: list[Tool]) -> dict[str, Any]:
    return {"model": "m", "messages": [], "functions": [{"name": n, "parameters": s} for n, s in tools]}  # fmt: skip


def responses(tools: list[Tool]) -> dict[str, Any]:
    return {"model": "m", "input": "hi", "tools": [{"type": "function", "name": n, "parameters": s, "strict": True} for n, s in tools]}  # fmt: skip


def messages(tools: list[Tool]) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [], "tools": [{"name": n, "input_schema": s} for n, s in tools]}  # fmt: skip


def converse(tools: list[Tool]) -> dict[str, Any]:
    specs = [{"toolSpec": {"name": n, "inputSchema": {"json": s}}} for n, s in tools]
    return {"messages": [], "toolConfig": {"tools": [*specs, {"cachePoint": {"type": "default"}}]}}  # fmt: skip


def upper(schema: Any) -> Any:
    """Write a schema as Google's interfaces do."""
    if isinstance(schema, dict):
        return {k: v.upper() if k == "type" and isinstance(v, str) else upper(v) for k, v in schema.items() if k != "additionalProperties"}  # fmt: skip
    return schema


def gemini(tools: list[Tool]) -> dict[str, Any]:
    declared = [{"name": n, "parameters": upper(s)} for n, s in tools]
    return {"contents": [], "tools": [{"functionDeclarations": declared}, {"googleSearch": {}}]}  # fmt: skip


def gemini_json(tools: list[Tool]) -> dict[str, Any]:
    declared = [{"name": n, "parametersJsonSchema": s} for n, s in tools]
    return {"contents": [], "tools": [{"function_declarations": declared}]}


def cohere_v1(tools: list[Tool]) -> dict[str, Any]:
    names = {"string": "str", "integer": "int"}
    return {
        "model": "m",
        "message": "hi",
        "tools": [
            {
                "name": name,
                "parameter_definitions": {
                    member: {"type": names[said["type"]], "required": member in schema["required"]}
                    for member, said in schema["properties"].items()
                },
            }
            for name, schema in tools
        ],
    }  # fmt: skip


# Answers.


def chat_answer(calls: list[Call]) -> bytes:
    said = [{"id": f"call_{i}aZbYcXdWeV", "type": "function", "function": {"name": n, "arguments": a}} for i, (n, a) in enumerate(calls)]  # fmt: skip
    return written({"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": None, "tool_calls": said}}]})  # fmt: skip


def chat_stream(calls: list[Call]) -> bytes:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}  # fmt: skip

    chunks = []
    for i, (name, arguments) in enumerate(calls):
        chunks.append(chunk({"tool_calls": [{"index": i, "id": f"call_{i}aZbYcXdWeV", "function": {"name": name, "arguments": ""}}]}))  # fmt: skip
        chunks += [chunk({"tool_calls": [{"index": i, "function": {"arguments": half}}]}) for half in halves(arguments)]  # fmt: skip
    return sse(*chunks, chunk({}, "tool_calls")) + b"data: [DONE]\n\n"


def legacy_answer(calls: list[Call]) -> bytes:
    name, arguments = calls[0]
    message = {"role": "assistant", "content": None, "function_call": {"name": name, "arguments": arguments}}  # fmt: skip
    return written({"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "function_call", "message": message}]})  # fmt: skip


def response(calls: list[Call]) -> dict[str, Any]:
    items = [{"type": "function_call", "id": f"fc_{i}", "call_id": f"call_{i}aZbYcXdWeV", "name": n, "arguments": a} for i, (n, a) in enumerate(calls)]  # fmt: skip
    return {"id": "resp_1", "model": "m", "status": "completed", "output": [{"type": "reasoning", "summary": []}, *items]}  # fmt: skip


def responses_answer(calls: list[Call]) -> bytes:
    return written(response(calls))


def responses_stream(calls: list[Call]) -> bytes:
    events: list[dict[str, Any]] = []
    for i, item in enumerate(response(calls)["output"]):
        events.append({"type": "response.output_item.added", "output_index": i, "item": {**item, "arguments": ""}})  # fmt: skip
        events += [{"type": "response.function_call_arguments.delta", "output_index": i, "delta": half} for half in halves(item.get("arguments", ""))]  # fmt: skip
        events.append({"type": "response.output_item.done", "output_index": i, "item": item})  # fmt: skip
    return sse(*events, {"type": "response.completed", "response": response(calls)})


def messages_answer(calls: list[Call]) -> bytes:
    blocks = [{"type": "tool_use", "id": f"toolu_{i}aZbYcXdWeV", "name": n, "input": json.loads(a)} for i, (n, a) in enumerate(calls)]  # fmt: skip
    return written({"id": "msg_1", "type": "message", "model": "m", "stop_reason": "tool_use", "content": blocks})  # fmt: skip


def messages_stream(calls: list[Call]) -> bytes:
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": []}}]  # fmt: skip
    for i, (name, arguments) in enumerate(calls):
        block = {"type": "tool_use", "id": f"toolu_{i}aZbYcXdWeV", "name": name, "input": {}}  # fmt: skip
        events.append({"type": "content_block_start", "index": i, "content_block": block})  # fmt: skip
        events += [{"type": "content_block_delta", "index": i, "delta": {"type": "input_json_delta", "partial_json": half}} for half in halves(arguments)]  # fmt: skip
        events.append({"type": "content_block_stop", "index": i})
    return sse(*events, {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, {"type": "message_stop"})  # fmt: skip


def converse_answer(calls: list[Call]) -> bytes:
    blocks = [{"toolUse": {"toolUseId": f"tooluse_{i}aZbYcXdWeV", "name": n, "input": json.loads(a)}} for i, (n, a) in enumerate(calls)]  # fmt: skip
    return written({"output": {"message": {"role": "assistant", "content": blocks}}, "stopReason": "tool_use"})  # fmt: skip


def converse_stream(calls: list[Call]) -> bytes:
    frames = [event("messageStart", role="assistant")]
    for i, (name, arguments) in enumerate(calls):
        use = {"toolUseId": f"tooluse_{i}aZbYcXdWeV", "name": name}
        frames.append(event("contentBlockStart", contentBlockIndex=i, start={"toolUse": use}))  # fmt: skip
        frames += [event("contentBlockDelta", contentBlockIndex=i, delta={"toolUse": {"input": half}}) for half in halves(arguments)]  # fmt: skip
        frames.append(event("contentBlockStop", contentBlockIndex=i))
    frames.append(event("messageStop", stopReason="tool_use"))
    frames.append(event("metadata", usage={"inputTokens": 1, "outputTokens": 1}))
    return b"".join(frames)


def gemini_answer(calls: list[Call]) -> bytes:
    parts = [{"functionCall": {"name": n, "args": json.loads(a)}} for n, a in calls]
    return written({"responseId": "r", "modelVersion": "m", "candidates": [{"index": 0, "finishReason": "STOP", "content": {"parts": parts}}]})  # fmt: skip


def interactions_answer(calls: list[Call]) -> bytes:
    steps = [{"type": "function_call", "id": f"{i}aZbYcXdWeV", "name": n, "arguments": json.loads(a)} for i, (n, a) in enumerate(calls)]  # fmt: skip
    return written({"id": "i", "model": "m", "status": "requires_action", "steps": steps})  # fmt: skip


def cohere_v1_answer(calls: list[Call]) -> bytes:
    said = [{"name": n, "parameters": json.loads(a)} for n, a in calls]
    return written({"response_id": "r", "generation_id": "g", "text": "", "finish_reason": "COMPLETE", "tool_calls": said})  # fmt: skip


def cohere_v2_answer(calls: list[Call]) -> bytes:
    said = [{"id": f"{n}_{i}aZbYcXdWeV", "type": "function", "function": {"name": n, "arguments": a}} for i, (n, a) in enumerate(calls)]  # fmt: skip
    return written({"id": "r", "finish_reason": "TOOL_CALL", "message": {"role": "assistant", "tool_plan": "", "tool_calls": said}})  # fmt: skip


def ollama_answer(calls: list[Call]) -> bytes:
    said = [{"function": {"name": n, "arguments": json.loads(a)}} for n, a in calls]
    return written({"model": "m", "message": {"role": "assistant", "content": "", "tool_calls": said}, "done": True, "done_reason": "stop"}) + b"\n"  # fmt: skip


def conversation_answer(calls: list[Call]) -> bytes:
    outputs = [{"type": "function.call", "tool_call_id": f"{i}aZbYcXdWeV", "name": n, "arguments": a} for i, (n, a) in enumerate(calls)]  # fmt: skip
    return written({"conversation_id": "c", "outputs": outputs, "usage": {"prompt_tokens": 1, "completion_tokens": 1}})  # fmt: skip


FAMILIES = {
    "openai_chat": Family("/v1/chat/completions", chat, chat_answer),
    "openai_chat streamed": Family("/v1/chat/completions", chat, chat_stream, EVENTS, more={"stream": True}),
    "openai_chat functions": Family("/v1/chat/completions", legacy, legacy_answer),
    "openai_responses": Family("/v1/responses", responses, responses_answer),
    "openai_responses streamed": Family("/v1/responses", responses, responses_stream, EVENTS, more={"stream": True}),
    "anthropic_messages": Family("/v1/messages", messages, messages_answer, is_text=False),
    "anthropic_messages streamed": Family("/v1/messages", messages, messages_stream, EVENTS, more={"stream": True}),
    "bedrock_converse": Family("/model/amazon.nova-lite-v1:0/converse", converse, converse_answer, is_text=False),
    "bedrock_converse streamed": Family("/model/amazon.nova-lite-v1:0/converse-stream", converse, converse_stream, AWS),
    "bedrock_invoke": Family("/model/anthropic.claude-3-haiku-20240307-v1:0/invoke", messages, messages_answer, is_text=False),
    "gemini_generate": Family("/v1beta/models/gemini-2.5-pro:generateContent", gemini, gemini_answer, is_text=False),
    "gemini_generate json": Family("/v1beta/models/gemini-2.5-pro:generateContent", gemini_json, gemini_answer, is_text=False),
    "gemini_interactions": Family("/v1beta/interactions", responses, interactions_answer, is_text=False),
    "cohere_v1": Family("/v1/chat", cohere_v1, cohere_v1_answer, is_text=False),
    "cohere_v2": Family("/v2/chat", chat, cohere_v2_answer),
    "ollama": Family("/api/chat", chat, ollama_answer, NDJSON, is_text=False),
    "mistral_conversations": Family("/v1/conversations", chat, conversation_answer),
}  # fmt: skip
