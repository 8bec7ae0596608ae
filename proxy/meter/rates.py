"""What tokens cost at a moment, in whole numbers.

What lives here: rates of one model with their time windows, service tiers and steps by context, and the sum that makes a `Cost` of a
`Usage`. What does not: how the model is found (`prices.py`), what the units are called (`proxy/units.py`), changes to rates (`terms.py`).

A rate is an integer of 1e-24 USD for one token, so that every price with up to 18 decimals for a million tokens is exact; fees are finer
(`_FEE_PIECES`), since an hour of audio is divided by 3,600. Rounding happens once a part, half-even, to the pico-dollar.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from operator import itemgetter

import msgspec

from proxy.model import Cost, CostSource, Usage
from proxy.units import BUCKET_UNITS, DETAIL_UNITS, FEE_UNITS, pieces_per_price

__all__ = [
    "BUCKET_UNITS",
    "DETAIL_UNITS",
    "FEE_UNITS",
    "Billed",
    "PriceLine",
    "Rate",
    "RateText",
    "Rates",
    "Schedule",
    "cost_of",
    "half_even",
]

RateText = str | tuple[str, list[tuple[int, str]]]
"""Dollars for a million tokens; or that, and what it becomes beyond so many input tokens."""

Uses = Sequence[tuple[str, int]]
"""Names and counts."""

_UNITS_PER_PICO = 10**12
_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_DECIMALS = 18
_FEE_PIECES = 3_600 * 10**9
"""All numbers of pieces that a fee may be for divide this: fees are integers of 1e-18 USD for so many."""

_USE_SUFFIXES = re.compile("_(?:calls?|requests?|uses?)$")
"""Families name the same tool differently: `web_search_call`, `web_search_requests`."""

_inputs_of = itemgetter(0, 1, 2, 3, 6, 8)
_REQUEST = "request"
_FIRST = (0,)
_UNKNOWN = Usage().buckets()


class PriceLine(msgspec.Struct, frozen=True, omit_defaults=True):
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
        if not self.steps:
            return self.base
        for start, price in reversed(self.steps):
            if input_tokens > start:
                return price
        return self.base


class Rates(msgspec.Struct, frozen=True):
    """All rates of a model at one moment; what has none costs nothing, as with genai-prices."""

    buckets: tuple[Rate, ...]
    details: dict[str, tuple[int, Rate]]
    """Sorts of tokens with another price than the rest of their bucket: which bucket, and the rate."""
    fees: dict[str, Rate]

    @classmethod
    def read(cls, usd: Mapping[str, RateText]) -> "Rates":
        """Read the rates by unit."""
        buckets = tuple(_token_rate(usd, units) for units in BUCKET_UNITS)
        details = {
            name: (bucket, rate)
            for name, (bucket, units) in DETAIL_UNITS.items()
            if (rate := _token_rate(usd, units)) != buckets[bucket]
        }
        fees = {
            name: _fee(usd[unit], unit)
            for name, units in FEE_UNITS.items()
            if (unit := next((each for each in units if each in usd), ""))
        }
        return cls(buckets, details, fees)


def _token_rate(usd: Mapping[str, RateText], units: tuple[str, ...]) -> Rate:
    return _read_rate(next((usd[unit] for unit in units if unit in usd), "0"), 1)


def _fee(text: RateText, unit: str) -> Rate:
    return _read_rate(text, _FEE_PIECES // pieces_per_price(unit))


def _read_rate(text: RateText, factor: int) -> Rate:
    if isinstance(text, str):
        return Rate(_scaled(text, factor))
    base, steps = text
    return Rate(
        _scaled(base, factor),
        tuple((start, _scaled(price, factor)) for start, price in steps),
    )


def _scaled(text: str, factor: int) -> int:
    return int(Decimal(text).scaleb(_DECIMALS)) * factor


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
        changing = [line for line in variants if line.usd]
        self._marks = {value for line in changing for value in line.when.values()}
        self._simple = len(prices) <= 1 and all(line.when for line in changing)
        """The same rates hold at all times for all whose context has none of the marks."""
        self._read: dict[tuple[int, ...], Rates] = {}

    def rates(self, at_us: int, context: Mapping[str, str]) -> Rates:
        """Give the rates that hold: of the lines the last, over it the variants, of those the first for each unit."""
        simple = self._simple and self._marks.isdisjoint(context.values())
        key = _FIRST if simple else self._holding(at_us, context)
        rates = self._read.get(key)
        if rates is None:
            rates = self._read[key] = self._merge(*key)
        return rates

    def _holding(self, at_us: int, context: Mapping[str, str]) -> tuple[int, ...]:
        holding = [
            index for index, (span, _) in enumerate(self._prices) if span.holds(at_us)
        ]
        return (
            holding[-1] if holding else 0,
            *(
                index
                for index, (span, line) in enumerate(self._variants)
                if context
                and span.holds(at_us)
                and line.when.items() <= context.items()
            ),
        )

    def _merge(self, standard: int, *variants: int) -> Rates:
        usd = dict(self._prices[standard][1].usd) if self._prices else {}
        for index in reversed(variants):
            usd |= self._variants[index][1].usd
        return Rates.read(usd)


class Billed(msgspec.Struct, frozen=True):
    """What an answer is billed for."""

    usage: Usage
    details: Uses = ()
    """Tokens inside of a bucket, by the names of `DETAIL_UNITS`; counted within their bucket, never beyond it."""
    uses: Uses = ()
    """What is billed by use beside tokens: `Reading.server_tool_uses`."""
    at_us: int = 0
    """When, in microseconds since the epoch."""
    service_tier: str = ""


def cost_of(billed: Billed, rates: Rates, source: CostSource, version: str) -> Cost:
    """Price an answer: a part is `None` where none of its buckets is known."""
    counts = billed.usage.buckets()
    size = sum(filter(None, _inputs_of(counts)))
    amounts = [
        count and count * rate.at(size)
        for count, rate in zip(counts, rates.buckets, strict=True)
    ]
    if billed.details and rates.details:
        _reprice(amounts, counts, billed.details, rates, size)
    fees = [
        count * rates.fees[name].at(size)
        for name, count in _fees(billed, counts)
        if name in rates.fees
    ]
    return Cost(
        source=source,
        input=_part(amounts[0], amounts[6], amounts[8]),
        cache_read=_part(amounts[1]),
        cache_write=_part(amounts[2], amounts[3]),
        output=_part(amounts[4], amounts[7]),
        reasoning=_part(amounts[5]),
        other=half_even(sum(fees), _FEE_PIECES * 10**6) if fees else None,
        rate_input=half_even(rates.buckets[0].at(size), _UNITS_PER_PICO),
        price_version=version,
    )


def cost_of_text(read: int, wrote: int, rates: Rates) -> tuple[int, int]:
    """Give what `cost_of` says of an input and an output of text alone, in pico-dollars: each call asks before it goes out."""
    fee = half_even(rates.fees[_REQUEST].at(read), _FEE_PIECES * 10**6) if _REQUEST in rates.fees else 0  # fmt: skip
    prompt, answer = read * rates.buckets[0].at(read), wrote * rates.buckets[4].at(read)  # fmt: skip
    return half_even(prompt, _UNITS_PER_PICO) + fee, half_even(answer, _UNITS_PER_PICO)


def _reprice(
    amounts: list[int | None],
    counts: Sequence[int | None],
    details: Uses,
    rates: Rates,
    size: int,
) -> None:
    """Let tokens that have a price of their own cost that instead of their bucket's."""
    left = list(counts)
    for name, count in details:
        if name not in rates.details:
            continue
        bucket, rate = rates.details[name]
        amount, most = amounts[bucket], left[bucket]
        if amount is None or most is None:
            continue
        count = min(count, most)
        left[bucket] = most - count
        amounts[bucket] = amount + count * (
            rate.at(size) - rates.buckets[bucket].at(size)
        )


def _fees(billed: Billed, counts: Sequence[int | None]) -> Iterable[tuple[str, int]]:
    """Give what is billed by use; the request itself, where anything was counted."""
    found = [(_USE_SUFFIXES.sub("", name), count) for name, count in billed.uses]
    if found or counts != _UNKNOWN:
        found.append((_REQUEST, 1))
    return found


def _part(*amounts: int | None) -> int | None:
    total: int | None = None
    for amount in amounts:
        if amount is not None:
            total = amount + (total or 0)
    return total and half_even(total, _UNITS_PER_PICO)


def half_even(amount: int, unit: int) -> int:
    """Divide whole numbers, rounding half to even."""
    whole, rest = divmod(amount, unit)
    return whole + (2 * rest > unit or (2 * rest == unit and whole % 2 == 1))
