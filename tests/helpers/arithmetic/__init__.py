"""Which token counts a recorded answer should come to, by the provider's own numbers: one formula a family.

What lives here: the choice of the formula. What does not: anything of `proxy`: expectations must not come from the code under
test.
"""

from collections.abc import Callable
from typing import Any

from tests.helpers.arithmetic.anthropic import anthropic
from tests.helpers.arithmetic.openai import openai
from tests.helpers.recordings import Recording

Formula = Callable[[Recording], dict[str, Any]]

FORMULAS: tuple[tuple[str, str, Formula], ...] = (
    ("anthropic", "", anthropic),
    ("", "", openai),
)
"""Provider and api as the recording names them (empty: any), and the formula; the first that fits."""


def expected_buckets(recording: Recording) -> dict[str, int] | None:
    """Give the non-zero buckets by the provider's numbers; `None` where it gave none."""
    if not recording.usage:
        return None
    for provider, api, formula in FORMULAS:
        if provider in ("", recording.provider) and api in ("", recording.api):
            buckets = formula(recording)
            return {name: count for name, count in buckets.items() if count}
    raise AssertionError("the last formula is for all")
