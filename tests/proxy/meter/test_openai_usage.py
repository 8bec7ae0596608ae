from typing import Any

import pytest

from proxy.meter.openai_usage import buckets
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
