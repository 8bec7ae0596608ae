from typing import Any

import pytest

from proxy.meter import embedding_usage
from proxy.model import Usage


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (None, None),
        ({}, None),
        ({"total_tokens": "12"}, None),
        ({"total_tokens": 12}, Usage(input=12)),
        ({"prompt_tokens": 9, "total_tokens": 12}, Usage(input=9)),
        (
            {"text_tokens": 5, "image_pixels": 2000000, "total_tokens": 3577},
            Usage(input=5, image_in=3572),
        ),
        ({"text_tokens": 5, "image_pixels": 0, "total_tokens": 5}, Usage(input=5)),
    ],
)
def test_total_tokens_are_input(said: dict[str, Any] | None, usage: Usage | None):
    assert embedding_usage.buckets(said) == usage
