"""Anthropic answers whose bill is not what their first numbers say: from the bytes to tokens, parts and dollars.

What lives here: cache lifetimes, models inside of an answer, server tools, streamed and not. What does not: the wire family as such
(`tests/proxy/meter/`).
"""

from pathlib import Path
from typing import Any

import pytest

from proxy.model import ErrorType, Outcome, Usage, UsageSource
from tests.helpers.made import assert_costs, assert_priced, made, metered, recorded
from tests.helpers.meter import named
from tests.helpers.recordings import Recording
from tests.helpers.records import Recorded

SONNET, OPUS = "claude-sonnet-4-5-20250929", "claude-opus-4-5-20251101"
either = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def answer(
    usage: dict[str, Any],
    streamed: bool,
    stop: str = "end_turn",
    start: dict[str, Any] | None = None,
) -> Recording:
    """Make an answer with these final numbers; a stream begins with `start`."""
    message: dict[str, Any] = {
        "id": "msg_7",
        "type": "message",
        "role": "assistant",
        "model": SONNET,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }
    asked = {"model": "claude-sonnet-4-5", "max_tokens": 900, "stream": streamed}
    if not streamed:
        text = {"type": "text", "text": "Hello."}
        whole = {**message, "content": [text], "stop_reason": stop, "usage": usage}
        return made("anthropic", "/v1/messages", whole, asked=asked)
    begun = start or {"input_tokens": 1, "output_tokens": 1}
    events = named(
        {"type": "message_start", "message": {**message, "usage": begun}},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        {"type": "ping"},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Hello."},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop, "stop_sequence": None},
            "usage": usage,
        },
        {"type": "message_stop"},
    )
    return made("anthropic", "/v1/messages", events, asked=asked)


def assert_told(record: Recorded, stop: str = "end_turn") -> None:
    close = record.close
    assert (close.outcome, close.error_type) == (Outcome.COMPLETED, ErrorType.NONE)
    assert record.end.outcome is Outcome.COMPLETED
    assert close.usage_source is UsageSource.PROVIDER
    assert (close.finish_reason, close.response_id) == (stop, "msg_7")
    assert close.model_served == SONNET


@pytest.mark.parametrize(
    ("recording_id", "counts"),
    [
        ("4fe5c4630a2b-1", {"input": 17, "cache_write": 0, "output": 100}),
        ("b6ea77ccfc0a-1", {"input": 3, "cache_write": 14, "output": 459}),
    ],
)
async def test_what_is_cached_for_an_hour_costs_as_for_an_hour(
    recording_id: str, counts: dict[str, int], data_dir: Path
):
    record = await metered(data_dir, recorded(recording_id))
    counts = {**counts, "cache_write_long": 2056, "cache_read": 0}
    assert_costs(record, "anthropic", "claude-sonnet-4-20250514", **counts)
    hour, five_minutes = 6_000_000, 3_750_000  # pico-dollars a token
    assert record.close.cost.cache_write == (
        2056 * hour + counts["cache_write"] * five_minutes
    )


async def test_the_split_by_lifetime_comes_only_with_the_start_of_a_stream(
    data_dir: Path,
):
    start = {
        "input_tokens": 9,
        "cache_creation_input_tokens": 3000,
        "cache_read_input_tokens": 500,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 1000,
            "ephemeral_1h_input_tokens": 2000,
        },
        "output_tokens": 1,
    }
    final = {
        "input_tokens": 9,
        "cache_creation_input_tokens": 3600,
        "cache_read_input_tokens": 500,
        "output_tokens": 70,
    }
    record = await metered(data_dir, answer(final, streamed=True, start=start))
    assert_told(record)
    assert_costs(
        record,
        "anthropic",
        SONNET,
        input=9,
        cache_read=500,
        cache_write=1600,
        cache_write_long=2000,
        output=70,
    )


ADVISED = {
    "input_tokens": 300,
    "cache_read_input_tokens": 2_000,
    "cache_creation_input_tokens": 400,
    "output_tokens": 120,
    "iterations": [
        {
            "type": "message",
            "input_tokens": 200,
            "cache_read_input_tokens": 800,
            "cache_creation_input_tokens": 400,
            "output_tokens": 50,
        },
        {
            "type": "advisor_message",
            "model": OPUS,
            "input_tokens": 1_500,
            "cache_read_input_tokens": 10,
            "cache_creation_input_tokens": 20,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 5,
                "ephemeral_1h_input_tokens": 15,
            },
            "output_tokens": 333,
        },
        {
            "type": "message",
            "input_tokens": 100,
            "cache_read_input_tokens": 1_200,
            "cache_creation_input_tokens": 0,
            "output_tokens": 70,
        },
    ],
}


@either
async def test_an_advisor_is_a_part_with_its_own_model_tokens_and_price(
    streamed: bool, data_dir: Path
):
    record = await metered(data_dir, answer(ADVISED, streamed))
    assert_told(record)
    whole = {"input": 300, "cache_read": 2_000, "cache_write": 400, "output": 120}
    assert_costs(record, "anthropic", SONNET, **whole)
    (part,) = record.close.parts
    counts = {
        "input": 1_500,
        "cache_read": 10,
        "cache_write": 5,
        "cache_write_long": 15,
        "output": 333,
    }
    assert (part.model, part.usage) == (OPUS, Usage(**counts))
    assert_priced(record, part, "anthropic", OPUS, {}, counts)


COMPACTED = {
    "input_tokens": 23_000,
    "cache_read_input_tokens": 5_000,
    "cache_creation_input_tokens": 700,
    "output_tokens": 1_000,
    "iterations": [
        {
            "type": "compaction",
            "input_tokens": 180_000,
            "cache_read_input_tokens": 9_000,
            "cache_creation_input_tokens": 100,
            "output_tokens": 3_500,
        },
        {
            "type": "message",
            "input_tokens": 23_000,
            "cache_read_input_tokens": 5_000,
            "cache_creation_input_tokens": 700,
            "output_tokens": 1_000,
        },
    ],
}


@either
async def test_a_compaction_is_a_part_of_the_same_model_with_what_it_read_from_the_cache(
    streamed: bool, data_dir: Path
):
    record = await metered(data_dir, answer(COMPACTED, streamed))
    assert_told(record)
    whole = {"input": 23_000, "cache_read": 5_000, "cache_write": 700, "output": 1_000}
    assert_costs(record, "anthropic", SONNET, **whole)
    (part,) = record.close.parts
    counts = {
        "input": 180_000,
        "cache_read": 9_000,
        "cache_write": 100,
        "output": 3_500,
    }
    assert (part.model, part.usage) == (SONNET, Usage(**counts))
    assert_priced(record, part, "anthropic", SONNET, {}, counts)


@either
async def test_a_paused_turn_with_searches_counts_what_the_searches_read_and_their_fee(
    streamed: bool, data_dir: Path
):
    start = {
        "input_tokens": 702,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "output_tokens": 3,
    }
    final = {
        "input_tokens": 1_591,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "output_tokens": 88,
        "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 0},
    }
    paused = answer(final, streamed, "pause_turn", start)
    record = await metered(data_dir, paused)
    assert_told(record, "pause_turn")
    assert_costs(
        record,
        "anthropic",
        SONNET,
        {"web_search": 3},
        input=1_591,
        cache_read=0,
        cache_write=0,
        output=88,
    )
    assert record.close.cost.other == 30_000_000_000


async def test_thinking_is_priced_as_output_and_counted_apart(data_dir: Path):
    said = {
        "input_tokens": 50,
        "output_tokens": 400,
        "output_tokens_details": {"thinking_tokens": 320},
        "service_tier": "standard",
    }
    record = await metered(data_dir, answer(said, streamed=False))
    counts = {"input": 50, "output": 80, "reasoning": 320}
    assert_costs(record, "anthropic", SONNET, **counts)


async def test_an_overload_in_the_middle_of_a_stream_is_an_error_of_the_provider(
    data_dir: Path,
):
    whole = answer({"output_tokens": 9}, streamed=True, start={"input_tokens": 20})
    cut = whole.body[: whole.body.index(b"event: content_block_stop")]
    error = {"type": "overloaded_error", "message": "Overloaded"}
    asked = {"model": "claude-sonnet-4-5", "max_tokens": 9, "stream": True}
    body = cut + named({"type": "error", "error": error})
    record = await metered(
        data_dir, made("anthropic", "/v1/messages", body, asked=asked)
    )
    close = record.close
    assert close.outcome is Outcome.UPSTREAM_ERROR
    assert close.error_type is ErrorType.ERROR_IN_STREAM
    assert close.usage_source is UsageSource.PARTIAL
    assert close.usage.input == 20
