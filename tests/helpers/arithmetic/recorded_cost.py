"""What each recorded exchange should cost: its provider, model, moment and numbers, put to genai-prices.

What lives here: which model and price a recording asks for. What does not: how genai-prices is asked (`cost.py`), the buckets (one formula a
family).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tests.helpers.arithmetic import expected_buckets
from tests.helpers.arithmetic.cost import PARTS, expected_cost, own_cost
from tests.helpers.arithmetic.inside import details_of, uses_of
from tests.helpers.recordings import Recording
from tests.helpers.told import models_asked, told

_SELF_HOSTED = ("vllm", "ollama")
"""Nobody bills these by the token."""

_PRICES = {"litellm": "openai", "portkey": "openai", "local": "openai"}
"""Gateways of which genai-prices knows nothing: all that was recorded of them are models of OpenAI."""


@dataclass(frozen=True)
class Expected:
    """Pico-dollars."""

    parts: Mapping[str, int]
    total: int
    own: bool = False
    """The provider said so itself; the parts are only shares of it."""


def expected_cost_of(recording: Recording, at: datetime) -> Expected | None:
    """Price a recording; `None` where it has no numbers, or nobody knows the price."""
    buckets = expected_buckets(recording)
    if buckets is None or recording.route in _SELF_HOSTED:
        return None
    said = told(recording)
    if said.cost is not None:
        return Expected(dict.fromkeys(PARTS, 0), own_cost(said.cost), own=True)
    provider = _PRICES.get(recording.route, recording.route)
    models = (*sorted(said.models), *sorted(models_asked(recording)))
    if recording.provider == "bedrock":
        # The path's id says in which regions it runs, which has a price.
        models = (*sorted(models_asked(recording)), *sorted(said.models))
    for model in models:
        parts = expected_cost(
            provider,
            model,
            buckets,
            at,
            details=details_of(recording),
            uses=uses_of(recording),
            context=said.context,
        )
        if parts is not None:
            parts = dict.fromkeys(PARTS, 0) | parts
            return Expected(parts, sum(parts.values()))
    return None
