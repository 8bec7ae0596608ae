from typing import Any

import msgspec
import pytest

from proxy.meter import cohere_usage
from proxy.meter.draft import Draft
from proxy.model import Usage
from tests.helpers.meter import dumps


def taken(said: Any) -> Draft:
    draft = Draft(200)
    cohere_usage.take(draft, msgspec.Raw(dumps(said)))
    return draft


@pytest.mark.parametrize(
    ("billed", "usage"),
    [
        ({"input_tokens": 6, "output_tokens": 33}, Usage(input=6, output=33)),
        ({"input_tokens": 6.0, "output_tokens": 0}, Usage(input=6, output=0)),
        ({"input_tokens": 208}, Usage(input=208)),
        ({"text_tokens": 5, "image_tokens": 7}, Usage(input=5, image_in=7)),
        (
            {"input_tokens": 12, "text_tokens": 5, "image_tokens": 7},
            Usage(input=5, image_in=7),
        ),
        ({"input_tokens": 7, "image_tokens": 7}, Usage(input=0, image_in=7)),
        ({"input_tokens": 12, "image_tokens": 7}, Usage(input=12, image_in=7)),
    ],
)
def test_the_buckets_are_what_is_billed(billed: dict[str, float], usage: Usage):
    said = {
        "billed_units": billed,
        "tokens": {"input_tokens": 501, "output_tokens": 35},
        "cached_tokens": 448,
    }
    draft = taken(said)
    assert draft.usage == usage
    assert draft.usage_json == dumps(said)
    assert draft.server_tool_uses == {}


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (
            {
                "tokens": {"input_tokens": 212, "output_tokens": 49},
                "cached_tokens": 208,
            },
            Usage(input=4, cache_read=208, output=49),
        ),
        ({"tokens": {"input_tokens": 2}}, Usage(input=2)),
        ({"tokens": {"output_tokens": 2}, "billed_units": {}}, Usage(output=2)),
        ({"tokens": {"input_tokens": 2}, "cached_tokens": 9}, Usage(0, 9)),
    ],
)
def test_tokens_count_where_nothing_is_said_to_be_billed(
    said: dict[str, Any], usage: Usage
):
    assert taken(said).usage == usage


def test_what_is_billed_by_the_piece_has_no_tokens():
    draft = taken({"billed_units": {"search_units": 2, "pages": 0}})
    assert draft.usage == Usage()
    assert draft.server_tool_uses == {"search_units": 2}


@pytest.mark.parametrize(
    "said", [None, [], {}, {"billed_units": {}}, {"billed_units": {"input_tokens": -1}}]
)
def test_what_counts_nothing_is_no_usage(said: Any):
    draft = taken(said)
    assert (draft.usage, draft.usage_json) == (None, None)
