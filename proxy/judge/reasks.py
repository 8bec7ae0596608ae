"""The request that asks a model once more, after an answer whose tool calls cannot work.

What lives here: the agent's own request with the answer behind it, and with a result for each of its calls that says what is wrong with it. What does
not: when that is done (`proxy/vetting.py`), what is wrong (`call_checks.py`).

The agent's bytes stay as they are, so that what the provider has cached of them still holds. `None` where the family, or this request, cannot be gone on
from in this way: several answers at once, a conversation that the provider keeps and has written into already, calls that are no functions.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from proxy.judge.call_checks import Checked, Problem
from proxy.meter import lenient
from proxy.meter.draft import MAX_TEXT_CHARS
from proxy.meter.grafts import data_of
from proxy.meter.members import Members, find_member, read_members
from proxy.model import Reading

_DECODER = msgspec.json.Decoder()
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.Encoder().encode
_MOST_NAMED = 64
_NOT_BROKEN = "Not run: another call of the same turn cannot work. Make this one again if it is still needed."


class Answered(msgspec.Struct, frozen=True):
    """An answer that a model is asked again after."""

    reading: Reading
    checked: Sequence[Checked]
    """Aligned with the calls in `reading`."""
    offered: Sequence[str] = ()
    """The tools of the request."""
    events: Sequence[bytes] = ()
    """Of a stream, all of it."""
    whole: bytes = b""
    """Of another answer, without a content coding."""

    def results(self) -> list[str]:
        """Say, for each call, what is wrong."""
        return [_wrong(each, self.offered) for each in self.checked]

    def document(self) -> dict[str, Any]:
        """Give a whole answer."""
        found = lenient.load(_DECODER, self.whole)
        return found if isinstance(found, dict) else {}

    def data(self) -> list[dict[str, Any]]:
        """Give the data of a stream's events."""
        return [data for each in self.events if (data := data_of(each)) is not None]


def reask(dialect: str, body: bytes, said: Answered) -> bytes | None:
    """Give the request that asks again; see the module. Raises one of `lenient.UNREADABLE` for an answer that is not what it was read as."""
    compose, members = _FAMILIES.get(dialect), read_members(body)
    if compose is None or members is None:
        return None
    return compose(body, members, said)


def _wrong(found: Checked, offered: Sequence[str]) -> str:
    match found.problem:
        case Problem.UNKNOWN_TOOL:
            named = ", ".join(list(offered)[:_MOST_NAMED]) or "none"
            return f"Error: there is no tool of this name. The tools are: {named}."
        case Problem.BAD_JSON:
            return "Error: the arguments are no valid JSON. Call the tool again with a JSON object."
        case Problem.BAD_ARGUMENTS:
            return f"Error: the arguments do not fit the tool's schema (at {found.where or 'its top'}). Call it again with arguments that fit."
        case _:
            return _NOT_BROKEN


def _appended(body: bytes, members: Members, name: str, more: list[Any]) -> bytes | None:  # fmt: skip
    """Write items behind those of a list that the request has."""
    value, place = bytes(members.get(name, b"")), find_member(body, members, name)
    if place is None or not value.startswith(b"["):
        return None
    end = place.value + len(value) - 1
    written = b",".join(map(_encode, more))
    comma = b"," if value[1:-1].strip() else b""
    return body[:end] + comma + written + body[end:]


def _chat(body: bytes, members: Members, said: Answered) -> bytes | None:
    reading = said.reading
    several = bytes(members.get("n", b"1")) not in (b"1", b"null")
    is_odd = "functions" in members or b'"custom"' in bytes(members.get("tools", b""))
    if several or is_odd or len(reading.output_text) >= MAX_TEXT_CHARS:
        return None
    calls = [
        {
            "id": each.id or f"call_{at}",
            "type": "function",
            "function": {"name": each.name, "arguments": each.arguments.decode(errors="replace")},
        }
        for at, each in enumerate(reading.tool_calls)
    ]  # fmt: skip
    turn = {"role": "assistant", "content": reading.output_text or None, "tool_calls": calls}  # fmt: skip
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": result}
        for call, result in zip(calls, said.results(), strict=True)
    ]
    return _appended(body, members, "messages", [turn, *results])


def _messages(body: bytes, members: Members, said: Answered) -> bytes | None:
    blocks = _blocks(said.data()) if said.events else lenient.items(said.document().get("content"))  # fmt: skip
    blocks = [each for each in blocks if isinstance(each, dict) and each.get("text") != ""]  # fmt: skip
    calls = [each for each in blocks if each.get("type") == "tool_use"]
    asked = lenient.load(_ITEMS, members.get("messages", b"[]"))
    last = lenient.table(asked[-1]) if asked else None
    if len(calls) != len(said.checked) or (last or {}).get("role") != "user":
        return None
    for call in calls:
        if not isinstance(call.get("input"), dict):
            call["input"] = {"INVALID_JSON": str(call.get("input"))}
    results = [
        {"type": "tool_result", "tool_use_id": call.get("id"), "is_error": True, "content": result}
        for call, result in zip(calls, said.results(), strict=True)
    ]  # fmt: skip
    turn = {"role": "assistant", "content": blocks}
    return _appended(body, members, "messages", [turn, {"role": "user", "content": results}])  # fmt: skip


_PIECES = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature", "input_json_delta": "partial_json"}  # fmt: skip


def _blocks(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put a streamed message's blocks together; thoughts must come back with their signatures."""
    blocks: dict[Any, dict[str, Any]] = {}
    pieces: dict[tuple[Any, str], list[str]] = {}
    for each in events:
        place, delta = each.get("index"), each.get("delta")
        if each.get("type") == "content_block_start":
            blocks[place] = dict(each.get("content_block") or {})
        elif isinstance(delta, dict) and place in blocks:
            member = _PIECES.get(lenient.text(delta.get("type")), "")
            pieces.setdefault((place, member), []).append(lenient.text(delta.get(member)))  # fmt: skip
            if "citation" in delta:
                blocks[place]["citations"] = [*(blocks[place].get("citations") or ()), delta["citation"]]  # fmt: skip
    for (place, member), texts in pieces.items():
        text = "".join(texts)
        if member == "partial_json":
            blocks[place]["input"] = _object(text)
        elif member:
            blocks[place][member] = lenient.text(blocks[place].get(member)) + text
    return list(blocks.values())


def _object(text: str) -> Any:
    try:
        return lenient.load(_DECODER, text.encode()) if text.strip() else {}
    except lenient.UNREADABLE:
        return text


_RESULT_TYPES = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}  # fmt: skip


def _responses(body: bytes, members: Members, said: Answered) -> bytes | None:
    final = [data.get("response") for data in said.data() if "response" in data]
    response = final[-1] if final else said.document() if said.whole else None
    output = response.get("output") if isinstance(response, dict) else None
    items = [each for each in lenient.items(output) if isinstance(each, dict)]
    calls = [each for each in items if each.get("type") in _RESULT_TYPES]
    keeps = bytes(members.get("conversation", b"null")) != b"null"
    if keeps or len(calls) != len(said.checked):
        return None
    if bytes(members.get("store", b"null")) == b"false":
        # Only what is encrypted is known again to a provider that keeps nothing, and ids lead nowhere.
        items = [
            {name: value for name, value in each.items() if name != "id"}
            for each in items
            if each.get("type") != "reasoning" or each.get("encrypted_content")
        ]
    results = [
        {"type": _RESULT_TYPES[call["type"]], "call_id": call.get("call_id"), "output": result}
        for call, result in zip(calls, said.results(), strict=True)
    ]  # fmt: skip
    asked = lenient.value(members.get("input", msgspec.Raw()))
    place = find_member(body, members, "input")
    if isinstance(asked, str) and place is not None:
        first = {"role": "user", "content": asked}
        end = place.value + len(bytes(members["input"]))
        return body[: place.value] + _encode([first, *items, *results]) + body[end:]
    return _appended(body, members, "input", [*items, *results])


def _gemini(body: bytes, members: Members, said: Answered) -> bytes | None:
    parts: list[Any] = []
    for data in said.data() if said.events else [said.document()]:
        candidates = lenient.items(data.get("candidates"))
        if len(candidates) > 1 or any(each.get("index") for each in candidates):
            return None
        for each in candidates:
            parts += lenient.items((each.get("content") or {}).get("parts"))
    calls = [each["functionCall"] for each in parts if "functionCall" in each]
    if len(calls) != len(said.checked) or any("partialArgs" in each for each in calls):
        return None
    results = [
        {"functionResponse": {**{name: call[name] for name in ("id", "name") if name in call}, "response": {"error": result}}}
        for call, result in zip(calls, said.results(), strict=True)
    ]  # fmt: skip
    turns = [{"role": "model", "parts": parts}, {"role": "user", "parts": results}]
    return _appended(body, members, "contents", turns)


_FAMILIES: dict[str, Callable[[bytes, Members, Answered], bytes | None]] = {
    "openai_chat": _chat,
    "anthropic_messages": _messages,
    "openai_responses": _responses,
    "gemini_generate": _gemini,
}
FAMILIES = frozenset(_FAMILIES)
"""Dialects in which a model can be asked again."""
