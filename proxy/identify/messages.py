"""One message of a conversation, in whatever family's words, as items.

What lives here: which parts of a message are text, calls and results, and which are left out. What does not: what of them is kept
(`items.py`), where messages stand in a request (`conversation.py`).
"""

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec

from proxy.identify.hashing import utf8
from proxy.identify.items import Call, Item, answer_item, tool_item, user_item
from proxy.identify.parts import Parts, Result
from proxy.meter import lenient

MAX_PARTS = 2000

_ASSISTANT = frozenset({"assistant", "model", "chatbot", "ai"})
_SYSTEM = frozenset({"system", "developer"})
_TOOL = frozenset({"tool", "function"})
_TEXTS = ("text", "input_text", "output_text")
_CALLS = frozenset(
    ["function_call", "custom_tool_call", "local_shell_call", "computer_call", "shell_call", "apply_patch_call"]
)  # fmt: skip
_DROPPED = frozenset(
    ["thinking", "redacted_thinking", "reasoning", "compaction", "item_reference", "server_tool_use", "mcp_tool_use",
     "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call",
     "mcp_list_tools", "mcp_approval_request"]
)  # fmt: skip
"""What is left out when a conversation goes on, or done by the provider inside of an answer."""
_DROPPED_MEMBERS = frozenset({"cachePoint", "reasoningContent"})
_UNIMPORTANT = frozenset({"cache_control", "id", "status"})
_OBSERVATION = re.compile(
    r"\s*+[\[<*#(]*+\s*+(?:observations?|(?:tool|function|command|execution|action)[ _-]?(?:results?|responses?|outputs?))\b",
    re.IGNORECASE,
)
"""How agents without native tools hand over results in the user's voice. Nothing is given back, or blanks would cost their square."""
_URL_SAFE = str.maketrans("-_", "+/")
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode


def items_of(
    message: Any, seed: int, *, is_later: bool = False
) -> tuple[tuple[Item, ...], str]:
    """Give a message's items, and its text if it is a system prompt; `is_later`: the model has spoken before. Never raises."""
    if isinstance(message, str):
        return _said(message, (), seed, is_later), ""
    if not isinstance(message, dict):
        return (), ""
    role = lenient.text(message.get("role")).lower()
    content = message.get("content")
    if isinstance(content, str):  # most are
        if role == "user":
            return _said(content, (), seed, is_later), ""
        if role in _TOOL and "type" not in message:
            return (_result(_tool_result(message), seed),), ""
    parts = Parts()
    _take_message(message, role, parts)
    if role in _SYSTEM:
        return (), "\n".join(parts.text)
    found = tuple(_result(each, seed) for each in parts.results)
    text = "\n".join(parts.text)
    if role in _ASSISTANT or parts.calls:
        made = answer_item(seed, text, parts.calls, parts.media, parts.signatures)
        return (*found, made) if made else found, ""
    return found + _said(text, parts.media, seed, is_later), ""


def parts_of(message: Any) -> Parts:
    """Give what was found in a message. Never raises."""
    parts = Parts()
    if isinstance(message, str):
        parts.text.append(message)
    elif isinstance(message, dict):
        _take_message(message, lenient.text(message.get("role")).lower(), parts)
    return parts


def result_text(body: Any) -> bytes:
    """Give what a result says as text, or, where it is no text, as it is written."""
    if isinstance(body, str):
        return utf8(body.strip())
    parts = Parts()
    _take(body, parts)
    return utf8("\n".join(parts.text).strip()) if parts.text else _written(body)


def texts_of(message: Any) -> list[str]:
    """Give what is written in a message of somebody else than the model: prompts and results. Never raises."""
    if isinstance(message, str):
        return [message]
    role = lenient.text(lenient_get(message, "role")).lower()
    if not isinstance(message, dict) or role in _ASSISTANT:
        return []
    parts = Parts()
    _take_message(message, role, parts)
    for _, _, body in parts.results:
        _take(body, parts)
    return parts.text


def system_text(found: Any) -> str:
    """Give a system prompt's text, whether it stands as text, blocks or Gemini's content."""
    parts = Parts()
    inner = lenient_get(found, "parts")
    _take(found if inner is None else inner, parts)
    return "\n".join(parts.text)


def canonical(arguments: Any) -> bytes:
    """Write arguments so that order of members and blanks do not count; broken JSON stands for itself."""
    if isinstance(arguments, bytes):
        arguments = arguments.decode("utf-8", "replace")
    if isinstance(arguments, str):
        try:
            arguments = _decode(arguments)
        except lenient.UNREADABLE:
            return utf8(arguments.strip())
    return _written({} if arguments is None else arguments)


def lenient_get(holder: Any, name: str) -> Any:
    """Give a member of what may be no object."""
    return holder.get(name) if isinstance(holder, dict) else None


def _said(
    text: str, media: Sequence[bytes], seed: int, is_later: bool
) -> tuple[Item, ...]:
    if _OBSERVATION.match(text):
        return (tool_item(seed, "", "", (utf8(text.strip()), *media)),)
    made = user_item(seed, text, media, is_later=is_later)
    return (made,) if made else ()


def _result(found: Result, seed: int) -> Item:
    call_id, name, body = found
    if isinstance(body, str):
        return tool_item(seed, call_id, name, (utf8(body.strip()),))
    parts = Parts()
    _take(body, parts)
    return tool_item(seed, call_id, name, (result_text(body), *parts.media))


def _take_message(message: dict[str, Any], role: str, parts: Parts) -> None:
    kind = lenient.text(message.get("type"))
    if kind in _CALLS:
        parts.calls.append(_responses_call(message))
    elif kind.endswith("_call_output"):
        call_id = lenient.text(message.get("call_id"))
        parts.results.append((call_id, "", message.get("output")))
    elif role in _TOOL and "content" in message:
        parts.results.append(_tool_result(message))
    elif not role and (kind or "content" not in message) and "parts" not in message:
        _take_block(message, parts)
    else:
        _take_members(message, parts)


def _tool_result(message: dict[str, Any]) -> Result:
    """Read a message of OpenAI's that is a result, or one of Ollama's."""
    name = message.get("name") or message.get("tool_name")
    call_id = lenient.text(message.get("tool_call_id"))
    return call_id, lenient.text(name), message["content"]


def _take_members(message: dict[str, Any], parts: Parts) -> None:
    for member, found in message.items():
        if member in ("content", "parts", "message", "refusal"):
            _take(found, parts)
        elif member == "tool_calls":
            for call in islice(lenient.items(found), MAX_PARTS):
                _take_tool_call(call, parts)
        elif member == "function_call" and isinstance(found, dict):
            _take_tool_call({"function": found}, parts)
        elif member == "tool_results":
            for each in islice(lenient.items(found), MAX_PARTS):
                _take_cohere_result(each, parts)


def _take(content: Any, parts: Parts) -> None:
    if isinstance(content, str):
        parts.text.append(content)
        return
    blocks = content[:MAX_PARTS] if isinstance(content, list) else [content]
    for block in blocks:
        if isinstance(block, str):
            parts.text.append(block)
        elif isinstance(block, dict):
            _take_block(block, parts)


def _take_block(block: dict[str, Any], parts: Parts) -> None:
    if _is_plain(block):
        parts.text.append(block["text"])
        return
    kind = lenient.text(block.get("type"))
    is_server_result = kind.endswith("_tool_result") and kind != "tool_result"
    if kind in _DROPPED or is_server_result or block.get("thought") is True:
        return
    signature = block.get("thoughtSignature") or block.get("thought_signature")
    if isinstance(signature, str):
        parts.signatures.append(signature.translate(_URL_SAFE))
    if kind == "tool_use":
        _take_call(block, block.get("input"), parts)
    elif kind == "tool_result":
        call_id = lenient.text(block.get("tool_use_id"))
        parts.results.append((call_id, "", block.get("content")))
        if block.get("is_error") is True:
            parts.failed.append(call_id)
    elif isinstance(block.get("text"), str):
        parts.text.append(block["text"])
    elif isinstance(block.get("refusal"), str):
        parts.text.append(block["refusal"])
    elif isinstance(block.get("outputs"), list) and "call" in block:
        _take_cohere_result(block, parts)
    else:
        _take_unnamed(block, parts)


def _is_plain(block: dict[str, Any]) -> bool:
    """Tell whether a block is text and nothing else, as most are."""
    if not isinstance(block.get("text"), str):
        return False
    return len(block) == 1 or (len(block) == 2 and block.get("type") in _TEXTS)


def _take_unnamed(block: dict[str, Any], parts: Parts) -> None:
    """Take a block that is told by its member instead of a type (Gemini, Converse), or something that is neither text nor call."""
    call = _first_table(block, ("functionCall", "function_call", "toolUse"))
    result = _first_table(block, ("functionResponse", "function_response", "toolResult"))  # fmt: skip
    if call is not None:
        _take_call(call, call.get("args", call.get("input")), parts)
    elif result is not None:
        call_id = result.get("id") or result.get("toolUseId")
        if result.get("status") == "error":
            parts.failed.append(lenient.text(call_id))
        body = result.get("response", result.get("content"))
        name = lenient.text(result.get("name"))
        parts.results.append((lenient.text(call_id), name, body))
    elif _DROPPED_MEMBERS.isdisjoint(block):
        kept = {name: value for name, value in block.items() if name not in _UNIMPORTANT}  # fmt: skip
        if kept:
            parts.media.append(_written(kept))


def _first_table(block: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any] | None:  # fmt: skip
    return next((found for name in names if isinstance(found := block.get(name), dict)), None)  # fmt: skip


def _take_call(call: dict[str, Any], arguments: Any, parts: Parts) -> None:
    call_id = call.get("id") or call.get("toolUseId")
    name = lenient.text(call.get("name"))
    parts.calls.append((lenient.text(call_id), name, canonical(arguments)))


def _take_tool_call(call: Any, parts: Parts) -> None:
    """Take an OpenAI tool call, or one of Cohere's or Ollama's."""
    if not isinstance(call, dict):
        return
    inner = call.get("function")
    if not isinstance(inner, dict) or not inner:
        inner = _first_table(call, ("function", "custom")) or call
    arguments = inner.get("arguments", inner.get("parameters", inner.get("input")))
    call_id, name = lenient.text(call.get("id")), lenient.text(inner.get("name"))
    parts.calls.append((call_id, name, canonical(arguments)))


def _take_cohere_result(each: Any, parts: Parts) -> None:
    call = lenient.member(each, "call")
    if call:
        call_id, name = lenient.text(call.get("id")), lenient.text(call.get("name"))
        parts.results.append((call_id, name, each.get("outputs")))


def _responses_call(message: dict[str, Any]) -> Call:
    call_id = lenient.text(message.get("call_id")) or lenient.text(message.get("id"))
    name = lenient.text(message.get("name")) or lenient.text(message.get("type"))
    arguments = message.get("arguments", message.get("input", message.get("action")))
    return call_id, name, canonical(arguments)


def _written(value: Any) -> bytes:
    try:
        return _encode(value)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        return b"?"
