"""Reads recorded answers of all families, plainly and independently of the product's dialects."""

import base64
import binascii
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Said:
    text: str = ""
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    response_id: str = ""


def read(body: bytes, streamed: bool) -> Said:
    said = Said()
    parts: dict[Any, list[str]] = {}
    for document in _documents(body, streamed):
        if isinstance(document, dict):
            _take(document, said, parts)
    for call_id, name, arguments in parts.values():
        said.calls.append((call_id, name, arguments or "{}"))
    return said


def _documents(body: bytes, streamed: bool) -> Iterator[Any]:
    if len(body) > 16 and struct.unpack(">I", body[:4])[0] <= len(body) and body[:1] == b"\0":  # fmt: skip
        yield from _frames(body)
        return
    text = body.decode("utf-8", "replace")
    whole = _json(text)
    if whole is not None:
        yield from whole if isinstance(whole, list) else [whole]
        return
    for line in text.splitlines():
        found = _json(line.removeprefix("data:"))
        if found is not None and (streamed or isinstance(found, dict)):
            yield found


def _frames(body: bytes) -> Iterator[Any]:
    while len(body) > 16:
        total, headers = struct.unpack(">II", body[:8])
        name, rest = "", body[12 : 12 + headers]
        while rest:
            length = rest[0]
            header, size = rest[1 : 1 + length], struct.unpack(">H", rest[2 + length : 4 + length])[0]  # fmt: skip
            value = rest[4 + length : 4 + length + size]
            rest = rest[4 + length + size :]
            name = value.decode() if header == b":event-type" else name
        payload = _json(body[12 + headers : total - 4].decode("utf-8", "replace"))
        if isinstance(payload, dict) and "bytes" in payload:
            try:
                yield _json(base64.b64decode(payload["bytes"]).decode("utf-8", "replace"))  # fmt: skip
            except binascii.Error:
                return
        elif isinstance(payload, dict):
            yield payload
        body = body[total:]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _take(document: dict[str, Any], said: Said, parts: dict[Any, list[str]]) -> None:
    for wrapper in ("contentBlockStart", "contentBlockDelta"):  # Nova
        document = document.get(wrapper) or document
    found = document.get("id") or document.get("responseId")
    said.response_id = found if isinstance(found, str) else said.response_id
    if document.get("type") in ("response.completed", "response.incomplete"):
        _take(document["response"], said, parts)
    for choice in _list(document.get("choices")):
        message = choice.get("message") or choice.get("delta") or {}
        said.text += _text(message.get("content")) or _text(choice.get("text"))
        _tool_calls(message, said, parts, is_delta="delta" in choice)
    message = document.get("message")
    if isinstance(message, dict) and document.get("type") != "message_start":
        said.text += _text(message.get("content"))
        _tool_calls(message, said, parts, is_delta=False)
    _blocks(document.get("content"), said)
    if isinstance(document.get("completion"), str):
        said.text += document["completion"]
    output = document.get("output")
    if isinstance(output, dict):
        _blocks((output.get("message") or {}).get("content"), said)
    for item in _list(output):
        _responses_item(item, said)
    for candidate in _list(document.get("candidates")):
        _blocks((candidate.get("content") or {}).get("parts"), said)
    _deltas(document, said, parts)


def _tool_calls(
    message: dict[str, Any], said: Said, parts: dict[Any, list[str]], is_delta: bool
) -> None:
    for place, call in enumerate(_list(message.get("tool_calls"))):
        function = call.get("function") or {}
        name, arguments = function.get("name") or "", function.get("arguments") or ""
        if not is_delta:
            said.calls.append((call.get("id") or "", name, arguments))
            continue
        part = parts.setdefault(call.get("index", place), ["", "", ""])
        part[0], part[1] = part[0] or call.get("id") or "", part[1] or name
        part[2] += arguments if isinstance(arguments, str) else json.dumps(arguments)


def _responses_item(item: dict[str, Any], said: Said) -> None:
    if item.get("type") == "message":
        _blocks(item.get("content"), said)
    elif item.get("type") in ("function_call", "custom_tool_call"):
        arguments = item.get("arguments", item.get("input"))
        said.calls.append((item["call_id"], item["name"], arguments))


def _blocks(found: Any, said: Said) -> None:
    for block in _list(found):
        call = block.get("functionCall") or block.get("toolUse") or (block if block.get("type") == "tool_use" else None)  # fmt: skip
        if block.get("thoughtSignature"):
            said.signatures.append(block["thoughtSignature"].translate(str.maketrans("-_", "+/")))  # fmt: skip
        if call:
            call_id = call.get("id") or call.get("toolUseId") or ""
            said.calls.append((call_id, call["name"], call.get("args", call.get("input"))))  # fmt: skip
        elif not block.get("thought") and block.get("type", "text") in ("text", "output_text", "refusal"):  # fmt: skip
            said.text += block.get("text") or ""


def _deltas(document: dict[str, Any], said: Said, parts: dict[Any, list[str]]) -> None:
    """Take what streams of Anthropic and Converse bring."""
    index = document.get("index", document.get("contentBlockIndex"))
    start = document.get("content_block") or (document.get("start") or {}).get("toolUse")  # fmt: skip
    if isinstance(start, dict) and start.get("name"):
        parts[index] = [start.get("id") or start.get("toolUseId") or "", start["name"], ""]  # fmt: skip
    delta = document.get("delta")
    if not isinstance(delta, dict):
        return
    if isinstance(delta.get("text"), str) and delta.get("type", "text_delta") == "text_delta":  # fmt: skip
        said.text += delta["text"]
    message = delta.get("message")
    if isinstance(message, dict):  # Cohere v2
        content = message.get("content")
        said.text += content.get("text", "") if isinstance(content, dict) else ""
    arguments = delta.get("partial_json") or (delta.get("toolUse") or {}).get("input")
    if arguments and index in parts:
        parts[index][2] += arguments


def _text(found: Any) -> str:
    if isinstance(found, str):
        return found
    return "".join(_text(each.get("text")) for each in _list(found))


def _list(found: Any) -> list[dict[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []  # fmt: skip
