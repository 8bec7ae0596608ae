"""Anthropic's arithmetic."""

from typing import Any

from tests.helpers.recordings import Recording


def anthropic(recording: Recording) -> dict[str, int]:
    """Give the buckets of all usage objects merged, the later ones winning: input excludes what the cache holds."""
    usages = recording.usage
    last: dict[str, Any] = {}
    for usage in usages:
        for key, value in usage.items():
            if value is not None:
                last[key] = value
    long = (last.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0)
    thought = (last.get("output_tokens_details") or {}).get("thinking_tokens", 0)
    return {
        "input": last["input_tokens"],
        "cache_read": last.get("cache_read_input_tokens", 0),
        "cache_write": last.get("cache_creation_input_tokens", 0) - long,
        "cache_write_long": long,
        "output": last["output_tokens"] - thought,
        "reasoning": thought,
    }
