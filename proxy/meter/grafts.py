"""Makes one stream of two: what an agent has got of one answer, and the tool calls of a later one.

What lives here: what of the later answer's events goes on, and how they are numbered, so that the whole is a stream that official SDKs accept.
What does not: which answers these are (`proxy/vetting.py`), what was asked in between (`proxy/judge/reasks.py`).

Text and thoughts of the later answer are left out where the agent has had some of the first and there are calls: it says twice what it is about to
do. Where there are none, they are the answer, and go on. Events of which nothing is left do not go on at all.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from proxy.meter import lenient

_DECODER = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode
_CALLS = ("tool_calls", "function_call")
_NUMBERED = ("content_block_start", "content_block_delta", "content_block_stop")
_SAID = ("text", "thinking", "redacted_thinking")

Event = tuple[bytes, dict[str, Any] | None]
"""As it came, and its data; `None` where that is no object."""


def data_of(event: bytes) -> dict[str, Any] | None:
    """Give the data of a server-sent event; `None` where it is no JSON object."""
    lines = (line for line in event.splitlines() if line.startswith(b"data:"))
    data = b"\n".join(line[5:].strip() for line in lines)
    try:
        found = lenient.load(_DECODER, data) if data else None
    except lenient.UNREADABLE:
        return None
    return found if isinstance(found, dict) else None


def graft(dialect: str, passed: Sequence[bytes], events: Sequence[bytes]) -> bytes | None:  # fmt: skip
    """Give what goes on of `events` behind what has `passed`; `None` where the family's streams cannot be joined so."""
    before = [data for each in passed if (data := data_of(each)) is not None]
    said = [data for data in before if data.get("type") != "ping"]
    if not said:
        return b"".join(events)
    join = _JOINED.get(dialect)
    return None if join is None else join(said, [(each, data_of(each)) for each in events])  # fmt: skip


def _chat(before: list[dict[str, Any]], events: list[Event]) -> bytes:
    """Join chat completions: one id, one role; calls are numbered from 0, since none has passed."""
    has_said = any(_says(choice) for data in before for choice in _choices(data))
    calls = any(_delta(choice).get(name) for _, data in events for choice in _choices(data) for name in _CALLS)  # fmt: skip
    kept = {name: before[0][name] for name in ("id", "created") if name in before[0]}
    going: list[bytes] = []
    for event, data in events:
        if data is None or "choices" not in data:
            going.append(event)
            continue
        choices = [_joined(each, drops=has_said and calls) for each in _choices(data)]
        left = [each for each in choices if each is not None]
        if left or not choices:
            going.append(b"data: " + _encode(data | kept | {"choices": left}) + b"\n\n")
    return b"".join(going)


def _choices(data: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [each for each in lenient.items((data or {}).get("choices")) if isinstance(each, dict)]  # fmt: skip


def _delta(choice: dict[str, Any]) -> dict[str, Any]:
    delta = choice.get("delta")
    return delta if isinstance(delta, dict) else {}


def _says(choice: dict[str, Any]) -> bool:
    return any(value for name, value in _delta(choice).items() if name != "role")


def _joined(choice: dict[str, Any], *, drops: bool) -> dict[str, Any] | None:
    """Give what goes on of a choice; `None` where that says nothing."""
    delta = {
        name: value
        for name, value in _delta(choice).items()
        if name in _CALLS or not (drops or name == "role")
    }
    if not (any(delta.values()) or choice.get("finish_reason") or choice.get("usage")):
        return None
    return choice | {"delta": delta}


def _messages(before: list[dict[str, Any]], events: list[Event]) -> bytes:
    """Join Anthropic's messages: one beginning, blocks numbered on."""
    begun = sum(each.get("type") == "content_block_start" for each in before)
    drops = begun > 0 and any(_block(data) == "tool_use" for _, data in events)
    places: dict[Any, int] = {}
    going: list[bytes] = []
    for event, data in events:
        kind = (data or {}).get("type")
        if data is None or kind not in (*_NUMBERED, "message_start"):
            going.append(event)
            continue
        if kind == "content_block_start" and not (drops and _block(data) in _SAID):
            places[data.get("index")] = begun + len(places)
        place = places.get(data.get("index")) if kind in _NUMBERED else None
        if place is not None:
            name = lenient.text(kind).encode()
            going.append(b"event: %b\ndata: %b\n\n" % (name, _encode(data | {"index": place})))  # fmt: skip
    return b"".join(going)


def _block(data: dict[str, Any] | None) -> Any:
    """Give the type of the block that an event begins."""
    block = (data or {}).get("content_block")
    return block.get("type") if isinstance(block, dict) else None


_JOINED: dict[str, Callable[[list[dict[str, Any]], list[Event]], bytes]] = {
    "openai_chat": _chat,
    "anthropic_messages": _messages,
}
JOINED = frozenset(_JOINED)
"""Dialects of whose streams something may have passed."""
