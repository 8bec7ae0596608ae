"""The arithmetic of Gemini's usage objects: what is counted inside of what, and what is billed beside tokens.

What lives here: how `usageMetadata` (generateContent, embeddings) and the `usage` of an interaction become disjoint buckets.
What does not: where in an answer they stand.

The prompt includes what was cached; the results of server tools (`toolUsePrompt`) are input on top of it; output excludes
thoughts: total = prompt + tool use + output + thoughts in all recorded answers. A breakdown by modality stands beside each
of them: audio and images have buckets of their own, documents are read as images, and what else has its own price inside of
a bucket becomes a detail (`input_video` in input, `cache_audio_read` in cache reads, `output_image` in output), in the
words of genai-prices.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from proxy.meter import lenient
from proxy.model import Usage

Modalities = Mapping[str, int]

_MODALITIES = {1: "text", 2: "image", 3: "video", 4: "audio", 5: "image"}
"""Numbers instead of words come where the agent asks for `enum-encoding=int`."""

_READ_AS_IMAGE = "document"

_TRAFFIC = {
    1: "on_demand",
    2: "provisioned_throughput",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
}

_BILLED_BY_PROMPT = re.compile(r"gemini-(?:[12]\D|pro|flash)")
"""Models up to 2.5 are billed for each prompt that led to a search, later ones for each search.
https://ai.google.dev/gemini-api/docs/pricing"""


class Counts(msgspec.Struct, frozen=True):
    """A usage object, whichever names it uses."""

    prompt: int | None = None
    cached: int | None = None
    tool_use: int | None = None
    output: int | None = None
    thoughts: int | None = None
    prompt_by: Modalities = {}
    cached_by: Modalities = {}
    tool_use_by: Modalities = {}
    output_by: Modalities = {}


def of_metadata(said: Mapping[str, Any]) -> Counts:
    """Read a `usageMetadata`."""
    return Counts(
        prompt=lenient.count(said.get("promptTokenCount")),
        cached=lenient.count(said.get("cachedContentTokenCount")),
        tool_use=lenient.count(said.get("toolUsePromptTokenCount")),
        output=lenient.count(said.get("candidatesTokenCount")),
        thoughts=lenient.count(said.get("thoughtsTokenCount")),
        prompt_by=_modalities(said.get("promptTokensDetails"), "tokenCount"),
        cached_by=_modalities(said.get("cacheTokensDetails"), "tokenCount"),
        tool_use_by=_modalities(said.get("toolUsePromptTokensDetails"), "tokenCount"),
        output_by=_modalities(said.get("candidatesTokensDetails"), "tokenCount"),
    )


def of_interaction(said: Mapping[str, Any]) -> Counts:
    """Read the `usage` of an interaction."""
    return Counts(
        prompt=lenient.count(said.get("total_input_tokens")),
        cached=lenient.count(said.get("total_cached_tokens")),
        tool_use=lenient.count(said.get("total_tool_use_tokens")),
        output=lenient.count(said.get("total_output_tokens")),
        thoughts=lenient.count(said.get("total_thought_tokens")),
        prompt_by=_modalities(said.get("input_tokens_by_modality"), "tokens"),
        cached_by=_modalities(said.get("cached_tokens_by_modality"), "tokens"),
        tool_use_by=_modalities(said.get("tool_use_tokens_by_modality"), "tokens"),
        output_by=_modalities(said.get("output_tokens_by_modality"), "tokens"),
    )


def buckets(counts: Counts) -> tuple[Usage | None, dict[str, int]]:
    """Give the disjoint buckets and the details inside of them; no usage where no tokens are counted.

    No part is larger than what it is a part of: a breakdown may be missing, or not say which of it was cached.
    """
    whole = (counts.prompt, counts.cached, counts.tool_use, counts.output)
    if all(count is None for count in (*whole, counts.thoughts)):
        return None, {}
    details = _cached_details(counts)
    fresh = _fresh(counts)
    audio_in, fresh = _take(fresh, _fresh_of(counts, "audio"))
    image_in, fresh = _take(fresh, _fresh_of(counts, "image"))
    video_in, _ = _take(fresh, _fresh_of(counts, "video"))
    audio_out, visible = _take(counts.output, counts.output_by.get("audio"))
    image_out, rest = _take(visible, counts.output_by.get("image"))
    video_out, _ = _take(rest, counts.output_by.get("video"))
    details |= {
        "input_video": video_in or 0,
        "output_image": image_out or 0,
        "output_video": video_out or 0,
    }
    usage = Usage(
        input=fresh,
        cache_read=counts.cached,
        output=visible,
        reasoning=counts.thoughts,
        audio_in=audio_in,
        audio_out=audio_out,
        image_in=image_in,
    )
    return usage, {unit: count for unit, count in details.items() if count}


def service_tier(said: Mapping[str, Any]) -> str:
    """Give the tier that served the answer, in the words of the price table: Vertex calls it a type of traffic."""
    tier = lenient.text(said.get("serviceTier"))
    traffic = said.get("trafficType")
    if tier or not isinstance(traffic, int | str):
        return tier.lower()
    return _TRAFFIC.get(traffic) or lenient.text(traffic).lower()


def web_searches(model: str, queries: int) -> dict[str, int]:
    """Give how many searches are billed for an answer that so many distinct queries led to."""
    billed = min(queries, 1) if _BILLED_BY_PROMPT.match(model) else queries
    return {"web_search": billed} if billed else {}


def _modalities(found: Any, member: str) -> Modalities:
    """Sum a breakdown by modality."""
    sums: dict[str, int] = {}
    for entry in lenient.items(found):
        if not isinstance(entry, dict):
            continue
        name = entry.get("modality")
        word = (
            _MODALITIES.get(name, "")
            if isinstance(name, int)
            else lenient.text(name).lower()
        )
        if word == _READ_AS_IMAGE:
            word = "image"
        sums[word] = sums.get(word, 0) + (lenient.count(entry.get(member)) or 0)
    return sums


def _fresh(counts: Counts) -> int | None:
    """Give the input that was not cached."""
    if counts.prompt is None:
        return counts.tool_use
    return max(0, counts.prompt - (counts.cached or 0)) + (counts.tool_use or 0)


def _fresh_of(counts: Counts, modality: str) -> int | None:
    if modality not in counts.prompt_by and modality not in counts.tool_use_by:
        return None
    prompt = counts.prompt_by.get(modality, 0) - counts.cached_by.get(modality, 0)
    return max(0, prompt) + counts.tool_use_by.get(modality, 0)


def _take(whole: int | None, part: int | None) -> tuple[int | None, int | None]:
    """Take a part out of a whole: give it and what is left."""
    if whole is None or part is None:
        return None, whole
    part = min(part, whole)
    return part, whole - part


def _cached_details(counts: Counts) -> dict[str, int]:
    details: dict[str, int] = {}
    rest = counts.cached
    for modality in ("audio", "image", "video"):
        part, rest = _take(rest, counts.cached_by.get(modality))
        details[f"cache_{modality}_read"] = part or 0
    return details
