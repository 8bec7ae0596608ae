"""Bedrock's arithmetic: of a whole answer, of a stream, and of what stands in response headers only."""

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

from tests.helpers.recordings import Recording

_NAMES = {
    "input": ("inputTokens", "input_tokens", "inputTokenCount"),
    "output": ("outputTokens", "output_tokens", "outputTokenCount"),
    "cache_read": (
        "cacheReadInputTokens",
        "cacheReadInputTokenCount",
        "cache_read_input_tokens",
    ),
    "written": (
        "cacheWriteInputTokens",
        "cacheWriteInputTokenCount",
        "cache_creation_input_tokens",
    ),
}
_HEADERS = {
    "input": "input",
    "output": "output",
    "cache_read": "cache-read-input",
    "written": "cache-write-input",
}
_METRICS = "invocationLatency"


def bedrock(recording: Recording) -> dict[str, int]:
    """Give what the vendor's objects say (the later win), then Bedrock's metrics, then the headers.

    Input excludes what the cache holds, but for objects in OpenAI's shape.
    """
    usages = recording.usage or list(_in_frames(recording))
    own = [usage for usage in usages if _METRICS not in usage]
    if any("prompt_tokens" in usage for usage in own):
        return {
            "input": own[-1]["prompt_tokens"],
            "output": own[-1]["completion_tokens"],
        }
    metrics = [usage for usage in usages if _METRICS in usage]
    found: dict[str, int] = {}
    for usage in (*reversed(own), *reversed(metrics)):
        for name, names in _NAMES.items():
            said = [usage[each] for each in names if usage.get(each) is not None]
            if said:
                found.setdefault(name, said[0])
    for name, header in _HEADERS.items():
        value = recording.response_header(f"x-amzn-bedrock-{header}-token-count")
        if value:
            found.setdefault(name, int(value))
    long = max((_long(usage) for usage in own), default=0)
    return {
        "input": found.get("input", 0),
        "cache_read": found.get("cache_read", 0),
        "cache_write": found.get("written", 0) - long,
        "cache_write_long": long,
        "output": found.get("output", 0),
    }


def counts_in_frames(recording: Recording) -> bool:
    """Say whether a stream counts tokens that the recorder did not find, for want of a content type or of an object."""
    return recording.provider == "bedrock" and any(_in_frames(recording))


def _in_frames(recording: Recording) -> Iterator[dict[str, Any]]:
    body, at = recording.body, 0
    while body.startswith(b"\0") and at < len(body):
        total, heads = struct.unpack_from(">II", body, at)
        said = json.loads(body[at + 12 + heads : at + total - 4])
        if "bytes" in said:
            said = json.loads(base64.b64decode(said["bytes"]))
        if "inputTextTokenCount" in said:
            yield {
                "inputTokens": int(said["inputTextTokenCount"]),
                "outputTokens": int(said["totalOutputTextTokenCount"]),
            }
        elif "usage" in said:
            yield said["usage"]
        at += total


def _long(usage: dict[str, Any]) -> int:
    """Give what was written to the cache for an hour."""
    details = usage.get("cacheDetails") or []
    split = usage.get("cache_creation") or {}
    hours = [each["inputTokens"] for each in details if each["ttl"] == "1h"]
    return sum([*hours, split.get("ephemeral_1h_input_tokens") or 0])
