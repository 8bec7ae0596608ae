"""What a recorded answer tells besides its numbers, found in its raw JSON by the names of members alone.

What lives here: taking an answer apart into its JSON values, whatever carries them (a document, lines, events, frames of AWS), and looking
for who answered, under which id, and why it ended. What does not: anything of `proxy`; what a member means in one family.
"""

import base64
import json
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from tests.helpers.recordings import Recording

_WRAPPERS = ("message", "response", "interaction", "delta", "generation")
"""Members in which families put the object that the answer is."""

_MODELS = ("model", "modelVersion", "model_version")
_IDS = ("id", "responseId", "response_id", "generation_id")
_REASONS = (
    "finish_reason",
    "stop_reason",
    "finishReason",
    "stopReason",
    "done_reason",
    "completionReason",
    "completion_reason",
)
_TIERS = ("trafficType", "service_tier", "serviceTier")
_CALLS = ("tool_use", "function_call", "custom_tool_call")
_LISTS = ("choices", "candidates", "results", "outputs", "generations")


@dataclass(frozen=True)
class Told:
    """Every value that stands where an answer says such a thing; empty where it does not say."""

    models: frozenset[str]
    ids: frozenset[str]
    finish_reasons: frozenset[str]
    tools: frozenset[str]
    """Names of the tools that it calls, not of those that the provider runs itself."""
    tiers: tuple[str, ...]
    speed: str
    cost: Decimal | None
    """The provider's own total in dollars, with what it says that the user's own key was billed for."""

    @property
    def context(self) -> dict[str, str]:
        """Give genai-prices' words for how the request was served: the last word counts."""
        tier = next((each for each in reversed(self.tiers) if each), "").lower()
        tier = tier.removeprefix("on_demand_")
        found = {"service_tier": tier} if tier else {}
        if tier == "batch":
            found["processing"] = "batch"
        if self.speed == "fast":
            found["speed"] = "fast"
        return found


def told(recording: Recording) -> Told:
    """Read an answer that is no error."""
    roots = [value for value in values(recording) if isinstance(value, dict)]
    inner = [each for root in roots for each in _wrapped(root)]
    listed = [
        each
        for root in inner
        for name in _LISTS
        for each in (root.get(name) or () if isinstance(root.get(name), list) else ())
        if isinstance(each, dict)
    ]
    deltas = [each["delta"] for each in listed if isinstance(each.get("delta"), dict)]
    tiers = [*inner, *(_usage_of(each) for each in inner)]
    return Told(
        models=_texts(inner, _MODELS),
        ids=_texts(inner, _IDS),
        finish_reasons=_texts([*inner, *listed, *deltas], _REASONS),
        tools=frozenset(
            name for root in roots for each in _tables(root) for name in _called(each)
        ),
        tiers=tuple(
            each[name] for each in tiers for name in _TIERS if _is_text(each.get(name))
        ),
        speed=next(
            (_usage_of(e)["speed"] for e in inner if "speed" in _usage_of(e)), ""
        ),
        cost=next(filter(None, map(_cost, map(_usage_of, reversed(inner)))), None),
    )


def models_asked(recording: Recording) -> frozenset[str]:
    """Give the models that the request names: in its path, or in its body."""
    found = re.findall(r"/(?:models?|deployments)/([^/]+)", recording.path)
    said = _json(recording.request_body or b"{}")
    if isinstance(said, dict) and _is_text(said.get("model")):
        found.append(said["model"])
    named = (unquote(each).partition(":")[0] for each in found[:1])
    return frozenset(found[1:]) | {unquote(each) for each in found} | set(named)


def values(recording: Recording) -> Iterator[Any]:
    """Give every JSON value that an answer is made of, in order."""
    body = recording.body.strip()
    if recording.provider == "bedrock" and recording.body.startswith(b"\0"):
        yield from _frames(recording.body)
    elif recording.streamed:
        yield from _lines(body)
    else:
        yield from _documents(body)


def _lines(body: bytes) -> Iterator[Any]:
    if body.startswith(b"["):
        yield from _flat(_json(body))
        return
    for line in body.splitlines():
        if line.startswith((b"data:", b"{")):
            yield _json(line.removeprefix(b"data:"))


def _frames(body: bytes) -> Iterator[Any]:
    at = 0
    while at + 16 <= len(body):
        total, heads = struct.unpack_from(">II", body, at)
        value = _json(body[at + 12 + heads : at + total - 4])
        if isinstance(value, dict) and isinstance(value.get("bytes"), str):
            value = _json(base64.b64decode(value["bytes"]))
        yield value
        at += total


def _documents(body: bytes) -> Iterator[Any]:
    """Give one document, or each line of a stream that does not say that it is one."""
    value = _json(body)
    if value is None and b"\n{" in body:
        yield from _lines(body)
    else:
        yield from _flat(value)


def _flat(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _tables(value: Any) -> Iterator[dict[str, Any]]:
    """Give every object in a value, however deep."""
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value
    for each in inner if isinstance(value, dict | list) else ():
        yield from _tables(each)


def _called(table: dict[str, Any]) -> Iterator[str]:
    """Give the names of the calls that stand in this object itself."""
    calls = table.get("tool_calls")
    found = [calls] if isinstance(calls, dict) else list(calls or ())
    found += [table.get(name) for name in ("function_call", "functionCall", "toolUse")]
    found.append(table if table.get("type") in _CALLS else None)
    for call in found:
        for named in (
            [call, call.get("function"), call.get("custom")]
            if isinstance(call, dict)
            else ()
        ):
            if isinstance(named, dict) and _is_text(named.get("name")):
                yield named["name"]


def _wrapped(root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield root
    for name in _WRAPPERS:
        inner = root.get(name)
        if isinstance(inner, dict):
            yield inner


def _usage_of(value: dict[str, Any]) -> dict[str, Any]:
    for name in ("usage", "usageMetadata", "x_groq"):
        usage = value.get(name)
        if isinstance(usage, dict):
            return usage
    return {}


def _cost(usage: dict[str, Any]) -> Decimal | None:
    if not isinstance(usage.get("cost"), int | float):
        return None
    upstream = (usage.get("cost_details") or {}).get("upstream_inference_cost")
    return Decimal(str(usage["cost"])) + (
        Decimal(str(upstream or 0)) if usage.get("is_byok") else 0
    )


def _texts(found: Iterable[dict[str, Any]], names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        value[name] for value in found for name in names if _is_text(value.get(name))
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
