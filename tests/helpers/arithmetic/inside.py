"""What a recorded answer counts inside of its buckets or beside them, where that has a price of its own.

What lives here: tokens of one modality inside of a bucket, and what is billed by use. What does not: the buckets.
"""

import re
from collections.abc import Iterator
from typing import Any

from tests.helpers.recordings import Recording
from tests.helpers.told import values

_GEMINI_DETAILS = {
    ("cacheTokensDetails", "AUDIO"): "cache_audio_read",
    ("cacheTokensDetails", "IMAGE"): "cache_image_read",
    ("cacheTokensDetails", "VIDEO"): "cache_video_read",
    ("promptTokensDetails", "VIDEO"): "input_video",
    ("candidatesTokensDetails", "IMAGE"): "output_image",
    ("candidatesTokensDetails", "VIDEO"): "output_video",
}
_CALLS = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
}


def details_of(recording: Recording) -> dict[str, int]:
    """Give what Gemini says of modalities in its last word."""
    found: dict[str, int] = {}
    usage = recording.usage[-1] if recording.usage else {}
    for (member, modality), name in _GEMINI_DETAILS.items():
        for each in usage.get(member) or ():
            if isinstance(each, dict) and each.get("modality") == modality:
                found[name] = found.get(name, 0) + int(each.get("tokenCount") or 0)
    return found


def uses_of(recording: Recording) -> dict[str, int]:
    """Count the uses of tools that the provider runs: said by Anthropic in numbers, by OpenAI one item each."""
    found: dict[str, int] = {}
    for usage in recording.usage:
        for name, count in (usage.get("server_tool_use") or {}).items():
            if count:
                found[name.removesuffix("_requests")] = count
    items = {
        (item.get("id"), item["type"])
        for value in values(recording)
        for item in _items(value)
        if item.get("type") in _CALLS
    }
    for _, kind in items:
        found[_CALLS[kind]] = found.get(_CALLS[kind], 0) + 1
    searches = len(_google_searches(recording))
    if searches:
        # Until Gemini 2.5 a grounded prompt is billed, later each search is.
        before_3 = re.search(r"gemini-[12]\b", recording.path)
        found["web_search"] = 1 if before_3 else searches
    return found


def _google_searches(recording: Recording) -> set[str]:
    """Give the different searches of an answer of Gemini."""
    return {
        query
        for value in values(recording)
        if isinstance(value, dict)
        for candidate in value.get("candidates") or ()
        for query in (candidate.get("groundingMetadata") or {}).get("webSearchQueries")
        or ()
        if query
    }


def _items(value: Any) -> Iterator[dict[str, Any]]:
    """Find everything in a list `output`, however deep."""
    if isinstance(value, dict):
        output = value.get("output")
        if isinstance(output, list):
            yield from (each for each in output if isinstance(each, dict))
        for each in value.values():
            if isinstance(each, dict):
                yield from _items(each)
