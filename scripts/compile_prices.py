"""Compiles `proxy/meter/price_table.json` from the installed genai-prices.

What lives here: the one place that imports genai-prices. What does not: prices of our own; overrides belong in the settings.
The output depends on the installed package alone: one model a line, so that a new release reads as a diff.

    .venv/bin/python -m scripts.compile_prices
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data import providers

TARGET = Path(__file__).resolve().parents[1] / "proxy" / "meter" / "price_table.json"
DECIMALS = 18
"""Digits behind the point of a dollar price for a million tokens that `prices.py` keeps."""

type_of_clause = {
    types.ClauseEquals: ("=", "equals"),
    types.ClauseStartsWith: ("^", "starts_with"),
    types.ClauseEndsWith: ("$", "ends_with"),
    types.ClauseContains: ("*", "contains"),
}

Json = Any


def rule(clause: types.MatchLogic) -> Json:
    """Write a match clause: a marked string, a list for any-of, `{"all": […]}` for all-of."""
    if isinstance(clause, types.ClauseOr):
        return [rule(inner) for inner in clause.or_]
    if isinstance(clause, types.ClauseAnd):
        return {"all": [rule(inner) for inner in clause.and_]}
    if isinstance(clause, types.ClauseRegex):
        return "~" + clause.regex
    mark, field = type_of_clause[type(clause)]
    return mark + getattr(clause, field).lower()


def dollars(amount: Decimal) -> str:
    """Write a price exactly and without an exponent."""
    text = format(amount.normalize(), "f")
    if len(text.partition(".")[2]) > DECIMALS:
        raise ValueError(
            f"the price {text} has more than {DECIMALS} decimals: widen the unit in proxy/meter/prices.py"
        )
    return text


def rate(price: Decimal | types.TieredPrices) -> Json:
    """Write one rate: the price, or the price and what it becomes beyond so many input tokens."""
    if isinstance(price, types.TieredPrices):
        return [
            dollars(price.base),
            [[tier.start, dollars(tier.price)] for tier in price.tiers],
        ]
    return dollars(price)


def rates(prices: types.ModelPrice) -> Json:
    """Write the rates by unit; a million tokens goes without saying."""
    return {
        key.removesuffix("_mtok"): rate(price)
        for key, price in vars(prices).items()
        if price is not None
    }


def utc(moment: time) -> str:
    """Write a time of day in UTC; naive times are UTC already."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (
        datetime.combine(date(1970, 1, 2), aware).astimezone(UTC).strftime("%H:%M:%S")
    )


def window(
    constraint: types.StartDateConstraint | types.TimeOfDateConstraint | None,
) -> dict[str, Json]:
    """Write when a price holds."""
    if isinstance(constraint, types.StartDateConstraint):
        return {"from": constraint.start_date.isoformat()}
    if isinstance(constraint, types.TimeOfDateConstraint):
        return {"daily": [utc(constraint.start_time), utc(constraint.end_time)]}
    return {}


def model_line(model: types.ModelInfo) -> dict[str, Json]:
    """Write one model."""
    line: dict[str, Json] = {"id": model.id, "is": rule(model.match)}
    if model.context_window is not None:
        line["window"] = model.context_window
    if isinstance(model.prices, types.ModelPrice):
        line["prices"] = [{"usd": rates(model.prices)}]
    else:
        line["prices"] = [
            {**window(price.constraint), "usd": rates(price.prices)}
            for price in model.prices
        ]
    variants = [
        {
            **window(v.constraint),
            "when": dict(sorted(v.when.items())),
            "usd": rates(v.prices),
        }
        for v in model.price_variants or ()
    ]
    return line | ({"variants": variants} if variants else {})


def dump(value: Mapping[str, Json] | list[Json]) -> str:
    """Write JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def provider_block(provider: types.Provider) -> str:
    """Write one provider with its models a line each."""
    head: dict[str, Json] = {"id": provider.id}
    if provider.provider_match:
        head["is"] = rule(provider.provider_match)
    if provider.model_match:
        head["models_like"] = rule(provider.model_match)
    if provider.fallback_model_providers:
        head["falls_back_to"] = provider.fallback_model_providers
    lines = ",\n".join(dump(model_line(model)) for model in provider.models)
    return f'{dump(head)[:-1]},"models":[\n{lines}\n]}}'


def compile_table() -> bytes:
    """Give the whole file; its version names the package and the content."""
    body = ",\n".join(provider_block(provider) for provider in providers)
    digest = hashlib.sha256(body.encode()).hexdigest()[:8]
    name = f"genai-prices-{version('genai-prices')}+{digest}"
    return f'{{"version":"{name}","providers":[\n{body}\n]}}\n'.encode()


if __name__ == "__main__":
    table = compile_table()
    TARGET.write_bytes(table)
    sys.stdout.write(f"{TARGET.name}: {len(table)} bytes\n")
