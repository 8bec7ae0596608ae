"""What tokens cost at a moment, in whole numbers.

What lives here: rates of one model with their time windows, service tiers and steps by context, and the sum that makes a `Cost` of a
`Usage`. What does not: how the model is found; see `prices.py`.

A rate is an integer of 1e-24 USD for one token, so that every price with up to 18 decimals for a million tokens is exact. Rounding
happens once a part, half-even, to the pico-dollar.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal

import msgspec

from proxy.model import Cost, CostSource, Usage

RateText = str | tuple[str, list[tuple[int, str]]]
"""Dollars for a million tokens; or that, and what it becomes beyond so many input tokens."""

_UNITS_PER_PICO = 10**12
_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)

BUCKET_UNITS: tuple[tuple[str, ...], ...] = (
    ("input",),
    ("cache_read", "input"),
    ("cache_write", "input"),
    ("cache_write_1h", "cache_write", "input"),
    ("output",),
    ("output_reasoning", "output"),
    ("input_audio", "input"),
    ("output_audio", "output"),
    ("input_image", "input"),
)
"""For each bucket of `Usage`: the units that price it; the first that has a rate does."""

FEE_UNITS: Mapping[str, str] = {
    "request": "requests_kcount",
    "web_search": "web_searches_kcount",
    "file_search": "storage_searches_kcount",
    "x_search": "social_searches_kcount",
    "code_execution": "code_executions_kcount",
}
"""For each thing that is billed by use: its unit, dollars for a thousand."""

_USE_SUFFIXES = re.compile("_(?:calls?|requests?|uses?)$")
"""Families name the same tool differently: `web_search_call`, `web_search_requests`."""

_INPUT_BUCKETS = (0, 1, 2, 3, 6, 8)
_TOKEN_DECIMALS, _FEE_DECIMALS = 18, 21


class PriceLine(msgspec.Struct, frozen=True):
    """Rates, and when they hold."""

    usd: dict[str, RateText]
    start: str = msgspec.field(name="from", default="")
    """First day, in UTC."""
    daily: tuple[str, str] | None = None
    """Times of day in UTC; the end is not part of it, and may lie on the next day."""
    when: dict[str, str] = {}
    """What the request must be, e.g. `service_tier: flex`."""


class Rate(msgspec.Struct, frozen=True):
    """One rate and its steps, in rising order."""

    base: int = 0
    steps: tuple[tuple[int, int], ...] = ()

    def at(self, input_tokens: int) -> int:
        """Give the rate for a request of this size: the highest step passed counts for all its tokens."""
        for start, price in reversed(self.steps):
            if input_tokens > start:
                return price
        return self.base


class Rates(msgspec.Struct, frozen=True):
    """All rates of a model at one moment; what has none costs nothing, as with genai-prices."""

    buckets: tuple[Rate, ...]
    fees: dict[str, Rate]

    @classmethod
    def read(cls, usd: Mapping[str, RateText]) -> "Rates":
        """Read the rates by unit."""
        buckets = tuple(
            _read_rate(_first(usd, units), _TOKEN_DECIMALS) for units in BUCKET_UNITS
        )
        fees = {
            name: _read_rate(usd[unit], _FEE_DECIMALS)
            for name, unit in FEE_UNITS.items()
            if unit in usd
        }
        return cls(buckets, fees)


def _first(usd: Mapping[str, RateText], units: tuple[str, ...]) -> RateText:
    return next((usd[unit] for unit in units if unit in usd), "0")


def _read_rate(text: RateText, decimals: int) -> Rate:
    if isinstance(text, str):
        return Rate(_scaled(text, decimals))
    base, steps = text
    return Rate(
        _scaled(base, decimals),
        tuple((start, _scaled(price, decimals)) for start, price in steps),
    )


def _scaled(text: str, decimals: int) -> int:
    return int(Decimal(text).scaleb(decimals))


class _Span(msgspec.Struct, frozen=True):
    """When a line holds, in microseconds."""

    start: int
    opens: int
    closes: int

    @classmethod
    def of(cls, line: PriceLine) -> "_Span":
        start = (
            (date.fromisoformat(line.start) - _EPOCH).days * _DAY_US
            if line.start
            else -(2**63)
        )
        opens, closes = (
            (_time_of_day_us(moment) for moment in line.daily)
            if line.daily
            else (0, _DAY_US)
        )
        return cls(start, opens, closes)

    def holds(self, at_us: int) -> bool:
        now = at_us % _DAY_US
        if self.closes < self.opens:
            return at_us >= self.start and (now >= self.opens or now < self.closes)
        return at_us >= self.start and self.opens <= now < self.closes


def _time_of_day_us(text: str) -> int:
    moment = time.fromisoformat(text)
    return (moment.hour * 3600 + moment.minute * 60 + moment.second) * 1_000_000


class Schedule:
    """The rates of one model over time and by what the request asked for."""

    def __init__(
        self, prices: Sequence[PriceLine], variants: Sequence[PriceLine]
    ) -> None:
        self._prices = [(_Span.of(line), line) for line in prices]
        self._variants = [(_Span.of(line), line) for line in variants]
        self._read: dict[tuple[int, ...], Rates] = {}

    def rates(self, at_us: int, context: Mapping[str, str]) -> Rates:
        """Give the rates that hold: of the lines the last, over it the variants, of those the first for each unit."""
        holding = [
            index for index, (span, _) in enumerate(self._prices) if span.holds(at_us)
        ]
        key = (
            holding[-1] if holding else 0,
            *(
                index
                for index, (span, line) in enumerate(self._variants)
                if context
                and span.holds(at_us)
                and line.when.items() <= context.items()
            ),
        )
        rates = self._read.get(key)
        if rates is None:
            rates = self._read[key] = self._merge(*key)
        return rates

    def _merge(self, standard: int, *variants: int) -> Rates:
        usd = dict(self._prices[standard][1].usd) if self._prices else {}
        for index in reversed(variants):
            usd |= self._variants[index][1].usd
        return Rates.read(usd)


def cost_of(
    usage: Usage,
    rates: Rates,
    uses: Sequence[tuple[str, int]],
    source: CostSource,
    version: str,
) -> Cost:
    """Price a usage: a part is `None` where none of its buckets is known."""
    counts = usage.buckets()
    size = sum(counts[index] or 0 for index in _INPUT_BUCKETS)
    amounts = [
        None if count is None else count * rate.at(size)
        for count, rate in zip(counts, rates.buckets, strict=True)
    ]
    requests = [("request", 1)] if any(count is not None for count in counts) else []
    named = [(_USE_SUFFIXES.sub("", name), count) for name, count in uses]
    fees = [
        count * rates.fees[name].at(size)
        for name, count in (*requests, *named)
        if name in rates.fees
    ]
    return Cost(
        source=source,
        input=_part(amounts[0], amounts[6], amounts[8]),
        cache_read=_part(amounts[1]),
        cache_write=_part(amounts[2], amounts[3]),
        output=_part(amounts[4], amounts[7]),
        reasoning=_part(amounts[5]),
        other=_part(*fees),
        rate_input=half_even(rates.buckets[0].at(size), _UNITS_PER_PICO),
        price_version=version,
    )


def _part(*amounts: int | None) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return half_even(sum(known), _UNITS_PER_PICO) if known else None


def half_even(amount: int, unit: int) -> int:
    """Divide whole numbers, rounding half to even."""
    whole, rest = divmod(amount, unit)
    return whole + (2 * rest > unit or (2 * rest == unit and whole % 2 == 1))
