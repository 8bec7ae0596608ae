"""A provider's own total, shared out over the parts of a row.

What lives here: the sharing, exact to the pico-dollar. What does not: what the shares are in proportion to (`settling.py`).
"""

from collections.abc import Sequence

from proxy.meter.book import PROVIDER_VERSION
from proxy.meter.rates import half_even
from proxy.model import Cost, CostSource

_PARTS = ("input", "cache_read", "cache_write", "output", "reasoning", "other")


def share(total: int, costs: Sequence[Cost]) -> list[Cost]:
    """Give costs whose parts add up to exactly `total` and stand to each other as those of `costs`.

    What a division leaves over goes to the largest remainders, a pico-dollar each; of equal ones to the first. Where all parts are zero or
    unknown, all of it goes to `other` of the first cost.
    """
    weights = [weight for cost in costs for weight in cost.parts()]
    whole = sum(weight or 0 for weight in weights)
    if whole:
        shares = _divided(total, [weight or 0 for weight in weights], whole)
        amounts = [
            None if w is None else a for w, a in zip(weights, shares, strict=True)
        ]
    else:
        amounts = list(weights)
        amounts[len(_PARTS) - 1] = total
    return [
        Cost(
            source=CostSource.PROVIDER,
            **dict(zip(_PARTS, amounts[start : start + len(_PARTS)], strict=True)),
            rate_input=_scaled(cost.rate_input, total, whole),
            price_version=PROVIDER_VERSION,
        )
        for start, cost in zip(range(0, len(amounts), len(_PARTS)), costs, strict=True)
    ]


def _divided(total: int, weights: Sequence[int], whole: int) -> list[int]:
    """Divide by largest remainder."""
    shares = [divmod(total * weight, whole) for weight in weights]
    amounts = [amount for amount, _ in shares]
    left = total - sum(amounts)
    for place in sorted(range(len(shares)), key=lambda at: -shares[at][1])[:left]:
        amounts[place] += 1
    return amounts


def _scaled(rate: int | None, total: int, whole: int) -> int | None:
    """Give what an uncached input token cost at the provider's own prices, as far as that can be told."""
    return half_even(rate * total, whole) if rate is not None and whole else None
