"""What genai-prices says that an answer costs, by part of a row, for every sort of token and every fee that it knows.

What lives here: counts put into genai-prices' words by its own registry of units, and its exact price split into parts. What does not: anything
of `proxy`, whose own table and chains of units are what this checks.

Strategy: genai-prices wants each unit's count to include all more special ones, so each count is added to every unit whose properties it
has. With the steps of a request's size chosen, a price is linear, so each part is priced alone; fees are what is left of the total.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

import genai_prices
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices
from genai_prices.units import _get_registry

UNITS = {key: unit for key, unit in _get_registry().units.items() if key != "requests"}
OF_BUCKET = {
    "input": "input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_long": "cache_write_1h_tokens",
    "output": "output_tokens",
    "reasoning": "output_reasoning_tokens",
    "audio_in": "input_audio_tokens",
    "audio_out": "output_audio_tokens",
    "image_in": "input_image_tokens",
}
PART_OF_BUCKET = {
    "input": "input",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "cache_write_long": "cache_write",
    "output": "output",
    "reasoning": "reasoning",
    "audio_in": "input",
    "audio_out": "output",
    "image_in": "input",
}
OF_USE = {
    "web_search": "web_searches",
    "file_search": "storage_searches",
    "x_search": "social_searches",
    "code_execution": "code_executions",
    "search_units": "rerank_searches",
    "input_audio_seconds": "input_audio_seconds",
    "audio_seconds": "audio_seconds",
    "output_audio_seconds": "output_audio_seconds",
    "input_characters": "input_characters",
    "input_text_messages": "input_text_messages",
    "input_pixels": "input_pixels",
    "input_document_pages": "input_document_pages",
    "input_annotated_document_pages": "input_annotated_document_pages",
}
PARTS = ("input", "cache_read", "cache_write", "output", "reasoning", "other")
Atom = tuple[str, str, int]
"""Part, unit of genai-prices, count."""


def atoms(
    buckets: Mapping[str, int],
    details: Sequence[tuple[str, int, str]],
    uses: Mapping[str, int],
) -> list[Atom]:
    """Give disjoint counts; a detail is (unit, count, its bucket)."""
    left = dict(buckets)
    found: list[Atom] = []
    for unit, count, bucket in details:
        left[bucket] -= count
        found.append((PART_OF_BUCKET[bucket], f"{unit}_tokens", count))
    found += [(PART_OF_BUCKET[b], OF_BUCKET[b], n) for b, n in left.items()]
    return found + [("other", OF_USE[name], n) for name, n in uses.items()]


def cost(
    provider: Provider,
    model: ModelInfo,
    said: Sequence[Atom],
    at: datetime,
    context: Mapping[str, str],
) -> dict[str, int]:
    """Give pico-dollars by part."""
    whole = model.calc_price(
        usage(said), provider, genai_request_timestamp=at, price_context=context
    )
    size = sum(n for _, unit, n in said if _is_input_token(unit))
    rates = _flat(whole.model_price, size)
    fee = rates.calc_price(usage(()))["total_price"]
    exact = {
        part: rates.calc_price(usage(own))["total_price"] - fee
        for part in PARTS[:-1]
        if (own := [atom for atom in said if atom[0] == part])
    }
    exact["other"] = whole.total_price - sum(exact.values())
    return {
        part: int((usd * 10**12).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
        for part, usd in exact.items()
    }


def usage(said: Iterable[Atom]) -> genai_prices.Usage:
    """Write counts as genai-prices wants them: each unit with all that lies in it."""
    counts = dict.fromkeys(UNITS, 0)
    for _, unit, count in said:
        own = UNITS[unit].dimensions.items()
        for key, each in UNITS.items():
            if each.dimensions.items() <= own:
                counts[key] += count
    return genai_prices.Usage(**counts)


def _is_input_token(unit: str) -> bool:
    said = UNITS[unit].dimensions
    return (said["family"], said.get("direction")) == ("tokens", "input")


def _flat(price: ModelPrice, size: int) -> ModelPrice:
    return ModelPrice(
        **{
            key: _step(each, size) if isinstance(each, TieredPrices) else each
            for key, each in vars(price).items()
        }
    )


def _step(price: TieredPrices, size: int) -> Decimal:
    reached = [tier.price for tier in price.tiers if size > tier.start]
    return reached[-1] if reached else price.base
