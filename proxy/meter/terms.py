"""What the settings change about prices: negotiated rates, discounts, regional surcharges.

What lives here: a rule, whom it concerns, and what it makes of a model's price lines. What does not: reading the settings (`pricing.py`),
which rule counts (`book.py`).
"""

import hashlib
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fnmatch import fnmatchcase

import msgspec

from proxy.meter.rates import PriceLine, RateText
from proxy.providers import price_id

_DECIMALS = Decimal(10) ** -18
_DIGITS = 80
_TAG_CHARS = 6


class Place(msgspec.Struct, frozen=True):
    """Whose call to which model."""

    provider: str
    model: str
    tenant: str = ""
    route: str = ""


class Change(msgspec.Struct, frozen=True):
    """New rates, and a factor for all of them and the old ones."""

    usd: dict[str, str] = {}
    """Dollars by unit; these hold at all times, in all service tiers and for requests of all sizes."""
    factor: str = "1"

    @property
    def tag(self) -> str:
        """Give a short name that only an equal change has."""
        text = msgspec.json.encode([sorted(self.usd.items()), self.factor])
        return hashlib.sha256(text).hexdigest()[:_TAG_CHARS]

    def lines(self, prices: Sequence[PriceLine]) -> list[PriceLine]:
        """Change a model's price lines; one that is not in the table has the new rates alone."""
        known = prices or (PriceLine({}),)
        return [_with(line, self._times(line.usd | dict(self.usd))) for line in known]

    def variants(self, variants: Sequence[PriceLine]) -> list[PriceLine]:
        """Change what holds for some requests only; the new rates hold for those, too."""
        kept = (
            _with(line, {u: rate for u, rate in line.usd.items() if u not in self.usd})
            for line in variants
        )
        return [_with(line, self._times(line.usd)) for line in kept]

    def _times(self, usd: dict[str, RateText]) -> dict[str, RateText]:
        if self.factor == "1":
            return usd
        factor = Decimal(self.factor)
        return {unit: _times(rate, factor) for unit, rate in usd.items()}


class Rule(msgspec.Struct, frozen=True):
    """A change, and which calls it is for; what is empty is no condition."""

    change: Change
    provider: str = ""
    model: str = "*"
    """`*` and `?` stand for any characters, and `[…]` for one of several."""
    tenant: str = ""
    route: str = ""

    def fits(self, place: Place, known_as: str) -> bool:
        """Whether it is for this call; `known_as` is the table's own name of the model, or empty."""
        provider = place.provider.strip().lower()
        names = (place.model.lower(), known_as.lower())
        return (
            self.provider.lower() in ("", provider, price_id(provider))
            and self.tenant in ("", place.tenant)
            and self.route in ("", place.route)
            and any(fnmatchcase(name, self.model.lower()) for name in names)
        )


def _with(line: PriceLine, usd: dict[str, RateText]) -> PriceLine:
    return msgspec.structs.replace(line, usd=usd)


def _times(rate: RateText, factor: Decimal) -> RateText:
    if isinstance(rate, str):
        return _product(rate, factor)
    base, steps = rate
    return _product(base, factor), [(n, _product(usd, factor)) for n, usd in steps]


def _product(usd: str, factor: Decimal) -> str:
    with localcontext() as exact:
        exact.prec = _DIGITS
        product = (Decimal(usd) * factor).quantize(_DECIMALS, ROUND_HALF_EVEN)
        return format(product.normalize(), "f")
