"""What a recorded answer should cost, as genai-prices prices it, to the last pico-dollar.

What lives here: buckets put into genai-prices' words, and its price split into the parts of a row. What does not: anything of
`proxy`, whose own table was compiled from the same data.

Strategy: with the rates that hold for a request of this size, a price is linear, so each bucket is priced alone by genai-prices
and rounded half-even with the others of its part. That the parts come to genai-prices' own total is checked each time.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import genai_prices
from genai_prices.types import ModelPrice, TieredPrices
from genai_prices.units import UnitRegistry, _get_registry

_REGISTRY: UnitRegistry = _get_registry()
_NOTHING = {key: 0 for key in _REGISTRY.units if key != "requests"}

PARTS = ("input", "cache_read", "cache_write", "output", "reasoning", "other")

_BUCKETS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "input": ("input", ("input_tokens",)),
    "cache_read": ("cache_read", ("input_tokens", "cache_read_tokens")),
    "cache_write": ("cache_write", ("input_tokens", "cache_write_tokens")),
    "cache_write_long": (
        "cache_write",
        ("input_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    ),
    "output": ("output", ("output_tokens",)),
    "reasoning": ("reasoning", ("output_tokens", "output_reasoning_tokens")),
    "audio_in": ("input", ("input_tokens", "input_audio_tokens")),
    "audio_out": ("output", ("output_tokens", "output_audio_tokens")),
    "image_in": ("input", ("input_tokens", "input_image_tokens")),
}
"""For each bucket its part, and all counts of genai-prices that include it."""

_DETAILS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "cache_audio_read": (
        "cache_read",
        ("input_audio_tokens", "cache_audio_read_tokens"),
    ),
    "cache_image_read": (
        "cache_read",
        ("input_image_tokens", "cache_image_read_tokens"),
    ),
    "cache_video_read": (
        "cache_read",
        ("input_video_tokens", "cache_video_read_tokens"),
    ),
    "input_video": ("input", ("input_video_tokens",)),
    "output_image": ("output", ("output_image_tokens",)),
    "output_video": ("output", ("output_video_tokens",)),
    "output_citation": ("output", ("output_citation_tokens",)),
}
"""For each sort of token that lies in a bucket but has a price of its own: the bucket, and what counts it besides."""

_USES = {
    "web_search": "web_searches",
    "file_search": "storage_searches",
    "x_search": "social_searches",
    "code_execution": "code_executions",
}


def expected_cost(
    provider: str,
    model: str,
    counts: Mapping[str, int],
    at: datetime,
    *,
    details: Mapping[str, int] | None = None,
    uses: Mapping[str, int] | None = None,
    context: Mapping[str, str] | None = None,
) -> dict[str, int] | None:
    """Give pico-dollars by part, zeros left out; `None` where genai-prices does not know provider or model.

    `counts` are buckets of a row, `details` tokens inside of them, `uses` what was billed by use.
    """
    pieces = list(_pieces(counts, details or {}, uses or {}))
    whole = _usage(values for _, values in pieces)
    try:
        known = genai_prices.calc_price(
            genai_prices.Usage(**whole),
            model,
            provider_id=provider,
            genai_request_timestamp=at,
            price_context=context,
        )
    except LookupError:
        return None
    rates = _flat(known.model_price, whole["input_tokens"])
    fee = _price(rates, {})
    exact = dict.fromkeys(PARTS, Decimal(0)) | {"other": fee}
    for part, values in pieces:
        exact[part] += _price(rates, values) - fee
    assert sum(exact.values()) == known.total_price, (provider, model, exact)
    cost = {part: _pico(amount) for part, amount in exact.items()}
    return {part: amount for part, amount in cost.items() if amount}


def own_cost(usd: Any) -> int:
    """Give a provider's own total in pico-dollars."""
    return _pico(Decimal(str(usd)))


def _pieces(
    counts: Mapping[str, int], details: Mapping[str, int], uses: Mapping[str, int]
) -> Iterable[tuple[str, dict[str, int]]]:
    """Say each bucket in genai-prices' words, with the part of the row that it belongs to."""
    for bucket, count in counts.items():
        part, units = _BUCKETS[bucket]
        values = dict.fromkeys(units, count)
        for name, amount in details.items():
            inside, besides = _DETAILS[name]
            if inside == bucket and amount:
                values |= dict.fromkeys(besides, amount)
        yield part, values
    for name, count in uses.items():
        if name in _USES:
            yield "other", {_USES[name]: count}


def _usage(pieces: Iterable[Mapping[str, int]]) -> dict[str, int]:
    said = dict(_NOTHING)
    for values in pieces:
        for unit, count in values.items():
            said[unit] += count
    return said


def _price(rates: ModelPrice, values: Mapping[str, int]) -> Decimal:
    return rates.calc_price(genai_prices.Usage(**_usage([values])))["total_price"]


def _flat(price: ModelPrice, input_tokens: int) -> ModelPrice:
    """Choose the steps that a request of this size has reached: beyond one, all tokens cost what it says."""
    return ModelPrice(
        **{
            key: _step(value, input_tokens)
            if isinstance(value, TieredPrices)
            else value
            for key, value in vars(price).items()
        }
    )


def _step(price: TieredPrices, input_tokens: int) -> Decimal:
    reached = [tier.price for tier in price.tiers if input_tokens > tier.start]
    return reached[-1] if reached else price.base


def _pico(usd: Decimal) -> int:
    return int((usd * 10**12).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
