"""The account of one exchange: what passes is metered, priced and written down.

What lives here: how the phases meter and record hang together for one exchange (it is the relay's `Watch`), and the rule
that nothing in them reaches the agent: each fault of ours is counted and the bytes go on. What does not: moving bytes
(`forward/relay.py`), what becomes of the answer's (`answering.py`), reading them (`meter/`), writing them (`record/spool.py`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import TypeVar

from msgspec.structs import replace

from proxy.admission import answer_headers
from proxy.answering import Answer
from proxy.desk import Desk
from proxy.endings import judge
from proxy.following import Following
from proxy.forward.headers import end_to_end
from proxy.forward.heads import OUR_HEADERS
from proxy.forward.http1 import AnswerHead, Framing
from proxy.forward.upstream import UpstreamConnection
from proxy.forward.watch import Ending
from proxy.govern.tab import Tab
from proxy.http.leading_back import LeadingBack
from proxy.http.sse_endpoint import SseEndpoint
from proxy.judge.refusals import Asker
from proxy.judging import Judging
from proxy.meter.dialect import Dialect
from proxy.meter.headers import read_headers
from proxy.meter.inject import refused
from proxy.model import Ask, Outcome, Reading
from proxy.record.codec import Close, Open, encode
from proxy.record.exchange import Exchange, Settlement
from proxy.trail import Trail
from proxy.vetting import Vetting

_FRAMING = frozenset({b"transfer-encoding"})
INJECTION_REFUSED = "injection_refused"
"""In `altered`: usage was asked for, refused, and the agent's own request sent after it."""
T = TypeVar("T")


class Ledger:
    """Keeps the account of one exchange; the relay's `Watch`."""

    def __init__(
        self,
        desk: Desk,
        opened: Open,
        began: float,
        ask: Ask,
        dialect: Dialect,
        trail: Trail | None = None,
        tab: Tab | None = None,
    ) -> None:
        """`began` is the admission on the monotonic clock; without `trail` nothing of the call is remembered, without `tab` nothing limits it."""
        self._desk = desk
        self.ask = ask
        self._dialect = dialect
        self._book = desk.settler.book
        self._delivered = False
        self.wanted: bytes | None = None
        """See `Watch`."""
        self._counted = False
        self.reading = Reading()
        self.exchange = Exchange(opened, began)
        self.judging = Judging(desk, self.exchange, tab)
        self.following = Following(desk, trail)
        unfollowed = partial(self.note, "endpoint")
        self._answer = Answer(desk, opened.provider, self.exchange.altered, unfollowed)
        self.vetting = Vetting(desk, self.exchange, self.judging, self._answer)

    # Before the upstream is contacted.

    async def open(self) -> None:
        """Write `Open`; waits, within the spool's bound, until it is written."""
        self._counted = True
        self._desk.tell(self._desk.under_way, self.exchange.opened.route, 1)
        await self._desk.spool.append_wait(self._opening())

    def _opening(self) -> tuple[bytes, ...]:
        return (encode(self.exchange.opened), *self.following.begun(), *self.judging.begun())  # fmt: skip

    def judge(self, asker: Callable[[], Asker]) -> None:
        """Note what the policies say; `BlockedError` where the call must not go upstream. `asker` says who is answered then."""
        blocked = self.judging.judge(asker)
        if blocked is not None:
            self.never_sent(blocked.answer.status)
            raise blocked

    def never_sent(self, status: int | None) -> None:
        """Write `Open` of a call that does not go upstream, and keep the status that the agent gets; nobody waits."""
        self.exchange.http_status = status
        self._append(self._opening())

    def _append(self, records: Sequence[bytes]) -> None:
        for record in records:
            self._desk.spool.append(record)

    async def written(self) -> None:
        """Wait, within the spool's bound, until all records so far are written."""
        await self._desk.spool.append_wait(())

    def injected(self) -> None:
        """Note that usage was asked for on the agent's behalf; it is taken out of the answer again."""
        self._answer.injected = True
        self.exchange.altered.append("usage_injected")

    def leads_back(self, leading_back: LeadingBack) -> None:
        """Note that a redirect within the upstream must lead back here."""
        self._answer.leading_back = leading_back

    def may_name(self, endpoint: SseEndpoint) -> None:
        """Note that the answer may name an endpoint that has to get our prefix."""
        self._answer.endpoint = endpoint

    def guarded(self, reader: Callable[[bytes], T | None], body: bytes) -> T | None:
        """Call a reader of the phase meter; a fault of it is counted and costs only what it would have said."""
        try:
            return reader(body)
        except Exception:  # noqa: BLE001  # the guard of the phase meter
            self._desk.fault("meter")
            return None

    # The relay's Watch.

    def connected(self, seconds: float | None) -> None:
        """Note how long connecting took; a second try after a refusal is no part of it."""
        if self.exchange.measures.sent_at is None:
            self.exchange.measures.connect_seconds = seconds

    def sent(self, size: int) -> None:
        """Note what was handed to the connection, and when first."""
        m = self.exchange.measures
        m.request_bytes += size
        if m.sent_at is None:
            m.sent_at = monotonic()

    def refused(self, status: int, body: bytes) -> bool:
        """Whether the upstream refuses the injected field; then the answer is read as one to the agent's own request."""
        if not refused(status, body):
            return False
        self._answer.injected = False
        self.exchange.measures.request_bytes = 0
        self.exchange.altered.remove("usage_injected")
        self.exchange.altered.append(INJECTION_REFUSED)
        self.note("injection", reason="refused", detail=f"status {status}")
        return True

    def answered(self, head: AnswerHead, first_byte_at: float) -> tuple[Sequence[tuple[bytes, bytes]], Framing]:  # fmt: skip
        """Read the head and set up the meter; give the agent's headers."""
        exchange = self.exchange
        exchange.http_status = head.status
        exchange.measures.first_byte_at = first_byte_at
        self.judging.upstream_headers = head.headers
        framing = head.framing
        headers = list(end_to_end(head.headers, OUR_HEADERS, _FRAMING))
        try:
            facts = read_headers(head.headers, head.status)
            exchange.request_id = facts.request_id
            exchange.ratelimits = facts.ratelimits
            self.vetting.answered(head)
            framing = self._answer.begin(self.ask, self._dialect, head)
            headers = self._answer.redirected(head.status, headers)
        except Exception:  # noqa: BLE001  # the guard of the phase meter
            self._desk.fault("meter")
        kept = [(name, value) for lower, name, value in headers if lower != b"content-length" or framing is head.framing]  # fmt: skip
        if self._desk.response_headers:
            kept += answer_headers(self.exchange.opened)
            kept += self.judging.headers()
        return kept, framing

    def forwarded(self) -> None:
        """Note when the agent had the head."""
        self.exchange.measures.head_forwarded_at = monotonic()

    def passed(self, data: bytes, connection: UpstreamConnection) -> bytes:
        """Meter a piece of the body; give what the agent gets for it."""
        m = self.exchange.measures
        m.response_bytes += len(data)
        m.chunks = connection.inbox.chunks
        m.max_gap_seconds = connection.inbox.max_gap
        self.judging.passed()
        passed = self._answer.feed(data)
        if m.first_token_at is None and self._answer.output_started:
            m.first_token_at = connection.inbox.last_at
        passed = self.vetting.passed(passed, finished=connection.finished)
        self.wanted = self.vetting.wanted or self.wanted
        return passed

    def tunnelled(self, from_agent: int, from_upstream: int) -> None:
        """Count the bytes of an upgraded connection."""
        self.exchange.measures.request_bytes += from_agent
        self.exchange.measures.response_bytes += from_upstream

    @property
    def terminal(self) -> bool:
        """Whether the terminal event has passed."""
        return self._answer.terminal

    async def close(self, ending: Ending, *, stands: bool = True) -> None:
        """Write `Close` and wait for it, within the spool's bound; the second and later calls do nothing.

        With `stands` off another attempt may follow, and the run is told nothing before `stand` or `finish`.
        """
        if self.exchange.closed is not None:
            return
        self.following.waits = not stands
        began = monotonic()
        await self._desk.spool.append_wait(self._close(ending, began))
        self.exchange.measures.hold_seconds += monotonic() - began

    def delivered(self) -> None:
        """Note that the agent has what `close` was called for."""
        self._delivered = True

    def rest(self) -> bytes:
        """Give what was held back."""
        return self.vetting.rest() + self._answer.rest()

    # The end.

    def stand(self, seen: "Ledger | None" = None) -> None:
        """Tell the run what came of the step, since no attempt follows: before the agent can go on from it. `seen` is what the agent gets instead."""
        of, following = seen or self, self.following
        closed = of.exchange.closed
        if closed is not None and (seen or following.waits):
            following.waits = False
            self._append(following.tell(closed.outcome, closed.error_type, of.reading, closed.closed_us))  # fmt: skip
            following.is_over = seen is not None

    def finish(self, ending: Ending) -> None:
        """Write what is missing of `Close` and `End`; plain and synchronous, so that a cancelled request ends in a row, too."""
        exchange = self.exchange
        if exchange.ended is not None:
            return
        if self._counted:
            self._desk.tell(self._desk.under_way, exchange.opened.route, -1)
        now = monotonic()
        if exchange.closed is None:
            self._append(self._close(ending, now))
        closed = exchange.closed
        assert closed is not None
        stands = ending.outcome is Outcome.COMPLETED or self._delivered
        final = closed if stands else ending
        self.following.waits = False
        ended = exchange.end(now, final.outcome, final.error_type)
        self._append(self.following.tell(final.outcome, final.error_type, self.reading, ended.ended_us))  # fmt: skip
        self._desk.spool.append(encode(ended))
        self._desk.tell(self._desk.applied, exchange.opened, closed, ended)

    def _close(self, ending: Ending, now: float) -> tuple[bytes, ...]:
        settlement, is_known = Settlement(), False
        try:
            reading = self.reading = self._answer.reading()
            ending = judge(ending, self.exchange.http_status, reading)
            settlement = self._desk.settler.settle(self.exchange, self.ask, reading, ending.outcome, self._book)  # fmt: skip
            self._explain(settlement)
            is_known = True
        except Exception:  # noqa: BLE001  # the guard of the phase meter
            self._desk.fault("meter")
        if self._answer.incomplete:
            self._desk.fault("meter_incomplete")
        final = self.vetting.over(ending, self.reading)
        self.wanted = self.vetting.wanted or self.wanted
        closed = self.exchange.close(now, final.outcome, final.error_type, self.reading, settlement)  # fmt: skip
        followed = self.following.tell(closed.outcome, closed.error_type, self.reading, closed.closed_us)  # fmt: skip
        encoded = self._encoded(closed)
        # The upstream has done its part, whatever the agent gets of it.
        done = replace(closed, outcome=ending.outcome, error_type=ending.error_type)
        settled = self.judging.over(done, self.reading, self._answer.error_body, is_known=is_known)  # fmt: skip
        return (encoded, *followed, *settled)

    def _encoded(self, closed: Close) -> bytes:
        try:
            return encode(closed)
        except Exception:  # noqa: BLE001  # the guard of the phase record: a number that fits no record costs the numbers
            self._desk.fault("record")
            return encode(self.exchange.forget_usage())

    def _explain(self, settlement: Settlement) -> None:
        """Write what stands beside the account: what its price versions mean, and which models have no price."""
        for price in settlement.prices:
            self._desk.spool.append(encode(price))
        for model in settlement.unknown_models:
            self.note("price", reason="unknown_model", model=model)

    def note(
        self, kind: str, reason: str = "", model: str = "", detail: str = ""
    ) -> None:
        """Write an event about this exchange."""
        event_id = self._desk.new_id()
        event = self.exchange.event(event_id, kind, reason, model, detail)
        self._desk.tell(self._desk.noted, event)
        self._desk.spool.append(encode(event))
