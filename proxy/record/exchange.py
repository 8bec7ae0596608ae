"""One exchange while it is under way: facts come in, `Open`, `Close` and `End` come out, each once.

What lives here: the arithmetic of times and the rule that a later fact never rewrites an earlier record. What does not:
reading clocks (every method is told the time), writing records (`spool.py`), sockets.

Times given to methods are seconds of one monotonic clock; records carry microseconds, wall-clock ones computed from the
admission's, so that a jump of the system clock cannot turn an exchange around.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from proxy.model import (
    Cost,
    ErrorType,
    Outcome,
    RateLimits,
    Reading,
    Usage,
    UsageSource,
)
from proxy.record.codec import (
    AskedCall,
    Close,
    End,
    Event,
    Open,
    PartUsage,
    Price,
)


class Settlement(msgspec.Struct, frozen=True):
    """What the answer cost, in tokens and dollars."""

    usage: Usage = Usage()
    source: UsageSource = UsageSource.NONE
    cost: Cost = Cost()
    parts: tuple[PartUsage, ...] = ()
    ctx_window: int | None = None
    prices: tuple[Price, ...] = ()
    """What its price versions mean, where that must be written down first."""
    unknown_models: tuple[str, ...] = ()
    """Models without a price, where that is worth an event."""
    is_shown_again: bool = False
    """Another exchange had this answer: its tokens and calls stand in that one's row."""


@dataclass(slots=True)
class Measures:
    """What the data path counts while bytes pass."""

    connect_seconds: float | None = None
    sent_at: float | None = None
    """When the request had been handed to the upstream's connection."""
    body_wait_seconds: float = 0.0
    """Waiting for the agent's body."""
    first_byte_at: float | None = None
    head_forwarded_at: float | None = None
    first_token_at: float | None = None
    hold_seconds: float = 0.0
    """What the answer waited for its record."""
    max_gap_seconds: float = 0.0
    chunks: int = 0
    request_bytes: int = 0
    response_bytes: int = 0


@dataclass(slots=True)
class Exchange:
    """The state of one exchange between admission and its last record."""

    opened: Open
    began: float
    """Monotonic seconds at admission."""
    measures: Measures = field(default_factory=Measures)
    http_status: int | None = None
    request_id: str = ""
    ratelimits: RateLimits = field(default_factory=RateLimits)
    verdict: tuple[str, str, str] = ("", "", "")
    """The policy that judged, what it did, and why."""
    breaker_state: str = ""
    """The phase in which the call met its upstream's breaker."""
    altered: list[str] = field(default_factory=list)
    asks: Callable[[Reading], tuple[AskedCall, ...]] = lambda _: ()
    """Gives the calls that an answer asks for; never raises."""
    closed: Close | None = None
    ended: End | None = None

    def close(
        self,
        now: float,
        outcome: Outcome,
        error_type: ErrorType,
        reading: Reading,
        settlement: Settlement,
    ) -> Close:
        """Give the one `Close`; the outcome is the one that holds if the agent gets the rest."""
        assert self.closed is None, "an exchange closes once"
        m = self.measures
        self.closed = Close(
            attempt_id=self.opened.attempt_id,
            closed_us=self._wall(now),
            outcome=outcome,
            error_type=error_type,
            http_status=self.http_status,
            connect_us=_us(m.connect_seconds),
            ttfb_us=self._since(m.first_byte_at),
            ttft_us=self._since(m.first_token_at),
            duration_us=self._since(now) or 0,
            overhead_us=self._overhead(),
            max_gap_us=self._gap(),
            chunks=m.chunks,
            request_bytes=m.request_bytes,
            response_bytes=m.response_bytes,
            finish_reason=reading.finish_reason,
            model_served=reading.model,
            request_id=self.request_id,
            response_id=reading.response_id,
            ratelimits=self.ratelimits,
            usage=settlement.usage,
            usage_source=settlement.source,
            usage_json=(reading.usage_json or b"").decode("utf-8", "replace"),
            cost=settlement.cost,
            parts=settlement.parts,
            ctx_window=settlement.ctx_window,
            altered=tuple(self.altered),
            verdict_policy=self.verdict[0],
            verdict_action=self.verdict[1],
            verdict_reason=self.verdict[2],
            breaker_state=self.breaker_state,
            calls=() if settlement.is_shown_again else self.asks(reading),
        )
        return self.closed

    def forget_usage(self) -> Close:
        """Give `Close` without its numbers of tokens and dollars, where no record can hold them."""
        assert self.closed is not None, "an exchange is forgotten after it closed"
        self.closed = msgspec.structs.replace(
            self.closed,
            usage=Usage(),
            usage_source=UsageSource.NONE,
            cost=Cost(),
            parts=(),
        )
        return self.closed

    def end(self, now: float, outcome: Outcome, error_type: ErrorType) -> End:
        """Give the one `End`."""
        assert self.closed is not None, "an exchange ends after it closed"
        assert self.ended is None, "an exchange ends once"
        m = self.measures
        self.ended = End(
            attempt_id=self.opened.attempt_id,
            ended_us=self._wall(now),
            outcome=outcome,
            error_type=error_type,
            response_bytes=m.response_bytes,
            chunks=m.chunks,
            max_gap_us=self._gap(),
            overhead_us=self._overhead(),
        )
        return self.ended

    def event(
        self, event_id: str, kind: str, reason: str, model: str, detail: str
    ) -> Event:
        """Give an event about this exchange, of the time of its admission."""
        opened = self.opened
        return Event(
            event_id=event_id,
            ts_us=opened.ts_us,
            type=kind,
            tenant=opened.tenant,
            agent=opened.agent,
            run_id=opened.run_id,
            step_id=opened.step_id,
            reason=reason,
            route=opened.route,
            model=model or opened.model_requested,
            detail=detail,
        )

    def _wall(self, now: float) -> int:
        return self.opened.ts_us + round((now - self.began) * 1e6)

    def _since(self, moment: float | None) -> int | None:
        return None if moment is None else max(0, round((moment - self.began) * 1e6))

    def _gap(self) -> int | None:
        return _us(self.measures.max_gap_seconds) if self.measures.chunks > 1 else None

    def _overhead(self) -> int | None:
        """Give our own time on the agent's path: before the upstream had the request, and before the agent had the head."""
        m = self.measures
        if m.sent_at is None:
            return None
        before = (
            m.sent_at - self.began - m.body_wait_seconds - (m.connect_seconds or 0.0)
        )
        between = 0.0
        if m.first_byte_at is not None and m.head_forwarded_at is not None:
            between = m.head_forwarded_at - m.first_byte_at
        return max(0, round((before + between + m.hold_seconds) * 1e6))


def _us(seconds: float | None) -> int | None:
    return None if seconds is None else max(0, round(seconds * 1e6))
