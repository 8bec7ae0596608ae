"""What an answer cost: tokens, where they come from, and their price.

What lives here: which exchanges cost anything, and putting estimate, price and "counted before" together. What does not: how
each of them works (`meter/`).
"""

from collections.abc import Callable, Sequence

from proxy.meter.billed import BilledResponses
from proxy.meter.estimate import settle
from proxy.meter.prices import PriceTable
from proxy.model import Ask, Cost, CostSource, Outcome, Reading, Usage, UsageSource
from proxy.record.codec import PartUsage
from proxy.record.exchange import Exchange, Settlement

_FIRST_SERVER_ERROR = 500


class Settler:
    """Settles exchanges; one for a worker."""

    def __init__(
        self,
        prices: PriceTable,
        billed: BilledResponses,
        assumed: Callable[[Usage], Cost],
    ) -> None:
        """`assumed` prices a usage whose model the table does not know."""
        self._prices = prices
        self._billed = billed
        self._assumed = assumed

    def settle(
        self, exchange: Exchange, ask: Ask, reading: Reading, outcome: Outcome
    ) -> Settlement:
        """Give tokens and dollars of an exchange that closes now."""
        answered = exchange.measures.first_byte_at is not None
        if (
            exchange.measures.sent_at is None
            or (outcome is Outcome.UPSTREAM_ERROR and not answered)
            or self._billed.seen(ask, reading)
        ):
            return Settlement()
        usage, source = settle(
            ask,
            reading,
            _status(exchange, answered=answered),
            outcome is Outcome.COMPLETED,
            exchange.measures.request_bytes,
        )
        if source is UsageSource.NONE:
            return Settlement(usage, source)
        model = reading.model or ask.model
        cost = self._price(exchange, model, usage, reading, reading.server_tool_uses)
        parts = tuple(
            PartUsage(
                part.model,
                part.usage,
                self._price(exchange, part.model, part.usage, reading, ()),
            )
            for part in reading.parts
        )
        window = self._prices.context_window(exchange.opened.provider, model)
        return Settlement(usage, source, cost, parts, window)

    def _price(
        self,
        exchange: Exchange,
        model: str,
        usage: Usage,
        reading: Reading,
        uses: Sequence[tuple[str, int]],
    ) -> Cost:
        opened = exchange.opened
        cost = self._prices.price(
            opened.provider, model, usage, opened.ts_us, reading.service_tier, uses
        )
        return self._assumed(usage) if cost.source is CostSource.UNPRICED else cost


def _status(exchange: Exchange, *, answered: bool) -> int:
    """Give the provider's status, or 0 where it gave none.

    A 5xx of ours (a timeout, a drain) does not say that nothing was billed; a 4xx of ours means that the request never was whole.
    """
    status = exchange.http_status or 0
    return status if answered or status < _FIRST_SERVER_ERROR else 0
