"""What a provider's own numbers come to, by the rules that the provider states for them.

What lives here: the disjoint buckets of a recorded exchange, with `None` where the provider left a number out. What does not:
anything of the product, whose arithmetic this must not share.
"""

from typing import Any

from tests.helpers.replay import Tape

BUCKETS = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_long",
    "output",
    "reasoning",
    "audio_in",
    "audio_out",
    "image_in",
)


OTHER_SHAPES = ("bedrock", "cohere", "gemini", "ollama", "vertex", "voyage")
"""Providers of which only the formulas of `arithmetic/` know something."""


def said_buckets(tape: Tape) -> dict[str, int | None] | None:
    """Give what the provider's numbers come to; `None` where it said none. What it left out is `None`, not zero."""
    if not tape.usage:
        return None
    known = (
        _anthropic(tape.usage)
        if "/v1/messages" in tape.path
        else _openai(tape.usage[-1])
    )
    return {name: known.get(name) for name in BUCKETS}


def _openai(usage: dict[str, Any]) -> dict[str, int | None]:
    """Totals include their details; a provider has told of more details than total, and nothing is below zero."""

    def first(*names: str) -> Any:
        return next(
            (usage[name] for name in names if usage.get(name) is not None), None
        )

    ins = (
        first(
            "prompt_tokens_details",
            "input_tokens_details",
            "prompt_token_details",
            "input_token_details",
        )
        or {}
    )
    outs = (
        first(
            "completion_tokens_details",
            "output_tokens_details",
            "completion_token_details",
        )
        or {}
    )
    total_in, total_out = (
        first("prompt_tokens", "input_tokens"),
        first("completion_tokens", "output_tokens"),
    )
    of_input = [
        ins.get(name) or 0
        for name in (
            "cached_tokens",
            "cache_write_tokens",
            "audio_tokens",
            "image_tokens",
        )
    ]
    of_output = [outs.get(name) or 0 for name in ("reasoning_tokens", "audio_tokens")]
    return {
        "input": None if total_in is None else max(0, total_in - sum(of_input)),
        "cache_read": ins.get("cached_tokens", usage.get("cached_tokens")),
        "cache_write": ins.get("cache_write_tokens"),
        "output": None if total_out is None else max(0, total_out - sum(of_output)),
        "reasoning": outs.get("reasoning_tokens"),
        "audio_in": ins.get("audio_tokens"),
        "audio_out": outs.get("audio_tokens"),
        "image_in": ins.get("image_tokens"),
    }


def _anthropic(usages: list[dict[str, Any]]) -> dict[str, int | None]:
    """Each number is one of its own; a later event's number replaces an earlier one's."""
    said: dict[str, Any] = {}
    for usage in usages:
        said.update({name: value for name, value in usage.items() if value is not None})
    split = said.get("cache_creation") or {}
    long = split.get("ephemeral_1h_input_tokens")
    written = said.get("cache_creation_input_tokens")
    thinking = (said.get("output_tokens_details") or {}).get("thinking_tokens")
    return {
        "input": said["input_tokens"],
        "cache_read": said.get("cache_read_input_tokens"),
        "cache_write": None if written is None else written - (long or 0),
        "cache_write_long": long,
        "output": said["output_tokens"] - (thinking or 0),
        "reasoning": thinking,
    }
