"""The formulas of `tests/helpers/arithmetic` themselves, against the providers' own totals and against genai-prices' reading of an answer."""

import json
from collections.abc import Iterator
from typing import Any

import genai_prices
import pytest
from genai_prices.data import providers as theirs
from genai_prices.data_snapshot import find_provider_by_id

from tests.helpers.arithmetic import expected_buckets
from tests.helpers.recordings import (
    ALL_TRAFFIC,
    NAMES,
    SUBSET,
    Recording,
    recordings,
)

PLACE = ALL_TRAFFIC if ALL_TRAFFIC.is_dir() else SUBSET
INPUTS = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_long",
    "audio_in",
    "image_in",
)
OUTPUTS = ("output", "reasoning", "audio_out")
TOTALS = ("total_tokens", "totalTokens", "totalTokenCount")

MORE_DETAILS_THAN_TOKENS = ("9932702cfdd7-1",)
"""Made up by whoever recorded it."""


def saying(name: str) -> Iterator[tuple[Recording, dict[str, int]]]:
    for recording in recordings(PLACE, name):
        buckets = expected_buckets(recording)
        if buckets is not None and recording.id not in MORE_DETAILS_THAN_TOKENS:
            yield recording, buckets


@pytest.mark.parametrize("name", NAMES)
def test_the_buckets_come_to_the_total_of_the_provider(name: str):
    wrong = []
    for recording, buckets in saying(name):
        usage = recording.usage[-1] if recording.usage else {}
        total = next((usage[key] for key in TOTALS if usage.get(key) is not None), None)
        if total not in (None, sum(buckets.values())):
            wrong.append((recording.id, buckets, usage))
    assert wrong == []


NOT_READ_BY_THEM = {
    "other": "they do not know the gateway",
    "local": "they do not know who answered",
    "ollama": "nobody bills it",
    "together": "they have no extractor for it",
    "voyage": "they have no extractor for it",
    "writer": "they do not know it",
}

OLD_COHERE = ("https://api.cohere.com/v1", "https://api.cohere.ai/v1")
"""Of whose answers they see the input only."""


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name not in NOT_READ_BY_THEM]
)
def test_genai_prices_reads_the_same_from_whole_answers(name: str):
    read, wrong = 0, []
    for recording, buckets in saying(name):
        if recording.streamed or recording.url.startswith(OLD_COHERE):
            continue
        ours = (
            sum(buckets.get(each, 0) for each in INPUTS),
            sum(buckets.get(each, 0) for each in OUTPUTS),
        )
        found = list(_their_readings(recording))
        read += bool(found)
        if found and ours not in found:
            wrong.append((recording.id, ours, found))
    assert wrong == []
    assert read


def _their_readings(recording: Recording) -> Iterator[tuple[int, int]]:
    """Give input and output as each of their extractors for this provider sees them."""
    provider = find_provider_by_id(theirs, recording.route)
    try:
        answer: Any = json.loads(recording.body)
    except ValueError:
        return  # a stream of lines that does not say that it is one
    for extractor in (provider and provider.extractors) or ():
        try:
            usage = genai_prices.extract_usage(
                answer, provider_id=recording.route, api_flavor=extractor.api_flavor
            ).usage
        except (LookupError, ValueError, AttributeError):
            continue  # the last one where a recorder kept enums as numbers
        yield (
            int(usage.reported_value("input_tokens")),
            int(usage.reported_value("output_tokens")),
        )
