"""Which token counts a recorded answer should come to, by the provider's own numbers: one formula a family.

What lives here: the choice of the formula. What does not: anything of `proxy`: expectations must not come from the code under
test.
"""

from collections.abc import Callable
from typing import Any

from tests.helpers.arithmetic.anthropic import anthropic
from tests.helpers.arithmetic.bedrock import bedrock, counts_in_frames
from tests.helpers.arithmetic.cohere import cohere
from tests.helpers.arithmetic.gemini import gemini, interactions, says_usage
from tests.helpers.arithmetic.ollama import ollama
from tests.helpers.arithmetic.openai import openai, perplexity
from tests.helpers.arithmetic.voyage import voyage
from tests.helpers.recordings import Recording

Formula = Callable[[Recording], dict[str, Any]]

FORMULAS: tuple[tuple[str, str, Formula], ...] = (
    ("anthropic", "", anthropic),
    ("bedrock", "", bedrock),
    ("gemini", "interactions", interactions),
    ("gemini", "generateContent", gemini),
    ("vertex", "generateContent", gemini),
    ("cohere", "", cohere),
    ("ollama", "", ollama),
    ("voyage", "", voyage),
    ("perplexity", "", perplexity),
    ("", "", openai),
)
"""Provider and api as the recording names them (empty: any), and the formula; the first that fits."""


def expected_buckets(recording: Recording) -> dict[str, int] | None:
    """Give the non-zero buckets by the provider's numbers; `None` where it gave none."""
    if not (
        recording.usage
        or recording.counts_in_headers
        or says_usage(recording)
        or counts_in_frames(recording)
    ):
        return None
    for provider, api, formula in FORMULAS:
        if provider in ("", recording.provider) and api in ("", recording.api):
            buckets = formula(recording)
            return {name: count for name, count in buckets.items() if count}
    raise AssertionError("the last formula is for all")
