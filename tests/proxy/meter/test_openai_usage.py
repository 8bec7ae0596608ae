from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.draft import Draft
from proxy.meter.openai_usage import buckets, cost, details, take, timings, uses
from proxy.model import Usage


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2}, Usage(input=5, output=2)),
        ({"input_tokens": 5, "output_tokens": 2}, Usage(input=5, output=2)),
        (
            {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}},
            Usage(input=0, cache_read=9),
        ),
        (
            {
                "completion_tokens": 10,
                "completion_tokens_details": {"reasoning_tokens": 11},
            },
            Usage(output=0, reasoning=11),
        ),
        (
            {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 0}},
            Usage(input=5, cache_read=0),
        ),
        ({"prompt_tokens": 5, "prompt_tokens_details": None}, Usage(input=5)),
        (
            {
                "prompt_tokens": 5,
                "prompt_cache_hit_tokens": 4,
                "prompt_cache_miss_tokens": 1,
            },
            Usage(input=1, cache_read=4),
        ),
        ({"prompt_tokens": 5, "num_cached_tokens": 3}, Usage(input=2, cache_read=3)),
        ({"prompt_tokens": 5.0, "completion_tokens": "2"}, Usage(input=5)),
    ],
)
def test_totals_are_split_into_disjoint_buckets(said: dict[str, Any], expected: Usage):
    assert buckets(said) == expected


@pytest.mark.parametrize(
    "said",
    [
        None,
        {},
        {"total_tokens": 4},
        {"type": "duration", "seconds": 2},
        {"prompt_tokens": None},
    ],
)
def test_what_counts_no_tokens_is_none(said: dict[str, Any] | None):
    assert buckets(said) is None


XAI = {
    "prompt_tokens": 32,
    "completion_tokens": 9,
    "total_tokens": 135,
    "prompt_tokens_details": {"cached_tokens": 6, "text_tokens": 32},
    "completion_tokens_details": {"reasoning_tokens": 94},
}
CONNECTED = {"prompt_tokens": 188, "completion_tokens": 55, "connector_tokens": 7112}
GEMINI_COMPATIBLE = {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}
PERPLEXITY = {
    "prompt_tokens": 33,
    "completion_tokens": 7163,
    "total_tokens": 7196,
    "citation_tokens": 20016,
    "num_search_queries": 18,
    "reasoning_tokens": 73997,
    "cost": {"input_tokens_cost": 0.0, "total_cost": 0.410},
}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(XAI, Usage(input=26, cache_read=6, output=9, reasoning=94), id="outside, as the total tells"),
        pytest.param({**XAI, "completion_tokens": 103}, Usage(input=26, cache_read=6, output=9, reasoning=94), id="inside"),
        pytest.param(GEMINI_COMPATIBLE, Usage(input=35, output=12, reasoning=62), id="hidden"),
        pytest.param({**GEMINI_COMPATIBLE, "total_tokens": 47}, Usage(input=35, output=12), id="nothing hidden"),
        pytest.param({**GEMINI_COMPATIBLE, "total_tokens": 40}, Usage(input=35, output=12), id="a total that is too small"),
        pytest.param({**GEMINI_COMPATIBLE, "completion_tokens_details": {"reasoning_tokens": 5}}, Usage(input=35, output=12, reasoning=62), id="partly said"),
        pytest.param({**GEMINI_COMPATIBLE, "total_tokens": 48, "completion_tokens_details": {"reasoning_tokens": 5}}, Usage(input=35, output=8, reasoning=5), id="mostly inside"),
        pytest.param({"prompt_tokens": 5, "total_tokens": 9}, Usage(input=5), id="input only"),
        pytest.param({"completion_tokens": 5, "total_tokens": 25}, Usage(output=5), id="output only"),
        pytest.param({**CONNECTED, "total_tokens": 7355}, Usage(input=7300, output=55), id="connectors beside the input"),
        pytest.param({**CONNECTED, "total_tokens": 7360}, Usage(input=7300, output=55, reasoning=5), id="and something hidden"),
        pytest.param({**CONNECTED, "total_tokens": 243}, Usage(input=188, output=55), id="connectors inside of the input"),
        pytest.param(CONNECTED, Usage(input=188, output=55), id="connectors without a total"),
        pytest.param({"completion_tokens": 5, "connector_tokens": 7}, Usage(output=5), id="connectors alone"),
        pytest.param(PERPLEXITY, Usage(input=33, output=27179, reasoning=73997), id="beside the total"),
        pytest.param({"prompt_tokens": 3, "completion_tokens": 9, "num_search_queries": 1, "completion_tokens_details": {"reasoning_tokens": 4}}, Usage(input=3, output=5, reasoning=4), id="a search without"),
        pytest.param({"prompt_tokens": 3, "search_context_size": "low"}, Usage(input=3), id="a search so far"),
        pytest.param({"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14, "reasoning_tokens": 4}, Usage(input=5, output=5, reasoning=4), id="SGLang says it on top"),
        pytest.param({"prompt_tokens": 5, "cached_tokens": 2}, Usage(input=3, cache_read=2), id="Together"),
        pytest.param({"prompt_tokens": 9, "prompt_tokens_details": {"cache_write_tokens": 7, "cache_write_tokens_details": {"ttl_30m_tokens": 4, "ttl_12h_tokens": 3}}}, Usage(input=2, cache_write=4, cache_write_long=3), id="two lifetimes"),
        pytest.param({"input_tokens": 132, "input_token_details": {"text_tokens": 119, "audio_tokens": 13, "cached_tokens": 64, "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4}}}, Usage(input=59, cache_read=64, audio_in=9), id="cached audio"),
        pytest.param({"prompt_tokens": 9, "completion_tokens": 10, "completion_tokens_details": {"accepted_prediction_tokens": 4, "rejected_prediction_tokens": 3, "reasoning_tokens": 0}}, Usage(input=9, output=10, reasoning=0), id="predictions are inside"),
    ],
)  # fmt: skip
def test_who_counts_otherwise_is_told_by_the_numbers(said, expected):
    assert buckets(said) == expected


def test_tokens_with_a_price_of_their_own_are_told_beside():
    said = {
        "prompt_tokens_details": {
            "video_tokens": 5,
            "cached_tokens_details": {"audio_tokens": 3, "image_tokens": 2},
        },
        "completion_tokens_details": {"image_tokens": 7, "video_tokens": 0},
        "citation_tokens": 4,
    }
    assert details(said) == {
        "cache_audio_read": 3,
        "cache_image_read": 2,
        "input_video": 5,
        "output_image": 7,
        "output_citation": 4,
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (PERPLEXITY, {"web_search": 18}),
        (
            {
                "num_sources_used": 2,
                "server_side_tool_usage_details": {"x_search_calls": 3, "mcp_calls": 0},
            },
            {"live_search_source": 2, "x_search": 3},
        ),
        (
            {"server_side_tool_usage": {"SERVER_SIDE_TOOL_WEB_SEARCH": 2}},
            {"web_search": 2},
        ),
        ({"server_tool_use": {"web_search_requests": 1}}, {"web_search": 1}),
        ({"server_tool_use": {"web_search_requests": "x"}}, {}),
        ({"type": "duration", "seconds": 3}, {"input_audio_seconds": 3}),
        ({"type": "duration", "seconds": 2.2}, {"input_audio_seconds": 3}),
        ({"type": "duration", "seconds": -2.2}, {}),
        ({"prompt_audio_seconds": 7}, {"input_audio_seconds": 7}),
        ({"prompt_audio_seconds": {}}, {}),
    ],
)
def test_what_is_billed_by_use_is_counted(said, expected):
    assert uses(said) == expected


@pytest.mark.parametrize(
    ("said", "pico_dollars"),
    [
        (b'{"cost":0.00014175,"is_byok":false}', 141_750_000),
        (b'{"cost":0}', 0),
        (b'{"cost":1e-12}', 1),
        (b'{"cost":0.0000000000005}', 0),
        (b'{"cost":0.0000000000015}', 2),
        (b'{"cost":0.1000000000000000055511151231257827}', 100_000_000_000),
        (
            b'{"cost":0.000001,"is_byok":true,"cost_details":{"upstream_inference_cost":6.3e-06}}',
            7_300_000,
        ),
        (
            b'{"cost":0.5,"is_byok":false,"cost_details":{"upstream_inference_cost":9}}',
            500_000_000_000,
        ),
        (b'{"cost":0.5,"is_byok":true,"cost_details":null}', 500_000_000_000),
        (b'{"cost_in_usd_ticks":37756000,"cost":1}', 3_775_600_000),
        (b'{"cost":{"total_cost":0.006}}', 6_000_000_000),
        (b'{"estimated_cost":0.25}', 250_000_000_000),
        (b'{"cost":{"total":1}}', None),
        (b'{"cost":"0.1"}', None),
        (b'{"cost":true}', None),
        (b'{"cost":null}', None),
        (b'{"cost":-0.1}', None),
        (b'{"cost":1000001}', None),
        (b'{"cost":1e999999999}', None),
        (b'{"cost":1e99999999999999999999}', None),
        (b'["cost"]', None),
        (b'{"cost', None),
        (b'{"prompt_tokens":1}', None),
        (b"", None),
    ],
)
def test_a_providers_own_total_is_exact(said: bytes, pico_dollars: int | None):
    assert cost(msgspec.Raw(said)) == pico_dollars


def taken(*said: dict[str, Any]) -> Draft:
    draft = Draft(200)
    for each in said:
        take(draft, msgspec.Raw(msgspec.json.encode(each)))
    return draft


def test_of_usage_that_comes_several_times_the_last_wins():
    draft = taken({**PERPLEXITY, "num_search_queries": 1}, PERPLEXITY, {}, {"a": 1})
    assert draft.usage == buckets(PERPLEXITY)
    assert draft.server_tool_uses == {"web_search": 18}
    assert draft.details == {"output_citation": 20016}
    assert draft.cost == 410_000_000_000


def test_an_answer_may_be_nothing_but_hidden_thinking():
    assert taken({"prompt_tokens": 5, "total_tokens": 9}).usage == Usage(
        input=5, output=0, reasoning=4
    )
    assert taken({"total_tokens": 9}).usage is None
    assert taken({"prompt_tokens": 9, "total_tokens": 9}).usage == Usage(input=9)


def test_llama_cpp_says_timings_even_where_nobody_asked_for_usage():
    said = {"cache_n": 3, "prompt_n": 12, "prompt_ms": 1.5, "predicted_n": 7}
    assert timings(said) == Usage(input=12, cache_read=3, output=7)
    assert timings({"prompt_n": 12}) is None


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.integers(-5, 10**6) | st.none() | st.text(max_size=2)
            for name in (
                "prompt_tokens", "completion_tokens", "total_tokens", "reasoning_tokens", "citation_tokens", "num_search_queries", "cached_tokens",
            )
        },
    )
)  # fmt: skip
def test_no_numbers_of_strangers_break_the_arithmetic(said):
    buckets(said)
    uses(said)
    details(said)
    taken(said)
