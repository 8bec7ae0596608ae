"""Gemini's arithmetic."""

import json
from collections import Counter
from typing import Any

from tests.helpers.recordings import Recording

_WORDS = {1: "TEXT", 2: "IMAGE", 3: "VIDEO", 4: "AUDIO", 5: "DOCUMENT"}


def gemini(recording: Recording) -> dict[str, int]:
    """Give the buckets of the last object that counts tokens: input includes cached, output excludes thoughts."""
    last: dict[str, Any] = next(
        usage
        for usage in reversed(recording.usage)
        if any(key.endswith("TokenCount") for key in usage)
    )
    cached, tools = (
        last.get("cachedContentTokenCount", 0),
        last.get("toolUsePromptTokenCount", 0),
    )
    prompt, caches = (
        _by(last, "promptTokensDetails"),
        _by(last, "cacheTokensDetails"),
    )
    more, outs = (
        _by(last, "toolUsePromptTokensDetails"),
        _by(last, "candidatesTokensDetails"),
    )
    audio, image = (prompt[kind] - caches[kind] + more[kind] for kind in (4, 2))
    output = last.get("candidatesTokenCount", 0)
    return {
        "input": last.get("promptTokenCount", 0) - cached + tools - audio - image,
        "cache_read": cached,
        "output": output - outs[4],
        "reasoning": last.get("thoughtsTokenCount", 0),
        "audio_in": audio,
        "audio_out": outs[4],
        "image_in": image,
    }


def interactions(recording: Recording) -> dict[str, int]:
    """Give the buckets of the finished interaction; a recorder that looked only at the top of events missed its usage."""
    said = _last_interaction(recording.body)["usage"]
    images = sum(
        entry["tokens"]
        for entry in said.get("input_tokens_by_modality", [])
        if entry["modality"] == "image"
    )
    cached = said.get("total_cached_tokens", 0)
    return {
        "input": said["total_input_tokens"]
        - cached
        - images
        + said["total_tool_use_tokens"],
        "cache_read": cached,
        "output": said["total_output_tokens"],
        "reasoning": said["total_thought_tokens"],
        "image_in": images,
    }


def says_usage(recording: Recording) -> bool:
    """Say whether an interaction counts tokens, wherever in its events."""
    return recording.api == "interactions" and b'"usage":' in recording.body


def _by(usage: dict[str, Any], name: str) -> Counter[int]:
    counts: Counter[int] = Counter()
    words = {word: number for number, word in _WORDS.items()} | {"DOCUMENT": 2}
    for entry in usage.get(name, []):
        modality = entry.get("modality", 0)
        counts[words.get(modality, modality)] += entry.get("tokenCount", 0)
    return counts


def _last_interaction(body: bytes) -> dict[str, Any]:
    if body.startswith(b"{"):
        whole: dict[str, Any] = json.loads(body)
        return whole
    events = [
        json.loads(line[6:])
        for line in body.splitlines()
        if line.startswith(b'data: {"interaction"')
    ]
    last: dict[str, Any] = events[-1]["interaction"]
    return last
