"""The arithmetic of OpenAI's usage objects, which many families share: what is counted inside of what.

What lives here: how a usage object becomes disjoint buckets. What does not: where in an answer it stands.
"""

from collections.abc import Mapping
from typing import Any

from proxy.meter import lenient
from proxy.model import Usage


def buckets(said: Mapping[str, Any] | None) -> Usage | None:
    """Take cached, audio and image tokens out of the input, reasoning and audio out of the output.

    Totals include their details (checked over 2,600 recorded answers), in the old names (`prompt_tokens`) and the new
    (`input_tokens`). A remainder is never below zero: providers have reported more reasoning than output. `None` where there
    is no object, or it counts no tokens (seconds of audio).
    """
    said = said or {}
    total_in = _first(said, "prompt_tokens", "input_tokens")
    total_out = _first(said, "completion_tokens", "output_tokens")
    if total_in is None and total_out is None:
        return None
    ins = _details(said, "prompt", "input")
    outs = _details(said, "completion", "output")
    cache_read = _first(ins, "cached_tokens")
    if cache_read is None:
        cache_read = _first(
            said, "prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens"
        )
    written = _first(ins, "cache_write_tokens")
    long = _first(lenient.member(ins, "cache_write_tokens_details"), "ttl_12h_tokens")
    audio_in, image_in = _first(ins, "audio_tokens"), _first(ins, "image_tokens")
    reasoning, audio_out = (
        _first(outs, "reasoning_tokens"),
        _first(outs, "audio_tokens"),
    )
    return Usage(
        input=_rest(total_in, cache_read, written, audio_in, image_in),
        cache_read=cache_read,
        cache_write=_rest(written, long),
        cache_write_long=long,
        output=_rest(total_out, reasoning, audio_out),
        reasoning=reasoning,
        audio_in=audio_in,
        audio_out=audio_out,
        image_in=image_in,
    )


def _first(said: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        found = lenient.count(said.get(name))
        if found is not None:
            return found
    return None


def _details(said: Mapping[str, Any], *sides: str) -> dict[str, Any]:
    """Find e.g. `prompt_tokens_details`; Assistants and transcriptions write `token` without s."""
    for side in sides:
        for word in ("tokens", "token"):
            found = lenient.member(said, f"{side}_{word}_details")
            if found:
                return found
    return {}


def _rest(total: int | None, *parts: int | None) -> int | None:
    return None if total is None else max(0, total - sum(part or 0 for part in parts))
