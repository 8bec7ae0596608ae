"""OpenAI's arithmetic, which many share."""

from tests.helpers.recordings import Recording

_TOP_LEVEL_CACHED = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")


def openai(recording: Recording) -> dict[str, int]:
    """Give the buckets of the last usage object: totals include their details, but for thinking that only `total_tokens` shows."""
    usage = recording.usage[-1]
    flat = {
        f"{key}.{inner}": number
        for key, value in usage.items()
        if isinstance(value, dict)
        for inner, number in value.items()
        if isinstance(number, int)
    }

    def detail(side: tuple[str, ...], name: str) -> int:
        return sum(
            n
            for key, n in flat.items()
            if key.startswith(side) and key.endswith("." + name)
        )

    ins, outs = ("prompt", "input"), ("completion", "output")
    cached, written = detail(ins, "cached_tokens"), detail(ins, "cache_write_tokens")
    if not cached:
        cached = max(usage.get(name) or 0 for name in _TOP_LEVEL_CACHED)
    audio_in, image_in = detail(ins, "audio_tokens"), detail(ins, "image_tokens")
    thought, audio_out = detail(outs, "reasoning_tokens"), detail(outs, "audio_tokens")
    total_in = usage.get("prompt_tokens", usage.get("input_tokens")) or 0
    total_out = usage.get("completion_tokens", usage.get("output_tokens")) or 0
    all_out = max(total_out, usage.get("total_tokens", 0) - total_in)
    if all_out > total_out:
        thought = max(thought, all_out - total_out)
    return {
        "input": max(0, total_in - cached - written - audio_in - image_in),
        "cache_read": cached,
        "cache_write": written,
        "output": max(0, all_out - thought - audio_out),
        "reasoning": thought,
        "audio_in": audio_in,
        "audio_out": audio_out,
        "image_in": image_in,
    }


def perplexity(recording: Recording) -> dict[str, int]:
    """Give the buckets of Perplexity: reasoning and citations stand beside all totals."""
    usage = recording.usage[-1]
    return {
        "input": usage["prompt_tokens"],
        "output": usage["completion_tokens"] + usage.get("citation_tokens", 0),
        "reasoning": usage.get("reasoning_tokens", 0),
    }
