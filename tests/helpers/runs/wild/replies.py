"""How each wire family answers, whole and streamed, as its provider's bytes.

What lives here: answers. What does not: requests (`families.py`).
"""

import json
from collections.abc import Iterable
from typing import Any

from tests.helpers.eventstream import chunk, event
from tests.helpers.runs.wild.said import Answer, Call

JSON = "application/json"
SSE = "text/event-stream"


def reply(shape: str, answer: Answer, *, stream: bool) -> tuple[str, bytes]:
    """Give the type and the bytes of an answer."""
    whole, pieces = _SHAPES[shape]
    if stream:
        return pieces(answer)
    return JSON, json.dumps(whole(answer)).encode()


def _pieces(text: str, size: int = 7) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _sse(events: Iterable[Any], *, named: bool = False, last: bytes = b"") -> tuple[str, bytes]:  # fmt: skip
    lines = b""
    for each in events:
        name = f"event: {each['type']}\n".encode() if named else b""
        lines += name + b"data: " + json.dumps(each).encode() + b"\n\n"
    return SSE, lines + last


def _text_args(call: Call) -> str:
    return json.dumps(call.args)


def _chat(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.thinking:
        message["reasoning_content"] = answer.thinking
    if answer.calls:
        message["tool_calls"] = [
            {"id": each.id, "type": "function", "function": {"name": each.name, "arguments": _text_args(each)}}
            for each in answer.calls
        ]  # fmt: skip
    finish = "tool_calls" if answer.calls else "stop"
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": answer.id, "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}  # fmt: skip


def _chat_stream(answer: Answer) -> tuple[str, bytes]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": each} for each in _pieces(answer.thinking)]
    deltas += [{"content": each} for each in _pieces(answer.text)]
    for at, each in enumerate(answer.calls):
        function = {"name": each.name, "arguments": ""}
        deltas.append({"tool_calls": [{"index": at, "id": each.id, "type": "function", "function": function}]})  # fmt: skip
        deltas += [{"tool_calls": [{"index": at, "function": {"arguments": part}}]} for part in _pieces(_text_args(each))]  # fmt: skip
    head = {"id": answer.id, "object": "chat.completion.chunk", "model": "m"}
    finish = "tool_calls" if answer.calls else "stop"
    events: list[Any] = [head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]  # fmt: skip
    events.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})  # fmt: skip
    return _sse(events, last=b"data: [DONE]\n\n")


def _responses(answer: Answer) -> dict[str, Any]:
    output: list[Any] = []
    if answer.signature:
        output.append({"type": "reasoning", "id": f"rs_{answer.id}", "summary": [], "encrypted_content": answer.signature})  # fmt: skip
    if answer.text:
        part = {"type": "output_text", "text": answer.text, "annotations": []}
        output.append({"type": "message", "id": f"msg_{answer.id}", "role": "assistant", "status": "completed", "content": [part]})  # fmt: skip
    output += [
        {"type": "function_call", "id": f"fc_{each.id}", "call_id": each.id, "name": each.name, "arguments": _text_args(each), "status": "completed"}
        for each in answer.calls
    ]  # fmt: skip
    usage = {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14}
    return {"id": answer.id, "object": "response", "model": "m", "status": "completed", "output": output, "usage": usage}  # fmt: skip


def _responses_stream(answer: Answer) -> tuple[str, bytes]:
    whole = _responses(answer)
    begun = whole | {"status": "in_progress", "output": [], "usage": None}
    events: list[Any] = [{"type": "response.created", "response": begun}]
    for at, item in enumerate(whole["output"]):
        events.append({"type": "response.output_item.added", "output_index": at, "item": item | {"arguments": "", "content": []}})  # fmt: skip
        if item["type"] == "message":
            events += [{"type": "response.output_text.delta", "item_id": item["id"], "output_index": at, "content_index": 0, "delta": part} for part in _pieces(answer.text)]  # fmt: skip
        if item["type"] == "function_call":
            events += [{"type": "response.function_call_arguments.delta", "item_id": item["id"], "output_index": at, "delta": part} for part in _pieces(item["arguments"])]  # fmt: skip
            events.append({"type": "response.function_call_arguments.done", "item_id": item["id"], "output_index": at, "arguments": item["arguments"]})  # fmt: skip
        events.append({"type": "response.output_item.done", "output_index": at, "item": item})  # fmt: skip
    events.append({"type": "response.completed", "response": whole})
    return _sse(events, named=True)


def _blocks(answer: Answer) -> list[Any]:
    blocks: list[Any] = []
    if answer.thinking:
        blocks.append({"type": "thinking", "thinking": answer.thinking, "signature": answer.signature})  # fmt: skip
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    return blocks + [{"type": "tool_use", "id": each.id, "name": each.name, "input": each.args} for each in answer.calls]  # fmt: skip


def _anthropic(answer: Answer) -> dict[str, Any]:
    stop = "tool_use" if answer.calls else "end_turn"
    usage = {"input_tokens": 9, "output_tokens": 5}
    return {"id": answer.id, "type": "message", "role": "assistant", "model": "m", "content": _blocks(answer), "stop_reason": stop, "usage": usage}  # fmt: skip


def _anthropic_events(answer: Answer) -> list[Any]:
    whole = _anthropic(answer)
    begun = whole | {"content": [], "stop_reason": None, "usage": {"input_tokens": 9, "output_tokens": 1}}  # fmt: skip
    events: list[Any] = [{"type": "message_start", "message": begun}]
    for at, block in enumerate(whole["content"]):
        kind = block["type"]
        blank: dict[str, Any] = {"input": {}} if kind == "tool_use" else {kind: ""}
        empty = block | blank
        events.append({"type": "content_block_start", "index": at, "content_block": empty})  # fmt: skip
        deltas: list[Any]
        if kind == "tool_use":
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in _pieces(json.dumps(block["input"]))]  # fmt: skip
        else:
            deltas = [{"type": f"{kind}_delta", kind: part} for part in _pieces(block[kind])]  # fmt: skip
        events += [{"type": "content_block_delta", "index": at, "delta": delta} for delta in deltas]  # fmt: skip
        events.append({"type": "content_block_stop", "index": at})
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    return [*events, {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 5}}, {"type": "message_stop"}]  # fmt: skip


def _anthropic_stream(answer: Answer) -> tuple[str, bytes]:
    return _sse(_anthropic_events(answer), named=True)


def _invoke_stream(answer: Answer) -> tuple[str, bytes]:
    events = _anthropic_events(answer)
    return "application/vnd.amazon.eventstream", b"".join(chunk(**each) for each in events)  # fmt: skip


def _gemini_parts(answer: Answer) -> list[Any]:
    parts: list[Any] = []
    if answer.thinking:
        parts.append({"text": answer.thinking, "thought": True})
    if answer.text:
        parts.append({"text": answer.text})
    for at, each in enumerate(answer.calls):
        part: dict[str, Any] = {"functionCall": {"name": each.name, "args": each.args}}
        if answer.signature and not at:
            part["thoughtSignature"] = answer.signature
        parts.append(part)
    return parts


def _gemini_of(answer: Answer, parts: list[Any], finish: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {
        "content": {"role": "model", "parts": parts},
        "index": 0,
    }
    if finish:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 14}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": answer.id}  # fmt: skip


def _gemini(answer: Answer) -> dict[str, Any]:
    return _gemini_of(answer, _gemini_parts(answer), "STOP")


def _gemini_stream(answer: Answer) -> tuple[str, bytes]:
    parts: list[Any] = []
    for part in _gemini_parts(answer):
        if "text" in part:
            parts += [part | {"text": piece} for piece in _pieces(part["text"])]
        else:
            parts.append(part)
    events = [_gemini_of(answer, [part], None) for part in parts]
    events.append(_gemini_of(answer, [{"text": ""}], "STOP"))
    return _sse(events)


def _converse(answer: Answer) -> dict[str, Any]:
    blocks: list[Any] = []
    if answer.thinking:
        text = {"text": answer.thinking, "signature": answer.signature}
        blocks.append({"reasoningContent": {"reasoningText": text}})
    if answer.text:
        blocks.append({"text": answer.text})
    blocks += [{"toolUse": {"toolUseId": each.id, "name": each.name, "input": each.args}} for each in answer.calls]  # fmt: skip
    stop = "tool_use" if answer.calls else "end_turn"
    message = {"role": "assistant", "content": blocks}
    return {"output": {"message": message}, "stopReason": stop, "usage": {"inputTokens": 9, "outputTokens": 5, "totalTokens": 14}}  # fmt: skip


def _converse_stream(answer: Answer) -> tuple[str, bytes]:
    frames = event("messageStart", role="assistant")
    at = 0
    if answer.text:
        for part in _pieces(answer.text):
            frames += event("contentBlockDelta", contentBlockIndex=at, delta={"text": part})  # fmt: skip
        frames += event("contentBlockStop", contentBlockIndex=at)
        at += 1
    for each in answer.calls:
        start = {"toolUse": {"toolUseId": each.id, "name": each.name}}
        frames += event("contentBlockStart", contentBlockIndex=at, start=start)
        for part in _pieces(json.dumps(each.args)):
            frames += event("contentBlockDelta", contentBlockIndex=at, delta={"toolUse": {"input": part}})  # fmt: skip
        frames += event("contentBlockStop", contentBlockIndex=at)
        at += 1
    frames += event("messageStop", stopReason="tool_use" if answer.calls else "end_turn")  # fmt: skip
    usage = {"inputTokens": 9, "outputTokens": 5, "totalTokens": 14}
    return "application/vnd.amazon.eventstream", frames + event("metadata", usage=usage, metrics={"latencyMs": 5})  # fmt: skip


def _cohere2(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant"}
    if answer.text:
        message["content"] = [{"type": "text", "text": answer.text}]
    if answer.calls:
        message["tool_plan"] = "I will look."
        message["tool_calls"] = _chat(answer)["choices"][0]["message"]["tool_calls"]
    finish = "TOOL_CALL" if answer.calls else "COMPLETE"
    return {"id": answer.id, "finish_reason": finish, "message": message, "usage": {"billed_units": {"input_tokens": 9, "output_tokens": 5}}}  # fmt: skip


def _cohere2_stream(answer: Answer) -> tuple[str, bytes]:
    events: list[Any] = [{"type": "message-start", "id": answer.id, "delta": {"message": {"role": "assistant"}}}]  # fmt: skip
    if answer.text:
        events.append({"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}})  # fmt: skip
        events += [{"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": part}}}} for part in _pieces(answer.text)]  # fmt: skip
        events.append({"type": "content-end", "index": 0})
    for at, each in enumerate(answer.calls):
        call = {"id": each.id, "type": "function", "function": {"name": each.name, "arguments": ""}}  # fmt: skip
        events.append({"type": "tool-call-start", "index": at, "delta": {"message": {"tool_calls": call}}})  # fmt: skip
        events += [{"type": "tool-call-delta", "index": at, "delta": {"message": {"tool_calls": {"function": {"arguments": part}}}}} for part in _pieces(_text_args(each))]  # fmt: skip
        events.append({"type": "tool-call-end", "index": at})
    finish = "TOOL_CALL" if answer.calls else "COMPLETE"
    usage = {"billed_units": {"input_tokens": 9, "output_tokens": 5}}
    events.append({"type": "message-end", "delta": {"finish_reason": finish, "usage": usage}})  # fmt: skip
    return _sse(events, named=True)


def _cohere1(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {"response_id": answer.id, "generation_id": answer.id, "text": answer.text, "finish_reason": "COMPLETE"}  # fmt: skip
    if answer.calls:
        found["tool_calls"] = [{"name": each.name, "parameters": each.args} for each in answer.calls]  # fmt: skip
    return found | {"meta": {"billed_units": {"input_tokens": 9, "output_tokens": 5}}}


def _cohere1_stream(answer: Answer) -> tuple[str, bytes]:
    whole = _cohere1(answer)
    events: list[Any] = [{"is_finished": False, "event_type": "stream-start", "generation_id": answer.id}]  # fmt: skip
    events += [{"is_finished": False, "event_type": "text-generation", "text": part} for part in _pieces(answer.text)]  # fmt: skip
    if answer.calls:
        events.append({"is_finished": False, "event_type": "tool-calls-generation", "tool_calls": whole["tool_calls"]})  # fmt: skip
    events.append({"is_finished": True, "event_type": "stream-end", "finish_reason": "COMPLETE", "response": whole})  # fmt: skip
    return "application/stream+json", b"".join(json.dumps(each).encode() + b"\n" for each in events)  # fmt: skip


def _ollama(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.calls:
        message["tool_calls"] = [{"function": {"name": each.name, "arguments": each.args}} for each in answer.calls]  # fmt: skip
    return {"model": "m", "message": message, "done": True, "done_reason": "stop", "prompt_eval_count": 9, "eval_count": 5}  # fmt: skip


def _ollama_stream(answer: Answer) -> tuple[str, bytes]:
    whole = _ollama(answer)
    lines = [{"model": "m", "message": {"role": "assistant", "content": part}, "done": False} for part in _pieces(answer.text)]  # fmt: skip
    if answer.calls:
        lines.append({"model": "m", "message": whole["message"] | {"content": ""}, "done": False})  # fmt: skip
    lines.append(whole | {"message": {"role": "assistant", "content": ""}})
    return "application/x-ndjson", b"".join(json.dumps(each).encode() + b"\n" for each in lines)  # fmt: skip


_SHAPES = {
    "chat": (_chat, _chat_stream),
    "responses": (_responses, _responses_stream),
    "anthropic": (_anthropic, _anthropic_stream),
    "gemini": (_gemini, _gemini_stream),
    "converse": (_converse, _converse_stream),
    "invoke": (_anthropic, _invoke_stream),
    "cohere2": (_cohere2, _cohere2_stream),
    "cohere1": (_cohere1, _cohere1_stream),
    "ollama": (_ollama, _ollama_stream),
}
