"""One conversation in the words of each family."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True)
class Said:
    """An entry of a conversation: what a user said, an answer, or a result."""

    role: str
    text: str
    calls: tuple[tuple[str, str, dict[str, Any]], ...] = ()
    call_id: str = ""
    name: str = ""
    thought: str = ""


@dataclass(frozen=True)
class Prompt:
    """A request before it is written."""

    said: Sequence[Said]
    system: str = ""
    previous: str = ""
    """`previous_response_id`, where only what is new is sent."""
    cached: bool = False
    """Whether the newest block is marked for the cache."""
    extra: dict[str, Any] = field(default_factory=dict)


def chat(prompt: Prompt) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": prompt.system}] if prompt.system else []  # fmt: skip
    for each in prompt.said:
        if each.role == "result":
            messages.append({"role": "tool", "tool_call_id": each.call_id, "content": each.text})  # fmt: skip
        elif each.role == "user":
            messages.append({"role": "user", "content": each.text})
        else:
            thought = f"<think>{each.thought}</think>\n" if each.thought else ""
            message: dict[str, Any] = {"role": "assistant", "content": thought + each.text}  # fmt: skip
            if each.calls:
                message["tool_calls"] = [
                    {"id": call_id, "type": "function", "function": {"name": name, "arguments": msgspec.json.encode(args).decode()}}
                    for call_id, name, args in each.calls
                ]  # fmt: skip
            messages.append(message)
    return {"model": "m", "messages": messages}


def responses(prompt: Prompt) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    for each in prompt.said:
        if each.role == "result":
            items.append({"type": "function_call_output", "call_id": each.call_id, "output": each.text})  # fmt: skip
            continue
        if each.thought:
            items.append({"type": "reasoning", "id": f"rs_{len(items)}", "summary": []})
        if each.text:
            kind = "input_text" if each.role == "user" else "output_text"
            role = "user" if each.role == "user" else "assistant"
            items.append({"type": "message", "role": role, "content": [{"type": kind, "text": each.text}]})  # fmt: skip
        items += [
            {"type": "function_call", "call_id": call_id, "name": name, "arguments": msgspec.json.encode(args).decode()}
            for call_id, name, args in each.calls
        ]  # fmt: skip
    body = {"model": "m", "instructions": prompt.system, "input": items}
    return body | ({"previous_response_id": prompt.previous} if prompt.previous else {})


def anthropic(prompt: Prompt) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for each in prompt.said:
        if each.role == "result":
            block = {"type": "tool_result", "tool_use_id": each.call_id, "content": [{"type": "text", "text": each.text}]}  # fmt: skip
            messages.append({"role": "user", "content": [block]})
            continue
        blocks: list[dict[str, Any]] = [{"type": "thinking", "thinking": each.thought, "signature": "s"}] if each.thought else []  # fmt: skip
        blocks += [{"type": "text", "text": each.text}] if each.text else []
        blocks += [{"type": "tool_use", "id": call_id, "name": name, "input": args} for call_id, name, args in each.calls]  # fmt: skip
        role = "user" if each.role == "user" else "assistant"
        messages.append({"role": role, "content": blocks})
    if prompt.cached and messages:
        messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
    return {"model": "m", "system": [{"type": "text", "text": prompt.system}], "messages": messages}  # fmt: skip


def gemini(prompt: Prompt) -> dict[str, Any]:
    contents = []
    for each in prompt.said:
        parts: list[dict[str, Any]] = [{"text": each.thought, "thought": True}] if each.thought else []  # fmt: skip
        if each.role == "result":
            parts.append({"functionResponse": {"name": each.name, "response": {"output": each.text}}})  # fmt: skip
        elif each.text:
            parts.append({"text": each.text})
        parts += [{"functionCall": {"name": name, "args": args}} for _, name, args in each.calls]  # fmt: skip
        contents.append({"role": "model" if each.role == "answer" else "user", "parts": parts})  # fmt: skip
    return {"systemInstruction": {"parts": [{"text": prompt.system}]}, "contents": contents}  # fmt: skip


def converse(prompt: Prompt) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for each in prompt.said:
        blocks: list[dict[str, Any]] = [{"reasoningContent": {"reasoningText": {"text": each.thought}}}] if each.thought else []  # fmt: skip
        if each.role == "result":
            blocks.append({"toolResult": {"toolUseId": each.call_id, "content": [{"text": each.text}]}})  # fmt: skip
        elif each.text:
            blocks.append({"text": each.text})
        blocks += [{"toolUse": {"toolUseId": call_id, "name": name, "input": args}} for call_id, name, args in each.calls]  # fmt: skip
        messages.append({"role": "assistant" if each.role == "answer" else "user", "content": blocks})  # fmt: skip
    if prompt.cached and messages:
        messages[-1]["content"].append({"cachePoint": {"type": "default"}})
    return {"system": [{"text": prompt.system}], "messages": messages}


FAMILIES: dict[str, Callable[[Prompt], dict[str, Any]]] = {
    "chat": chat,
    "responses": responses,
    "responses_ids": responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "converse": converse,
}
HAS_IDS = {"chat", "responses", "responses_ids", "anthropic", "converse"}


def body(family: str, prompt: Prompt) -> bytes:
    return msgspec.json.encode(FAMILIES[family](prompt) | prompt.extra)
