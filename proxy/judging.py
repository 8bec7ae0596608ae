"""What the policies have to do with one exchange: the verdict in its record and its answer's headers, its refusal, its first sign of life, its end.

What lives here: passing an exchange's facts on to its tab. What does not: what follows from them (`govern/tab.py`), the account (`ledger.py`).
"""

from collections.abc import Callable

from proxy.desk import Desk
from proxy.forward.failures import BlockedError
from proxy.govern.announcing import every
from proxy.govern.tab import Tab
from proxy.http.headers import RawHeaders
from proxy.judge.findings import first_of
from proxy.judge.refusals import (
    VERDICT_HEADER,
    Asker,
    OwnAnswer,
    error_type_of,
    refuse,
    verdict_header,
)
from proxy.judge.tool_call_settings import ToolCallSettings
from proxy.judge.verdict import Verdict
from proxy.model import Reading
from proxy.record.codec import Close
from proxy.record.exchange import Exchange

_ERRORS = 400
NOTE_ADDED = "note_added"
"""In `altered`: the model is told of a warning."""


class Judging:
    """The policies' side of one exchange."""

    def __init__(self, desk: Desk, exchange: Exchange, tab: Tab | None) -> None:
        """Without `tab` nothing limits it."""
        self._desk = desk
        self._exchange = exchange
        self._tab = tab
        self._is_alive = tab is None
        self.upstream_headers: RawHeaders = ()
        """Of the upstream's answer."""
        self.error_body = b""
        """The beginning of an error's body, once it is over."""
        self.refusal: OwnAnswer | None = None
        """What the agent gets where the policies refuse the call."""

    def judge(self, asker: Callable[[], Asker]) -> BlockedError | None:
        """Note what the policies say; what is to be raised where the call must not go upstream. `asker` says who is answered then."""
        tab, exchange = self._tab, self._exchange
        if tab is None:
            return None
        exchange.breaker_state = tab.breaker_state
        verdict = tab.verdict
        if verdict is None:
            return None
        exchange.verdict = (verdict.policy, verdict.action, verdict.reason)
        self._desk.tell(self._desk.judged, tab, exchange.opened)
        if not tab.is_refused:
            return None
        self.refusal = refuse(verdict, asker())
        return BlockedError(error_type_of(verdict), verdict.message, self.refusal)

    def note(self) -> str:
        """Give what the model is to be told of warnings; mostly nothing."""
        return "" if self._tab is None else self._tab.note(self._exchange.opened)

    def noted(self) -> None:
        """Note that the request goes out with what the model is told."""
        self._exchange.altered.append(NOTE_ADDED)
        if self._tab is not None:
            self._tab.noted(self._exchange.opened)

    @property
    def tool_calls(self) -> ToolCallSettings | None:
        """Give the settings by which the calls of the answer are judged; `None` where nothing limits the call."""
        return None if self._tab is None else self._tab.tool_calls

    def answered(self, verdict: Verdict) -> None:
        """Note what is said of the answer's calls, beside what was said of the call itself."""
        exchange = self._exchange
        before = None if self._tab is None else self._tab.verdict
        first = first_of([*(every(before) if before else ()), verdict]) or verdict
        exchange.verdict = (first.policy, first.action, first.reason)
        self._desk.tell(self._desk.answer_judged, verdict, exchange.opened)

    def begun(self) -> tuple[bytes, ...]:
        """Give the records of what the call claimed."""
        return () if self._tab is None else self._tab.begun()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Give what an answer says of the verdict."""
        verdict = None if self._tab is None else self._tab.verdict
        return [] if verdict is None else [(VERDICT_HEADER, verdict_header(verdict))]

    def passed(self) -> None:
        """Note that a piece of the answer has come."""
        if self._is_alive or self._tab is None:
            return
        self._is_alive = True
        if (self._exchange.http_status or 0) < _ERRORS:
            self._tab.alive()

    def over(
        self, closed: Close, reading: Reading, error_body: bytes, *, is_known: bool
    ) -> tuple[bytes, ...]:
        """Settle the call; give the record of that. `is_known`: nothing went wrong while its cost was found out."""
        self.error_body = error_body
        if self._tab is None:
            return ()
        answered = self._exchange.measures.first_byte_at is not None
        status = self._exchange.http_status if answered else None
        return self._tab.over(
            closed, reading, status, self.upstream_headers, error_body, is_known=is_known
        )  # fmt: skip
