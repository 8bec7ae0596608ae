import pytest

from proxy.meter import aws_usage
from proxy.model import Usage


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (None, None),
        ({}, None),
        ({"totalTokens": 3}, None),
        ({"inputTokens": 3, "outputTokens": 4}, Usage(input=3, output=4)),
        ({"inputTokens": 30}, Usage(input=30)),
        ({"inputTokenCount": 3, "outputTokenCount": 0}, Usage(input=3, output=0)),
        (
            {
                "inputTokens": 1,
                "outputTokens": 2,
                "cacheReadInputTokenCount": 5,
                "cacheReadInputTokens": 5,
                "cacheWriteInputTokenCount": 9,
                "cacheWriteInputTokens": 9,
                "cacheDetails": [
                    {"ttl": "1h", "inputTokens": 6},
                    {"ttl": "5m", "inputTokens": 3},
                    "odd",
                    {"ttl": 5},
                ],
            },
            Usage(input=1, cache_read=5, cache_write=3, cache_write_long=6, output=2),
        ),
        (
            {
                "inputTokens": 1,
                "cacheWriteInputTokens": 9,
                "cacheDetails": [{"ttl": "5m", "inputTokens": 9}],
            },
            Usage(input=1, cache_write=9),
        ),
        (
            {"inputTokens": 1, "cacheDetails": [{"ttl": "5m", "inputTokens": 9}]},
            Usage(input=1, cache_write=9),
        ),
        (
            {
                "inputTokens": 1,
                "cacheWriteInputTokens": 2,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 9}],
            },
            Usage(input=1, cache_write=0, cache_write_long=9),
        ),
    ],
)
def test_buckets(said: dict[str, object] | None, usage: Usage | None):
    assert aws_usage.buckets(said) == usage


def test_server_tools_are_named_in_snake_case():
    said = {"serverToolUsage": {"webSearchRequests": 2, "other": 0, "odd": "x"}}
    assert aws_usage.server_tools(said) == {"web_search_requests": 2}
    assert aws_usage.server_tools({}) == aws_usage.server_tools(None) == {}


METRICS = Usage(input=10, cache_read=5, cache_write=3, output=7)


@pytest.mark.parametrize(
    ("usage", "more", "inclusive", "result"),
    [
        (None, None, False, None),
        (None, METRICS, False, METRICS),
        (METRICS, None, False, METRICS),
        (Usage(input=9, output=8), METRICS, True, Usage(input=9, output=8)),
        (Usage(input=9), METRICS, True, Usage(input=9, output=7)),
        (
            Usage(input=9, output=8),
            METRICS,
            False,
            Usage(input=9, cache_read=5, cache_write=3, output=8),
        ),
        (
            Usage(input=9, cache_read=0, cache_write_long=3, reasoning=1),
            METRICS,
            False,
            Usage(input=9, cache_read=0, cache_write_long=3, reasoning=1),
        ),
        (
            Usage(cache_read=1, output=8),
            METRICS,
            False,
            Usage(input=10, cache_read=5, cache_write=3, output=8),
        ),
    ],
)
def test_what_one_leaves_out_the_other_fills(
    usage: Usage | None, more: Usage | None, inclusive: bool, result: Usage | None
):
    assert aws_usage.filled_up(usage, more, inclusive=inclusive) == result
