from typing import Any

import pytest

from proxy.meter import gemini_usage
from proxy.model import Usage


def by(**counts: int) -> list[dict[str, Any]]:
    return [{"modality": name, "tokenCount": n} for name, n in counts.items()]


def read(**said: Any) -> tuple[Usage | None, dict[str, int]]:
    return gemini_usage.buckets(gemini_usage.of_metadata(said))


def test_the_prompt_includes_the_cached_and_excludes_what_tools_read():
    usage, details = read(
        promptTokenCount=100,
        cachedContentTokenCount=60,
        toolUsePromptTokenCount=7,
        candidatesTokenCount=20,
        thoughtsTokenCount=30,
        totalTokenCount=157,
    )
    assert usage == Usage(input=47, cache_read=60, output=20, reasoning=30)
    assert usage.total() == 157
    assert details == {}


def test_what_nobody_said_stays_unknown():
    assert read() == (None, {})
    assert read(trafficType="ON_DEMAND", totalTokenCount=3) == (None, {})
    assert read(promptTokenCount="7", candidatesTokenCount=-1) == (None, {})
    assert read(promptTokenCount=0)[0] == Usage(input=0)
    assert read(candidatesTokenCount=23, thoughtsTokenCount=67)[0] == Usage(
        output=23, reasoning=67
    )
    assert read(toolUsePromptTokenCount=5)[0] == Usage(input=5)
    assert read(cachedContentTokenCount=5)[0] == Usage(cache_read=5)


def test_modalities_have_buckets_or_are_details():
    usage, details = read(
        promptTokenCount=1000,
        promptTokensDetails=by(TEXT=100, AUDIO=300, IMAGE=200, DOCUMENT=50, VIDEO=350),
        cachedContentTokenCount=130,
        cacheTokensDetails=by(TEXT=10, AUDIO=100, VIDEO=20),
        toolUsePromptTokenCount=60,
        toolUsePromptTokensDetails=by(TEXT=10, IMAGE=40, VIDEO=10),
        candidatesTokenCount=500,
        candidatesTokensDetails=by(TEXT=100, AUDIO=150, IMAGE=240, VIDEO=10),
    )
    assert usage == Usage(
        input=1000 - 130 + 60 - 200 - 290,
        cache_read=130,
        output=350,
        audio_in=200,
        audio_out=150,
        image_in=290,
    )
    assert usage.total() == 1560
    assert details == {
        "input_video": 340,
        "cache_audio_read": 100,
        "cache_video_read": 20,
        "output_image": 240,
        "output_video": 10,
    }


def test_modalities_written_as_numbers_are_the_same():
    numbers = [{"modality": n, "tokenCount": 10} for n in (1, 2, 3, 4, 5, 99)]
    usage, details = read(promptTokenCount=60, promptTokensDetails=numbers)
    assert usage == Usage(input=30, audio_in=10, image_in=20)
    assert details == {"input_video": 10}


def test_no_part_is_larger_than_the_whole():
    usage, details = read(
        promptTokenCount=100,
        promptTokensDetails=by(AUDIO=80, IMAGE=70, VIDEO=60),
        cachedContentTokenCount=60,
        cacheTokensDetails=by(IMAGE=90),
        candidatesTokenCount=5,
        candidatesTokensDetails=by(IMAGE=9),
    )
    assert usage == Usage(input=0, cache_read=60, output=5, audio_in=40, image_in=0)
    assert details == {"cache_image_read": 60, "output_image": 5}


@pytest.mark.parametrize("odd", [7, "x", [None, 3, {"modality": None}, {}]])
def test_a_breakdown_that_cannot_be_read_is_none(odd: Any):
    assert read(promptTokenCount=9, promptTokensDetails=odd) == (Usage(input=9), {})


def test_an_interaction_counts_alike():
    said = {
        "total_input_tokens": 267,
        "input_tokens_by_modality": [
            {"modality": "text", "tokens": 9},
            {"modality": "image", "tokens": 258},
        ],
        "total_cached_tokens": 4,
        "total_output_tokens": 3,
        "output_tokens_by_modality": [{"modality": "audio", "tokens": 2}],
        "total_tool_use_tokens": 5,
        "total_thought_tokens": 57,
    }
    counts = gemini_usage.of_interaction(said)
    usage = Usage(
        input=10,
        cache_read=4,
        output=1,
        reasoning=57,
        image_in=258,
        audio_out=2,
    )
    assert gemini_usage.buckets(counts) == (usage, {})


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ({}, ""),
        ({"serviceTier": "flex", "trafficType": "ON_DEMAND"}, "flex"),
        ({"serviceTier": "STANDARD"}, "standard"),
        ({"trafficType": "ON_DEMAND"}, "on_demand"),
        ({"trafficType": "ON_DEMAND_PRIORITY"}, "priority"),
        ({"trafficType": "ON_DEMAND_FLEX"}, "flex"),
        ({"trafficType": 1}, "on_demand"),
        ({"trafficType": 2}, "provisioned_throughput"),
        ({"trafficType": 77}, ""),
        ({"trafficType": []}, ""),
    ],
)
def test_the_tier_is_in_the_words_of_the_price_table(said: dict[str, Any], tier: str):
    assert gemini_usage.service_tier(said) == tier


@pytest.mark.parametrize(
    ("model", "queries", "billed"),
    [
        ("gemini-2.5-flash", 3, {"web_search": 1}),
        ("gemini-2.0-flash-001", 1, {"web_search": 1}),
        ("gemini-1.5-pro", 2, {"web_search": 1}),
        ("gemini-3-pro-preview", 3, {"web_search": 3}),
        ("gemini-3.5-flash", 3, {"web_search": 3}),
        ("gemini-20", 2, {"web_search": 2}),
        ("gemini-2.5-pro", 0, {}),
        ("", 2, {"web_search": 2}),
    ],
)
def test_searches_are_billed_by_prompt_up_to_2_5_and_by_query_after(
    model: str, queries: int, billed: dict[str, int]
):
    assert gemini_usage.web_searches(model, queries) == billed
