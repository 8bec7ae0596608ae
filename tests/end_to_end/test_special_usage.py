"""Answers of other providers than Anthropic whose numbers are easily read wrong: from the bytes to tokens and dollars.

What lives here: caches with lifetimes, counts that grow or shrink in a stream, hidden thinking, audio, errors inside of a 200. What does
not: the wire families as such (`tests/proxy/meter/`).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.model import CostSource, ErrorType, Outcome, Usage, UsageSource
from tests.helpers import eventstream
from tests.helpers.made import assert_costs, assert_priced, made, metered, recorded
from tests.helpers.meter import data
from tests.helpers.metering import read_recording
from tests.helpers.records import Recorded

CHAT = "/v1/chat/completions"
COMPATIBLE = "/v1beta/openai/chat/completions"
GENERATE = "/v1beta/models/gemini-2.5-flash:generateContent"
STREAM = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
FRAMES = "application/vnd.amazon.eventstream"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"

either = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def assert_completed(record: Recorded, finish_reason: str) -> None:
    close = record.close
    assert (close.outcome, close.error_type) == (Outcome.COMPLETED, ErrorType.NONE)
    assert record.end.outcome is Outcome.COMPLETED
    assert close.usage_source is UsageSource.PROVIDER
    assert close.finish_reason == finish_reason


def completion(model: str, usage: dict[str, Any], **message: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hello.", **message},
        "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
    }
    return {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [choice],
        "usage": usage,
    }


def chunk(model: str, text: str | None, **more: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "delta": {} if text is None else {"content": text},
        "finish_reason": more.pop("finish", None),
    }
    return {
        "id": "c-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": model,
        "choices": [choice],
        **more,
    }


# Bedrock


@either
async def test_bedrock_caches_with_lifetimes_cost_by_their_lifetime(
    streamed: bool, data_dir: Path
):
    usage = {
        "inputTokens": 12,
        "outputTokens": 80,
        "totalTokens": 4_192,
        "cacheReadInputTokens": 1_100,
        "cacheWriteInputTokens": 3_000,
        "cacheDetails": [
            {"ttl": "5m", "inputTokens": 1_000},
            {"ttl": "1h", "inputTokens": 2_000},
        ],
    }
    name = "converse-stream" if streamed else "converse"
    path = f"/model/{CLAUDE}/{name}".replace(":", "%3A")
    frames = (
        eventstream.event("messageStart", role="assistant"),
        eventstream.event(
            "contentBlockDelta", contentBlockIndex=0, delta={"text": "Hello."}
        ),
        eventstream.event("contentBlockStop", contentBlockIndex=0),
        eventstream.event("messageStop", stopReason="end_turn"),
        eventstream.event("metadata", usage=usage, metrics={"latencyMs": 9}),
    )
    message = {"role": "assistant", "content": [{"text": "Hello."}]}
    whole = {
        "output": {"message": message},
        "stopReason": "end_turn",
        "usage": usage,
        "metrics": {"latencyMs": 9},
    }
    exchange = made(
        "bedrock",
        path,
        b"".join(frames) if streamed else whole,
        content_type=FRAMES if streamed else "",
    )
    record = await metered(data_dir, exchange)
    assert_completed(record, "end_turn")
    assert record.open.model_requested == CLAUDE
    assert_costs(
        record,
        "aws",
        CLAUDE,
        input=12,
        cache_read=1_100,
        cache_write=1_000,
        cache_write_long=2_000,
        output=80,
    )


@pytest.mark.parametrize(
    ("recording_id", "output"), [("2294299670e7-1", 185), ("ae8f74414b43-1", 250)]
)
async def test_what_bedrock_read_from_a_cache_is_not_in_its_input(
    recording_id: str, output: int, data_dir: Path
):
    record = await metered(data_dir, recorded(recording_id))
    assert_costs(
        record,
        "aws",
        "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
        input=12,
        cache_read=1_028,
        cache_write=0,
        output=output,
    )


async def test_an_exception_in_a_stream_of_bedrock_is_an_error_after_a_200(
    data_dir: Path,
):
    frames = (
        eventstream.event("messageStart", role="assistant"),
        eventstream.event(
            "contentBlockDelta", contentBlockIndex=0, delta={"text": "Hello."}
        ),
        eventstream.exception("modelStreamErrorException", "The model broke."),
    )
    path = f"/model/{CLAUDE}/converse-stream".replace(":", "%3A")
    exchange = made("bedrock", path, b"".join(frames), content_type=FRAMES)
    record = await metered(data_dir, exchange)
    assert record.close.outcome is Outcome.UPSTREAM_ERROR
    assert record.close.error_type is ErrorType.ERROR_IN_STREAM


# Gemini


def gemini(text: str, usage: dict[str, Any], **more: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    return {
        "candidates": [candidate | more],
        "usageMetadata": usage,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r-1",
    }


async def test_gemini_counts_of_a_file_search_may_fall_and_the_last_ones_hold(
    data_dir: Path,
):
    first = {"promptTokenCount": 15, "candidatesTokenCount": 51, "totalTokenCount": 66}
    second = {"promptTokenCount": 15, "thoughtsTokenCount": 40, "totalTokenCount": 55}
    last = {
        "promptTokenCount": 18,
        "candidatesTokenCount": 108,
        "thoughtsTokenCount": 44,
        "toolUsePromptTokenCount": 1_200,
        "totalTokenCount": 1_370,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 18}],
        "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 1_200}],
    }
    source = {"retrievedContext": {"title": "a.txt", "text": "…"}}
    events = data(
        gemini("The ", first),
        gemini("answer", second),
        gemini(
            ".",
            last,
            finishReason="STOP",
            groundingMetadata={"groundingChunks": [source]},
        ),
    ).replace(b"\n", b"\r\n")
    record = await metered(data_dir, made("gemini", STREAM, events))
    assert_completed(record, "STOP")
    assert record.close.response_id == "r-1"
    assert_costs(
        record, "google", "gemini-2.5-flash", input=1_218, output=108, reasoning=44
    )


@either
async def test_gemini_tokens_from_a_cache_are_in_its_prompt_and_cost_less(
    streamed: bool, data_dir: Path
):
    usage = {
        "promptTokenCount": 5_000,
        "cachedContentTokenCount": 4_200,
        "candidatesTokenCount": 30,
        "totalTokenCount": 5_030,
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 4_200}],
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5_000}],
    }
    whole = gemini("Yes.", usage, finishReason="STOP")
    body = data(whole) if streamed else whole
    record = await metered(
        data_dir, made("gemini", STREAM if streamed else GENERATE, body)
    )
    assert_completed(record, "STOP")
    assert_costs(
        record, "google", "gemini-2.5-flash", input=800, cache_read=4_200, output=30
    )


async def test_a_stream_of_gemini_without_sse_is_one_json_array(data_dir: Path):
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 9, "totalTokenCount": 16}
    chunks = [
        gemini("a", {"promptTokenCount": 7, "totalTokenCount": 7}),
        gemini("b", usage, finishReason="STOP"),
    ]
    path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
    body = json.dumps(chunks, indent=2).encode()
    exchange = made("gemini", path, body, content_type="application/json")
    record = await metered(data_dir, exchange)
    assert_completed(record, "STOP")
    assert_costs(record, "google", "gemini-2.5-flash", input=7, output=9)


async def test_the_compatible_endpoint_of_gemini_hides_thinking_in_its_total(
    data_dir: Path,
):
    usage = {"completion_tokens": 12, "prompt_tokens": 35, "total_tokens": 109}
    call = {"type": "function", "function": {"name": "weather", "arguments": "{}"}}
    answer = completion(
        "gemini-2.5-flash", usage, tool_calls=[call, {**call, "id": ""}]
    )
    exchange = made("gemini", COMPATIBLE, answer, asked={"model": "gemini-2.5-flash"})
    calls = read_recording(exchange, [exchange.body]).tool_calls
    assert [(each.id, each.name) for each in calls] == [("", "weather")] * 2
    record = await metered(data_dir, exchange)
    assert_completed(record, "tool_calls")
    assert_costs(
        record, "google", "gemini-2.5-flash", input=35, output=12, reasoning=62
    )


async def test_streamed_tool_calls_of_gemini_without_ids_are_still_two(data_dir: Path):
    def part(index: int) -> dict[str, Any]:
        call = {"function": {"name": "weather", "arguments": "{}"}, "type": "function"}
        found = chunk("gemini-2.5-flash", None, finish="tool_calls" if index else None)
        found["choices"][0]["delta"] = {"tool_calls": [{**call, "index": index}]}
        return found

    usage = {"completion_tokens": 12, "prompt_tokens": 35, "total_tokens": 47}
    events = data(part(0), {**part(1), "usage": usage}, done=True)
    asked = {
        "model": "gemini-2.5-flash",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    exchange = made("gemini", COMPATIBLE, events, asked=asked)
    calls = read_recording(exchange, [exchange.body]).tool_calls
    assert [(each.id, each.name) for each in calls] == [("", "weather")] * 2
    record = await metered(data_dir, exchange)
    assert_completed(record, "tool_calls")
    assert_costs(record, "google", "gemini-2.5-flash", input=35, output=12)


# Errors inside of a 200


async def test_an_error_in_the_middle_of_a_stream_of_groq(data_dir: Path):
    error = {
        "message": "Failed to call a function.",
        "type": "invalid_request_error",
        "code": "tool_use_failed",
        "failed_generation": "<function=weather>",
        "status_code": 400,
    }
    events = data(
        {**chunk("llama-3.3-70b-versatile", ""), "x_groq": {"id": "req_1"}},
        chunk("llama-3.3-70b-versatile", "Well"),
    )
    events += b"event: error\n" + data({"error": error}, done=True)
    asked = {"model": "llama-3.3-70b-versatile", "stream": True}
    record = await metered(
        data_dir, made("groq", "/openai" + CHAT, events, asked=asked)
    )
    close = record.close
    assert close.outcome is Outcome.UPSTREAM_ERROR
    assert close.error_type is ErrorType.ERROR_IN_STREAM
    assert close.model_served == "llama-3.3-70b-versatile"
    assert close.usage_source is UsageSource.ESTIMATED


async def test_an_error_inside_of_a_200_stream_of_openrouter(data_dir: Path):
    model = "anthropic/claude-sonnet-4.5"
    comment = b": OPENROUTER PROCESSING\n\n"
    error = {"code": 502, "message": "Provider disconnected", "metadata": {}}
    events = comment + data(chunk(model, "Well")) + comment
    events += data(chunk(model, "", finish="error", error=error), done=True)
    asked = {"model": model, "stream": True}
    record = await metered(
        data_dir, made("openrouter", "/api" + CHAT, events, asked=asked)
    )
    close = record.close
    assert close.outcome is Outcome.UPSTREAM_ERROR
    assert close.error_type is ErrorType.ERROR_IN_STREAM
    assert (close.model_served, close.response_id) == (model, "c-1")


# Numbers that repeat, grow, or stand in odd places


async def test_cumulative_usage_in_a_recorded_stream_of_deepseek_is_not_summed(
    data_dir: Path,
):
    record = await metered(data_dir, recorded("4df0966330e8-1"))
    assert_completed(record, "stop")
    assert_costs(record, "deepseek", "deepseek-chat", input=12, output=8)


async def test_the_last_of_growing_usages_of_deepseek_holds(data_dir: Path):
    def usage(output: int) -> dict[str, Any]:
        return {
            "prompt_tokens": 100,
            "completion_tokens": output,
            "total_tokens": 100 + output,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
            "completion_tokens_details": {"reasoning_tokens": min(output, 5)},
        }

    model = "deepseek-reasoner"
    steps = [chunk(model, f"{step} ", usage=usage(step)) for step in range(1, 9)]
    events = data(*steps, chunk(model, "", finish="stop", usage=usage(9)), done=True)
    asked = {"model": model, "stream": True}
    record = await metered(data_dir, made("deepseek", CHAT, events, asked=asked))
    assert_completed(record, "stop")
    counts = {"input": 36, "cache_read": 64, "output": 4, "reasoning": 5}
    assert_costs(record, "deepseek", model, **counts)


async def test_the_first_chunk_of_azure_passes_and_the_usage_that_we_asked_for_does_not(
    data_dir: Path,
):
    """`metered` compares the bytes: all but the event with usage must have passed."""
    model = "gpt-4o-2024-11-20"
    first = {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
    }
    usage = {"prompt_tokens": 21, "completion_tokens": 5, "total_tokens": 26}
    last = {**chunk(model, None), "choices": [], "usage": usage}
    events = data(
        first, chunk(model, "Hi"), chunk(model, None, finish="stop"), last, done=True
    )
    path = "/openai/deployments/d/chat/completions?api-version=2024-10-21"
    asked = {"messages": [], "stream": True}
    record = await metered(data_dir, made("azure", path, events, asked=asked))
    assert_completed(record, "stop")
    assert "usage_injected" in record.close.altered
    assert record.open.model_requested == "d"
    assert (record.close.model_served, record.close.response_id) == (model, "c-1")
    assert_costs(record, "azure", model, input=21, output=5)


async def test_recorded_first_chunks_of_azure_pass(data_dir: Path):
    found = recorded("7c9c3425e1a8-1")
    assert b"prompt_filter_results" in found.body.partition(b"\n")[0]
    record = await metered(data_dir, found)
    assert record.close.outcome is Outcome.COMPLETED
    assert record.close.usage_source is UsageSource.ESTIMATED


async def test_openai_audio_is_priced_as_audio(data_dir: Path):
    model = "gpt-audio-2025-08-28"
    usage = {
        "prompt_tokens": 130,
        "completion_tokens": 90,
        "total_tokens": 220,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 100},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 70},
    }
    exchange = made("openai", CHAT, completion(model, usage), asked={"model": model})
    record = await metered(data_dir, exchange)
    assert_completed(record, "stop")
    assert_costs(
        record,
        "openai",
        model,
        input=30,
        cache_read=0,
        output=20,
        reasoning=0,
        audio_in=100,
        audio_out=70,
    )
    assert record.close.cost.input == 30 * 2_500_000 + 100 * 32_000_000
    assert record.close.cost.output == 20 * 10_000_000 + 70 * 64_000_000


async def test_more_details_than_there_are_tokens_make_no_bucket_negative(
    data_dir: Path,
):
    record = await metered(data_dir, recorded("9932702cfdd7-1"))
    assert_completed(record, "stop")
    assert record.close.usage == Usage(
        input=17, cache_read=1, output=0, reasoning=3, audio_in=2, audio_out=4
    )
    assert record.close.cost.source is CostSource.COMPUTED


@pytest.mark.parametrize(
    ("recording_id", "counts"),
    [
        ("4170f80dd1d6-1", {"output": 0, "reasoning": 100}),
        ("e37ac7f147f4-1", {"output": 46, "reasoning": 54}),
    ],
    ids=["chat", "responses"],
)
async def test_what_openai_writes_to_its_cache_is_in_its_input(
    recording_id: str, counts: dict[str, int], data_dir: Path
):
    exchange = recorded(recording_id)
    record = await metered(data_dir, exchange)
    close = record.close
    known = {name: count for name, count in counts.items() if count}
    expected = {"input": 3, "cache_write": 1_217} | known
    found = {name: getattr(close.usage, name) for name in expected}
    assert found == expected
    assert (close.outcome, close.usage_source) == (
        Outcome.COMPLETED,
        UsageSource.PROVIDER,
    )
    assert close.cost.source is CostSource.COMPUTED
    assert close.cost.cache_write


async def test_openai_cache_writes_for_twelve_hours_have_a_bucket_of_their_own(
    data_dir: Path,
):
    model = "gpt-5.6-sol"
    usage = {
        "input_tokens": 1_500,
        "input_tokens_details": {
            "cached_tokens": 200,
            "cache_write_tokens": 1_000,
            "cache_write_tokens_details": {
                "ttl_30m_tokens": 600,
                "ttl_12h_tokens": 400,
            },
        },
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 1_510,
    }
    answer = {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": model,
        "output": [],
        "usage": usage,
    }
    record = await metered(
        data_dir, made("openai", "/v1/responses", answer, asked={"model": model})
    )
    assert_completed(record, "completed")
    assert_costs(
        record,
        "openai",
        model,
        input=300,
        cache_read=200,
        cache_write=600,
        cache_write_long=400,
        output=10,
        reasoning=0,
    )


# Prices that are not the table's


@either
async def test_the_cost_that_openrouter_says_is_the_cost(
    streamed: bool, data_dir: Path
):
    model = "openai/gpt-4o-mini"
    usage = {
        "prompt_tokens": 1_000,
        "completion_tokens": 500,
        "total_tokens": 1_500,
        "cost": 0.000123456789012,
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": 200},
    }
    stream = data(
        chunk(model, "Hello."), chunk(model, "", finish="stop", usage=usage), done=True
    )
    answer = stream if streamed else completion(model, usage)
    asked = {"model": model, "stream": streamed}
    record = await metered(
        data_dir, made("openrouter", "/api" + CHAT, answer, asked=asked)
    )
    assert_completed(record, "stop")
    cost = record.close.cost
    assert cost.source is CostSource.PROVIDER
    assert cost.total() == 123_456_789
    # In proportion to what the table says: 0.15, 0.075 and 0.6 dollars for a million.
    computed = {"input": 120, "cache_read": 15, "output": 300}
    for part, share in computed.items():
        assert abs(getattr(cost, part) - 123_456_789 * share / 435) <= 1


@pytest.mark.parametrize("tier", ["flex", "priority", "default"])
async def test_openai_service_tiers_have_prices_of_their_own(tier: str, data_dir: Path):
    model = "gpt-5-2025-08-07"
    usage = {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100}
    answer = completion(model, usage) | {"service_tier": tier}
    asked = {"model": model, "service_tier": "auto"}
    record = await metered(data_dir, made("openai", CHAT, answer, asked=asked))
    assert_completed(record, "stop")
    counts, context = {"input": 1_000, "output": 100}, {"service_tier": tier}
    assert record.close.usage == Usage(**counts)
    assert_priced(record, record.close, "openai", model, {}, counts, context)
    by_tier = {"flex": 625_000, "priority": 2_500_000, "default": 1_250_000}
    assert record.close.cost.input == 1_000 * by_tier[tier]


async def test_a_long_prompt_of_gemini_costs_the_price_of_long_prompts_for_all_of_it(
    data_dir: Path,
):
    usage = {
        "promptTokenCount": 250_000,
        "cachedContentTokenCount": 100_000,
        "candidatesTokenCount": 10,
        "totalTokenCount": 250_010,
    }
    answer = gemini("Yes.", usage, finishReason="STOP")
    answer["modelVersion"] = "gemini-2.5-pro"
    path = GENERATE.replace("flash", "pro")
    record = await metered(data_dir, made("gemini", path, answer))
    counts = {"input": 150_000, "cache_read": 100_000, "output": 10}
    assert_costs(record, "google", "gemini-2.5-pro", **counts)
    assert record.close.cost.input == 150_000 * 2_500_000


async def test_a_model_that_is_served_under_an_unknown_name_costs_what_was_asked_for(
    data_dir: Path,
):
    served, model = "gpt-4o-mini-of-the-house", "gpt-4o-mini"
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
    answer = completion(f"nobody/{served}", usage)
    record = await metered(
        data_dir, made("openai", CHAT, answer, asked={"model": model})
    )
    assert record.close.model_served == f"nobody/{served}"
    assert_costs(record, "openai", model, input=10, output=20)
