"""Compiles `proxy/meter/price_table.json` from the installed genai-prices.

What lives here: the one place that imports genai-prices, whose objects become the JSON that it publishes. What does not: the compiler
(`proxy/cli/price_compiler.py`), prices of our own; overrides belong in the settings.

    .venv/bin/python -m scripts.compile_prices
"""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data import providers

from proxy.cli import price_compiler

TARGET = Path(__file__).resolve().parents[1] / "proxy" / "meter" / "price_table.json"
Json = Any


def published() -> list[Json]:
    """Give the package's data in the shape of its JSON, but for prices, which stay decimals."""
    return [_provider(each) for each in providers]


def compile_table() -> bytes:
    """Give the whole file; its version names the package and the content."""
    origin = f"genai-prices-{version('genai-prices')}"
    done = price_compiler.compile_table(published(), origin)
    if done.unknown_units:
        raise price_compiler.PriceDataError(
            f"units that proxy/units.py does not know: {', '.join(sorted(done.unknown_units))}"
        )
    return done.data


def _provider(provider: types.Provider) -> Json:
    return {
        "id": provider.id,
        "provider_match": _rule(provider.provider_match),
        "model_match": _rule(provider.model_match),
        "fallback_model_providers": provider.fallback_model_providers,
        "models": [_model(each) for each in provider.models],
    }


def _model(model: types.ModelInfo) -> Json:
    return {
        "id": model.id,
        "match": _rule(model.match),
        "context_window": model.context_window,
        "prices": _rates(model.prices)
        if isinstance(model.prices, types.ModelPrice)
        else [
            {"constraint": _window(each.constraint), "prices": _rates(each.prices)}
            for each in model.prices
        ],
        "price_variants": [
            {
                "when": each.when,
                "constraint": _window(each.constraint),
                "prices": _rates(each.prices),
            }
            for each in model.price_variants or ()
        ],
    }


def _rule(clause: types.MatchLogic | None) -> Json:
    if clause is None:
        return None
    ((name, value),) = vars(clause).items()
    if isinstance(clause, types.ClauseOr | types.ClauseAnd):
        return {name.rstrip("_"): [_rule(inner) for inner in value]}
    return {name: value}


def _rates(prices: types.ModelPrice) -> Json:
    return {unit: _rate(price) for unit, price in vars(prices).items()}


def _rate(price: Any) -> Json:
    if not isinstance(price, types.TieredPrices):
        return price
    tiers = [{"start": tier.start, "price": tier.price} for tier in price.tiers]
    return {"base": price.base, "tiers": tiers}


def _window(
    constraint: types.StartDateConstraint | types.TimeOfDateConstraint | None,
) -> Json:
    return constraint and {k: each.isoformat() for k, each in vars(constraint).items()}


if __name__ == "__main__":
    table = compile_table()
    TARGET.write_bytes(table)
    sys.stdout.write(f"{TARGET.name}: {len(table)} bytes\n")
