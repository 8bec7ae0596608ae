from typing import Any

import pytest

from proxy.meter import anthropic_usage
from proxy.model import PartReading, Usage


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"input_tokens": 5, "output_tokens": 2}, Usage(input=5, output=2)),
        (
            {"output_tokens": 2, "output_tokens_details": {"thinking_tokens": 3}},
            Usage(output=0, reasoning=3),
        ),
        (
            {"input_tokens": 0, "cache_creation_input_tokens": 4},
            Usage(input=0, cache_write=4),
        ),
        (
            {
                "input_tokens": 1,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 4,
                    "ephemeral_1h_input_tokens": 2,
                },
            },
            Usage(input=1, cache_write=4, cache_write_long=2),
        ),
        ({"cache_read_input_tokens": 4}, None),
        ({}, None),
    ],
)
def test_input_excludes_the_cache_and_output_includes_thinking(
    said: dict[str, Any], expected: Usage | None
):
    assert anthropic_usage.buckets(said) == expected


def entry(kind: str, output: int | None, model: str | None = None) -> dict[str, Any]:
    return {"type": kind, "input_tokens": 1, "output_tokens": output, "model": model}


def test_messages_and_entries_without_tokens_are_no_parts():
    iterations = [entry("message", 5), {"type": "compaction"}, "odd"]
    assert (
        anthropic_usage.parts({"output_tokens": 5, "iterations": iterations}, "m") == ()
    )


@pytest.mark.parametrize(
    ("total", "entries", "is_part"),
    [
        (5, [entry("message", 5)], True),
        (12, [entry("message", 5)], False),
        (7, [], False),
        (0, [entry("message", None)], True),
    ],
)
def test_a_fallback_is_a_part_only_if_the_top_level_does_not_hold_it(
    total: int, entries: list[Any], is_part: bool
):
    said = {
        "output_tokens": total,
        "iterations": [*entries, entry("fallback_message", 7, "big")],
    }
    expected = (PartReading("big", Usage(input=1, output=7)),) if is_part else ()
    assert anthropic_usage.parts(said, "m") == expected


def test_tools_that_were_not_used_are_left_out():
    said = {
        "server_tool_use": {
            "web_search_requests": 2,
            "web_fetch_requests": 0,
            "odd": "x",
        }
    }
    assert anthropic_usage.server_tools(said) == {"web_search": 2}


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ({"service_tier": "standard", "speed": "fast"}, "fast"),
        ({"service_tier": "batch", "speed": "standard"}, "batch"),
        ({"service_tier": 3}, ""),
        ({}, ""),
    ],
)
def test_fast_mode_is_a_tier_since_it_has_prices_of_its_own(said, tier):
    assert anthropic_usage.service_tier(said) == tier
