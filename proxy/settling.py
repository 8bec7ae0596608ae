"""What an answer cost: tokens, where they come from, and their price.

What lives here: which exchanges cost anything, and putting estimate, price, the provider's own total and "counted before" together; also what
must be written down of it beside the exchange: what a price version means, and that a model has no price. What does not: how each of
them works (`meter/`, `judge/`).

A provider's own total wins over every table. It is the total of the whole answer, so it is shared out over all rows of it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from proxy.govern.asking import Asking, Quote
from proxy.judge import unpriced
from proxy.judge.expected import Price
from proxy.meter.billed import BilledResponses
from proxy.meter.book import PROVIDER_VERSION, PriceBook
from proxy.meter.estimate import UNTAUGHT, input_tokens, settle
from proxy.meter.learned import Lessons
from proxy.meter.rates import Billed
from proxy.meter.shares import share
from proxy.meter.terms import Place
from proxy.model import (  # fmt: skip
    Ask,
    Cost,
    CostSource,
    Kind,
    Outcome,
    Reading,
    Usage,
    UsageSource,
)
from proxy.providers import price_id
from proxy.record import codec
from proxy.record.codec import Open, PartUsage
from proxy.record.exchange import Exchange, Settlement

_FIRST_SERVER_ERROR = 500
_BILLS_WHAT_WAS_ASKED = "aws"
_HOUR_US = 3_600_000_000
_REMEMBERED = 8192
_COUNTED = (Kind.LLM, Kind.EMBEDDING)
_OUTPUT_SAMPLE = 1000
"""Tokens, so that prices of less than a pico-dollar a token count."""
_UNREAD = Reading()
_NOT_PRICED = (CostSource.ASSUMED, CostSource.UNPRICED)
BY_PROVIDER = '{"by":"provider"}'
"""The terms of a cost that the provider itself has told."""
_Key = tuple[str, ...]


class Settler:
    """Settles exchanges; one for a worker. A reload replaces `book`; a call under way is settled by the one that it began with."""

    def __init__(self, book: PriceBook, billed: BilledResponses) -> None:
        self.book = book
        self._billed = billed
        self._lessons = Lessons()
        self._explained = Recent(24 * _HOUR_US)
        self._told = Recent(_HOUR_US)

    def quote(self, asking: Asking) -> Quote:
        """Say what is known of a call's cost before it goes out."""
        ask, book = asking.ask, self.book
        if ask.kind not in _COUNTED:
            return Quote()
        place = Place(asking.provider, ask.model, asking.tenant, asking.route)
        taught = self._lessons.taught(asking.caller, ask, _UNREAD)
        tokens = input_tokens(ask, asking.size, taught.input) or 0
        prompt, output = book.price_of_text(place, asking.ts_us, ask.service_tier, tokens, _OUTPUT_SAMPLE)  # fmt: skip
        price = Price(-(-prompt // 1000), -(-output // _OUTPUT_SAMPLE))
        is_refused = False
        if self.refuses_unpriced():
            is_unknown = book.terms(place).is_unknown
            refused = unpriced.verdict(ask, asking.provider, is_unknown=is_unknown)
            is_refused = refused is not None
        window = book.table.context_window(place.provider, place.model)
        return Quote(tokens, price, window, is_refused)

    def refuses_unpriced(self) -> bool:
        """Tell whether models without a price are refused."""
        return self.book.unpriced.policy == "block"

    def settle(
        self,
        exchange: Exchange,
        ask: Ask,
        reading: Reading,
        outcome: Outcome,
        book: PriceBook | None = None,
    ) -> Settlement:
        """Give tokens and dollars of an exchange that closes now, by the book with which it began (`None`: the newest)."""
        answered = exchange.measures.first_byte_at is not None
        if exchange.measures.sent_at is None or (
            outcome is Outcome.UPSTREAM_ERROR and not answered
        ):
            return Settlement()
        if self._billed.seen(ask, reading):
            return Settlement(is_shown_again=True)
        completed = outcome is Outcome.COMPLETED
        usage, source = settle(
            ask,
            _without_tokens(reading) if completed else reading,
            _status(exchange, answered=answered),
            completed,
            exchange.measures.request_bytes,
            UNTAUGHT
            if completed and reading.usage is not None
            else self._lessons.taught(exchange.opened.caller, ask, reading),
        )
        if source is UsageSource.NONE:
            return Settlement(usage, source)
        if source is UsageSource.PROVIDER and ask.is_step:
            sent = exchange.measures.request_bytes
            self._lessons.learn(exchange.opened.caller, ask, reading, usage, sent)
        self._billed.book(ask.dialect, reading.response_id, usage)
        call = _Call(exchange.opened, ask, reading, book or self.book)
        return self._priced(call, usage, source)

    def _priced(self, call: "_Call", usage: Usage, source: UsageSource) -> Settlement:
        opened, ask, reading, book = call
        tier = reading.service_tier or ask.service_tier
        whole = Billed(
            usage, reading.details, reading.server_tool_uses, opened.ts_us, tier
        )
        place = call.place()
        bills = [_Bill(place, whole)]
        for part in reading.parts:
            billed = Billed(part.usage, at_us=opened.ts_us, service_tier=tier)
            bills.append(_Bill(_place(opened, part.model), billed))
        costs = _costs(book, bills, reading.cost)
        parts = zip(reading.parts, costs[1:], strict=True)
        return Settlement(
            usage,
            source,
            costs[0],
            tuple(PartUsage(part.model, part.usage, cost) for part, cost in parts),
            book.table.context_window(place.provider, place.model),
            self._explanations(call, bills, costs),
            self._unknown(call, bills, costs),
        )

    def _explanations(
        self, call: "_Call", bills: Sequence["_Bill"], costs: Sequence[Cost]
    ) -> tuple[codec.Price, ...]:
        """Give what the versions of these costs mean, where that has not been written down today."""
        opened = call.opened
        return tuple(
            codec.Price(
                cost.price_version,
                opened.provider,
                bill.place.model,
                opened.ts_us,
                _meaning(call.book, bill.place, cost),
            )
            for bill, cost in zip(bills, costs, strict=True)
            if cost.price_version
            and self._explained.is_due(
                (cost.price_version, opened.provider, bill.place.model), opened.ts_us
            )
        )

    def _unknown(
        self, call: "_Call", bills: Sequence["_Bill"], costs: Sequence[Cost]
    ) -> tuple[str, ...]:
        """Give the models whose price nobody knows and of whom that has not been said for an hour."""
        opened = call.opened
        return tuple(
            bill.place.model
            for bill, cost in zip(bills, costs, strict=True)
            if cost.source in _NOT_PRICED
            and call.book.terms(bill.place).is_unknown
            and self._told.is_due((opened.provider, bill.place.model), opened.ts_us)
        )


class _Call(NamedTuple):
    """What is settled, and by which book."""

    opened: Open
    ask: Ask
    reading: Reading
    book: PriceBook

    def place(self) -> Place:
        """Say which model is priced: the one that answered, or where its price is unknown, the one that was asked for.

        Bedrock bills by the id in the path, which names the region, too; the answer has another name for the model.
        """
        opened, ask, reading, book = self
        places = [
            _place(opened, model) for model in (reading.model, ask.model) if model
        ]
        if price_id(opened.provider) == _BILLS_WHAT_WAS_ASKED:
            places.reverse()
        known = (each for each in places if not book.terms(each).is_unknown)
        return next(known, places[0] if places else _place(opened, ""))


class _Bill(NamedTuple):
    """One row's share of an answer."""

    place: Place
    billed: Billed


class Recent:
    """Remembers what was said in the last while; bounded, the oldest is forgotten first and then said again."""

    def __init__(self, period_us: int, capacity: int = _REMEMBERED) -> None:
        self._period_us = period_us
        self._capacity = capacity
        self._said: OrderedDict[_Key, int] = OrderedDict()

    def is_due(self, key: _Key, now_us: int) -> bool:
        """Whether it must be said; then it counts as said."""
        before = self._said.get(key)
        if before is not None and 0 <= now_us - before < self._period_us:
            return False
        self._said[key] = now_us
        self._said.move_to_end(key)
        if len(self._said) > self._capacity:
            self._said.popitem(last=False)
        return True


def _costs(book: PriceBook, bills: Sequence[_Bill], told: int | None) -> list[Cost]:
    costs = [book.price(bill.place, bill.billed) for bill in bills]
    if told is None or told < 0:
        return costs
    if not any(cost.total() for cost in costs):
        costs = [book.assume(bill.billed) for bill in bills]
    return share(told, costs)


def _meaning(book: PriceBook, place: Place, cost: Cost) -> str:
    told = cost.price_version == PROVIDER_VERSION
    return BY_PROVIDER if told else book.terms(place).as_json()


def _without_tokens(reading: Reading) -> Reading:
    """Say of a whole answer that it has no tokens, rather than unknown ones, where it is billed by other counts (pages, seconds, images)."""
    counted = reading.server_tool_uses or reading.cost is not None
    wrote = reading.output_chars or reading.reasoning_chars
    if reading.usage is not None or wrote or not counted:
        return reading
    return replace(reading, usage=Usage())


def _place(opened: Open, model: str) -> Place:
    return Place(opened.provider, model, opened.tenant, opened.route)


def _status(exchange: Exchange, *, answered: bool) -> int:
    """Give the provider's status, or 0 where it gave none.

    A 5xx of ours (a timeout, a drain) does not say that nothing was billed; a 4xx of ours means that the request never was whole.
    """
    status = exchange.http_status or 0
    return status if answered or status < _FIRST_SERVER_ERROR else 0
